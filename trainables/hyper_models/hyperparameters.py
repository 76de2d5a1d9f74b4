"""The `hp` that a hypermodel's build gets: KerasTuner's, which also answers to the names of an Optuna trial."""

from collections.abc import Sequence
from typing import Any

import keras_tuner


class Hyperparameters(keras_tuner.HyperParameters):  # type: ignore[misc]
    """KerasTuner's hyperparameters with Optuna's `suggest_` methods besides."""

    def copy(self) -> "Hyperparameters":
        """The same hyperparameters with the same values."""
        return type(self).from_config(self.get_config())  # type: ignore[no-any-return]

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices. Those that are not all texts, numbers or flags are listed by their texts."""
        kinds = {type(choice) for choice in choices}
        if len(kinds) == 1 and kinds <= {bool, int, float, str}:
            return self.Choice(name, list(choices))
        by_text = {str(choice): choice for choice in choices}
        return by_text[self.Choice(name, list(by_text))]

    def suggest_int(self, name: str, low: int, high: int, step: int = 1, log: bool = False) -> int:
        """A whole number from `low` to `high`."""
        return self.Int(name, low, high, step=None if step == 1 else step, sampling="log" if log else "linear")  # type: ignore[no-any-return]

    def suggest_float(self, name: str, low: float, high: float, step: float | None = None, log: bool = False) -> float:
        """A number from `low` to `high`."""
        return self.Float(name, low, high, step=step, sampling="log" if log else "linear")  # type: ignore[no-any-return]

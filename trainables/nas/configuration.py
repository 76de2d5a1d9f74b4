"""The configuration of a network in AutoKeras' search space for images (Jin et al. 2019, arXiv:1806.10282).

    version = {"image_block_1/res_net_block_1/version": "resnet50"}
    Config(block="resnet", normalize="on", augment="off", choices=json.dumps(version))

`block`, `normalize` and `augment` define the space, as in AutoKeras' ImageBlock. `choices` are the values of AutoKeras'
hyperparameters; missing ones have AutoKeras' defaults. `trainables.nas.oracles` proposes the choices.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainables import config as domains
from trainables.config import Value, one_of, text
from trainables.errors import ConfigError
from trainables.keys import Keys

KINDS: Final = ("resnet", "xception", "vanilla", "efficient")
"""The kinds of networks, in AutoKeras' order: its first candidate is a residual network."""

EVERY_KIND: Final = "any"
_KIND: Final = f"({'|'.join(KINDS)})"

EPOCHS: Final = "tuner/epochs"
"""Hyperband's value for the number of epochs of a candidate."""

_OF_THE_ORACLE: Final = "tuner/"

ORACLE_KEYS: Final = ("choices", "optimizer", "learning_rate", "momentum")
"""The keys whose values an oracle proposes, and `momentum`, which would not fit every proposed optimizer."""

OPTIMIZERS: Final = {"adam": "adam", "sgd": "sgd", "adam_weight_decay": "adamw"}
"""AutoKeras' names of optimizers, with Keras' names."""


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """The space, and the choices in it."""

    block: str = text(
        EVERY_KIND, rf"{EVERY_KIND}|{_KIND}(\+{_KIND})*",
        f"any, {', '.join(KINDS)}, or several joined by +", "kinds of networks to search",
    )  # fmt: skip
    normalize: str = one_of("any", ("any", "on", "off"), "images get mean 0 and deviation 1 over the training set")
    augment: str = one_of("any", ("any", "on", "off"), "training images are changed at random, as the search chooses")
    pretrained: bool = one_of(False, (False, True), "networks may start with ImageNet's weights", optional=True)
    enlarge: bool = one_of(
        False, (False, True), "the search may enlarge images to ImageNet's 224 pixels", optional=True
    )
    choices: str = text(
        "{}", r"(?s)\{.*\}", "a JSON object of AutoKeras' hyperparameters", "values of AutoKeras' hyperparameters"
    )

    def __post_init__(self) -> None:
        """Checks every value."""
        super().__post_init__()
        try:
            values = json.loads(self.choices)
        except json.JSONDecodeError as error:
            raise ConfigError(f"choices={self.choices!r} is not valid ({error}); valid: a JSON object") from error
        for name, value in values.items():
            if not isinstance(value, bool | int | float | str):
                raise ConfigError(f"choices: {name}={value!r} is not valid; valid: a number, a text, true or false")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of networks to search, each once, in AutoKeras' order."""
        selected_kinds = KINDS if self.block == EVERY_KIND else self.block.split("+")
        return tuple(kind for kind in KINDS if kind in selected_kinds)

    @property
    def values(self) -> dict[str, Value]:
        """The choices of the network itself."""
        return of_network(json.loads(self.choices))

    @property
    def every_value(self) -> dict[str, Value]:
        """All values for an oracle: the choices, the oracle's own `tuner/` values, optimizer and learning rate."""
        autokeras_names = {keras_name: name for name, keras_name in OPTIMIZERS.items()}
        rate: float = self.learning_rate or 0.0
        choices: dict[str, Value] = json.loads(self.choices)
        return {**choices, "optimizer": autokeras_names.get(self.optimizer, self.optimizer), "learning_rate": rate}

    @property
    def summary(self) -> str:
        """The network in a few words: its version or kind, its optimizer and learning rate."""
        values = {name.rpartition("/")[2]: value for name, value in self.values.items()}
        kind = values.get("version") or values.get("block_type") or self.kinds[0]
        return f"{kind}, {self.optimizer} {self.learning_rate:g}"

    @property
    def epochs(self) -> int | None:
        """The epochs that Hyperband sets; None if the sweep sets them."""
        epochs: Any = json.loads(self.choices).get(EPOCHS)
        return None if epochs is None else int(epochs)


def of_network(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values of the network, without an oracle's own `tuner/` values."""
    return {name: value for name, value in values.items() if not name.startswith(_OF_THE_ORACLE)}


def config_of(space: Mapping[str, Value], values: Mapping[str, Value]) -> Config:
    """The configuration of a space with these values of its hyperparameters, optimizer and learning rate included."""
    choices = {name: value for name, value in values.items() if name not in ("optimizer", "learning_rate")}
    training = {"optimizer": OPTIMIZERS[str(values["optimizer"])], "learning_rate": values["learning_rate"]}
    return domains.make(Config, {**space, **training, "choices": json.dumps(choices, sort_keys=True)})

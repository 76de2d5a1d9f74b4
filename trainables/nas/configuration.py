"""A network of AutoKeras' search space for images (Jin, Song & Hu 2019, https://arxiv.org/abs/1806.10282).

    version = {"image_block_1/res_net_block_1/version": "resnet50"}
    Config(block="resnet", normalize="on", augment="off", choices=json.dumps(version))

`block`, `normalize` and `augment` say which space it is of, as AutoKeras' ImageBlock does; `choices` are the values of
AutoKeras' hyperparameters. What they leave open is at AutoKeras' default. `trainables.nas.oracles` chooses them.
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
"""The kinds of networks, in AutoKeras' order, by which its first candidate is a residual one."""

EVERY_KIND: Final = "any"
_KIND: Final = f"({'|'.join(KINDS)})"

EPOCHS: Final = "tuner/epochs"
"""The value by which Hyperband says how long a candidate is trained."""

_OF_THE_ORACLE: Final = "tuner/"

CHOSEN: Final = ("choices", "optimizer", "learning_rate", "momentum")
"""The keys whose values an oracle chooses, or that would not fit what it chooses."""

OPTIMIZERS: Final = {"adam": "adam", "sgd": "sgd", "adam_weight_decay": "adamw"}
"""AutoKeras' optimizers by their names there, with Keras' own."""


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """The space, and the choices in it."""

    block: str = text(
        EVERY_KIND, rf"{EVERY_KIND}|{_KIND}(\+{_KIND})*",
        f"any, {', '.join(KINDS)}, or several joined by +", "kinds of networks that are searched",
    )  # fmt: skip
    normalize: str = one_of("any", ("any", "on", "off"), "images get mean 0 and deviation 1 by the training set's")
    augment: str = one_of("any", ("any", "on", "off"), "training images are changed at random, as is chosen")
    pretrained: bool = one_of(False, (False, True), "networks may begin with ImageNet's weights", optional=True)
    enlarge: bool = one_of(False, (False, True), "images may be enlarged to ImageNet's 224 pixels", optional=True)
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
        """The kinds of networks that it may be of, each once, in AutoKeras' order."""
        asked = KINDS if self.block == EVERY_KIND else self.block.split("+")
        return tuple(kind for kind in KINDS if kind in asked)

    @property
    def values(self) -> dict[str, Value]:
        """The choices of the network itself."""
        return of_network(json.loads(self.choices))

    @property
    def every_value(self) -> dict[str, Value]:
        """What an oracle knows of it: the choices, its own notes among them, optimizer and learning rate."""
        theirs = {keras_name: name for name, keras_name in OPTIMIZERS.items()}
        rate: float = self.learning_rate or 0.0
        found: dict[str, Value] = json.loads(self.choices)
        return {**found, "optimizer": theirs.get(self.optimizer, self.optimizer), "learning_rate": rate}

    @property
    def described(self) -> str:
        """The network in some words: its kind, version, optimizer and learning rate."""
        values = {name.rpartition("/")[2]: value for name, value in self.values.items()}
        kind = values.get("version") or values.get("block_type") or self.kinds[0]
        return f"{kind}, {self.optimizer} {self.learning_rate:g}"

    @property
    def epochs(self) -> int | None:
        """How long Hyperband trains it; None where the sweep says so."""
        found: Any = json.loads(self.choices).get(EPOCHS)
        return None if found is None else int(found)


def of_network(values: Mapping[str, Value]) -> dict[str, Value]:
    """Values without those by which an oracle remembers what it does with a candidate."""
    return {name: value for name, value in values.items() if not name.startswith(_OF_THE_ORACLE)}


def configured(space: Mapping[str, Value], values: Mapping[str, Value]) -> Config:
    """The configuration of a space with these values of its hyperparameters, those of the optimizer among them."""
    choices = {name: value for name, value in values.items() if name not in ("optimizer", "learning_rate")}
    training = {"optimizer": OPTIMIZERS[str(values["optimizer"])], "learning_rate": values["learning_rate"]}
    return domains.make(Config, {**space, **training, "choices": json.dumps(choices, sort_keys=True)})

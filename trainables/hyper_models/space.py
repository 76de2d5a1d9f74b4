"""The hyperparameters of a hypermodel as plain data, and the Config whose keys they are. Nothing here needs Keras."""

import keyword
import re
import typing
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, make_dataclass
from functools import cache
from typing import Any, ClassVar, Final

from trainables import config as domains
from trainables.config import Value
from trainables.keys import WITH_MOMENTUM, Keys
from trainables.optimizers import LEARNING_RATES

TRAINING_KEYS: Final = ("optimizer", "learning_rate", "momentum", "batch_size")
"""Keys of ours that a hyperparameter can be: the training uses them, whatever compile() says."""

_RESERVED: Final = frozenset({"family", "oracle"})
"""Names that a space gives another meaning."""

_TYPES: Final = {"bool": bool, "int": int, "float": float, "str": str}

Conditions = tuple[tuple[str, tuple[Value, ...]], ...]
"""Other hyperparameters by their keys, each with the values with which a hyperparameter is used."""


@dataclass(frozen=True, kw_only=True)
class Hyperparameter:
    """One hyperparameter of a hypermodel, and the key that it is.

    Attributes:
        name: its name in the hypermodel.
        key: the key of the Config.
        kind: bool, int, float or str.
        default: the key's default value.
        values: its values, if they are listed.
        low: else its lowest value.
        high: else its highest value.
        log: whether its range is logarithmic.
        step: what is added to its lowest value, or with a logarithmic range what multiplies it, to get the next.
        conditions: when it is used; it always is if there are none.
        own_values: the hypermodel's own values where the key's are others, in the order of `values`.
    """

    name: str
    key: str
    kind: str
    default: Value
    values: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    conditions: Conditions = ()
    own_values: tuple[Value, ...] = ()

    def own_value(self, value: Value) -> Value:
        """The hypermodel's value for a value of the key."""
        return self.own_values[self.values.index(value)] if self.own_values else value

    @property
    def domain(self) -> domains.OneOf | domains.Between:
        """Its values."""
        if self.values:
            return domains.OneOf(self.values)
        return domains.Between(self.low, self.high, scale="log" if self.log else "linear", step=self.step)


@dataclass(frozen=True, kw_only=True)
class HyperSpace:
    """All hyperparameters of a hypermodel, parents first, and what its networks and its compile() say.

    Attributes:
        hyperparameters: each once.
        image_size: the height and width of its input; 0 if it takes any.
        channels: the channels of its input; 0 if it takes any.
        optimizer: the optimizer of its default network.
        rates: the learning rate of each optimizer for which no hyperparameter sets it.
        momenta: the momentum of each optimizer for which no hyperparameter sets it.
        remarks: what a user should know, in sentences.
    """

    hyperparameters: tuple[Hyperparameter, ...]
    image_size: int = 0
    channels: int = 0
    optimizer: str = "adam"
    rates: tuple[tuple[str, float], ...] = ()
    momenta: tuple[tuple[str, float], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def as_json(self) -> dict[str, Any]:
        """The same as values of JSON."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "HyperSpace":
        """The space that `as_json` gave."""
        as_tuples = {key: _tuples(value) for key, value in values.items() if key != "hyperparameters"}
        hyperparameters = ({key: _tuples(value) for key, value in each.items()} for each in values["hyperparameters"])
        return cls(hyperparameters=tuple(Hyperparameter(**each) for each in hyperparameters), **as_tuples)

    @property
    def searched(self) -> dict[str, domains.OneOf | domains.Between]:
        """What a search tries of each key: the hyperparameters that have several values."""
        return {each.key: each.domain for each in self.hyperparameters if len(each.values) != 1}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


@dataclass(frozen=True, kw_only=True)
class HyperConfig(Keys):
    """The base class of a hypermodel's Config.

    Attributes:
        hyper_space: the hyperparameters whose keys it has.
    """

    hyper_space: ClassVar[HyperSpace] = HyperSpace(hyperparameters=())

    def __post_init__(self) -> None:
        """Fills in what compile() says of the optimizer, and checks every value."""
        space = self.hyper_space
        if self.learning_rate is None and self.optimizer in dict(space.rates):
            object.__setattr__(self, "learning_rate", dict(space.rates)[self.optimizer])
        if (momentum := typing.cast("float | None", self.momentum)) is None:
            own = next((float(each.default) for each in space.hyperparameters if each.key == "momentum"), 0.0)
            momentum = dict(space.momenta).get(self.optimizer, own) if self.optimizer in WITH_MOMENTUM else 0.0
            object.__setattr__(self, "momentum", momentum)
        super().__post_init__()

    @property
    def own_values(self) -> dict[str, Value]:
        """The hypermodel's hyperparameters that are used, by its own names."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        unused = self.inactive(values)
        return {
            each.name: each.own_value(values[each.key])
            for each in self.hyper_space.hyperparameters
            if each.key not in unused
        }

    @classmethod
    def inactive(cls, values: Mapping[str, Value | None]) -> frozenset[str]:
        """The keys that change nothing, given the values of all."""
        active: dict[str, Value | None] = {}
        for each in cls.hyper_space.hyperparameters:
            if all(key in active and active[key] in valid for key, valid in each.conditions):
                active[each.key] = values[each.key]
        unused = {each.key for each in cls.hyper_space.hyperparameters}.difference(active)
        return frozenset(unused) | super().inactive(values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the values: the class is made again from its space."""
        return _restored, (self.hyper_space, {each.name: getattr(self, each.name) for each in fields(self)})


def _restored(space: HyperSpace, values: Mapping[str, Any]) -> HyperConfig:
    return config_type(space)(**values)


@cache
def config_type(space: HyperSpace) -> type[HyperConfig]:
    """The Config of a space; the same class for an equal space."""
    new_fields: dict[str, tuple[Any, Any]] = {
        "image_size": _key("image_size", space.image_size),
        "channels": _key("channels", space.channels),
        "optimizer": _key("optimizer", space.optimizer),
        "momentum": (float | None, domains.between(None, 0, 0.9999, _own("momentum").metadata["doc"], optional=True)),
    }
    for each in space.hyperparameters:
        if each.key != "momentum":
            new_fields[each.key] = (_TYPES[each.kind], _domain(each))
    return make_dataclass(
        "Config",
        [(key, kind, field) for key, (kind, field) in new_fields.items()],
        bases=(HyperConfig,),
        namespace={"hyper_space": space, "__doc__": "The hyperparameters of a hypermodel.", "__module__": __name__},
        frozen=True,
        kw_only=True,
    )


def _own(key: str) -> Any:
    return next(each for each in fields(Keys) if each.name == key)


def _key(key: str, default: Value) -> tuple[type, Any]:
    """A key of ours with another default."""
    own = _own(key)
    field = domains._field(default, own.metadata["domain"], own.metadata["doc"], own.metadata["optional"])
    return type(default), field


def _domain(hyperparameter: Hyperparameter) -> Any:
    doc = f"the hyperparameter {hyperparameter.name!r}"
    return domains._field(hyperparameter.default, hyperparameter.domain, doc, optional=False)


def key_name(name: str, others: Collection[str]) -> str:
    """A key for a hyperparameter's name, unlike those of others: `dense units` is `dense_units`.

    A name of a key that has another meaning here gets the beginning `hp_`, as `hp_contrast`.
    """
    from layersweep.records.tables import TRIALS

    key = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "hp"
    if key in TRAINING_KEYS:
        return key
    reserved = _RESERVED.union(TRIALS.schema.names)
    if not key.isidentifier() or keyword.iskeyword(key) or hasattr(HyperConfig, key) or key in reserved:
        key = f"hp_{key}"
    while key in others:
        stem, _, number = key.rpartition("_")
        key = f"{stem}_{int(number) + 1}" if stem and number.isdecimal() else f"{key}_2"
    return key


def known_optimizer(name: str) -> bool:
    """Whether Keras has an optimizer of this name, in small letters or not."""
    return name.lower() in LEARNING_RATES

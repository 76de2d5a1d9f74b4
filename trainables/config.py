"""The valid values of a configuration: domains on the fields of a family's frozen `Config`, checked when it is made.

    @dataclass(frozen=True, kw_only=True)
    class Config:
        activation_1: str = one_of("relu", ACTIVATIONS, "activation after the first convolution")
        dropout_1: float = between(0.3, 0, 0.95, "share of outputs dropped after the first pooling")

        def __post_init__(self) -> None:
            check(self)

Nothing here needs Keras, so that a wrong sweep is refused before anything slow starts.
"""

import math
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, Protocol, TypedDict, TypeVar, Unpack

from trainables.errors import ConfigError, near_miss


class Dataclass(Protocol):
    """Any dataclass instance."""

    __dataclass_fields__: typing.ClassVar[dict[str, Field[Any]]]


C = TypeVar("C", bound=Dataclass)
Value = bool | int | float | str
Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class OneOf:
    """A domain of listed values."""

    values: tuple[Value, ...]

    def holds(self, value: object) -> bool:
        """Whether the value is listed."""
        return value in self.values

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Between:
    """A domain of finite numbers from `low` to `high`, both included; with `above`, `low` is excluded.

    Attributes:
        low: the lower bound.
        high: the upper bound.
        above: whether the lower bound itself is excluded.
        scale: how a search draws from a range of these numbers: uniformly, or uniformly in their logarithm.
        step: what a search adds to `low` to get from one number to the next; with a scale of log, what it multiplies
            by. None if it draws any number. A person may set numbers between them.
    """

    low: float
    high: float
    above: bool = False
    scale: Scale = "linear"
    step: float | None = None

    def holds(self, value: object) -> bool:
        """Whether the value is a number in the domain; a bool is not a number here."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"{'above ' if self.above else ''}{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Text:
    """A domain of texts that match the regular expression `form`; the description is for people."""

    form: str
    description: str

    def holds(self, value: object) -> bool:
        """Whether the value is a text that matches `form`."""
        return isinstance(value, str) and re.fullmatch(self.form, value) is not None

    def __str__(self) -> str:
        return self.description


Domain = OneOf | Between | Text


def one_of(default: Value, values: Sequence[Value], doc: str = "", *, optional: bool = False) -> Any:
    """A field whose value is one of a list.

    An optional field that has its default value does not count as part of the configuration: see `stated`.
    """
    return _field(default, OneOf(tuple(values)), doc, optional)


class Sampling(TypedDict, total=False):
    """How a search draws a number: see `Between`."""

    scale: Scale
    step: float | None


def between(
    default: float | None,
    low: float,
    high: float,
    doc: str = "",
    *,
    above: bool = False,
    optional: bool = False,
    **sampling: Unpack[Sampling],
) -> Any:
    """A field whose value is a number from `low` to `high`; the Config replaces a default of None.

    With `scale="log"` a search draws from a range of the key uniformly in the logarithm. With `step` it draws only
    `low`, `low + step` and so on, or with a scale of log `low`, `low * step` and so on.
    """
    return _field(default, Between(low, high, above, **sampling), doc, optional)


def text(default: str, form: str, description: str, doc: str = "", *, optional: bool = False) -> Any:
    """A field whose value is a text that matches the regular expression `form`, which `description` explains."""
    return _field(default, Text(form, description), doc, optional)


def _field(default: Value | None, domain: Domain, doc: str, optional: bool) -> Any:
    return field(default=default, metadata={"domain": domain, "doc": doc, "optional": optional})


def stated(config: Dataclass) -> dict[str, Value]:
    """The configuration as a flat dict, without optional keys that have their default values.

    So trial ids and records stay the same when a family gets a new optional key.
    """
    values = ((f, getattr(config, f.name)) for f in fields(config))
    return {f.name: value for f, value in values if not (f.metadata["optional"] and value == f.default)}


def types(config_type: type[Dataclass]) -> dict[str, type]:
    """The type of each key's values. `float | None` counts as float, since a made configuration has no None."""
    hints = typing.get_type_hints(config_type)
    return {f.name: _type_of(hints[f.name]) for f in fields(config_type)}


def texts(config_type: type[Dataclass]) -> dict[str, str]:
    """What each key means, in words; without keys that do not say it."""
    return {f.name: f.metadata["doc"] for f in fields(config_type) if f.metadata.get("doc")}


def _type_of(hint: Any) -> type:
    alternatives = [k for k in typing.get_args(hint) if k is not type(None)] or [hint]
    return typing.cast("type", alternatives[0])


def domain(config_type: type[Dataclass], key: str) -> Domain:
    """The domain of a key.

    Raises:
        ConfigError: if the key does not exist; the message lists the valid keys.
    """
    by_name = {f.name: f for f in fields(config_type)}
    if key not in by_name:
        raise ConfigError(f"unknown key {key!r}: {near_miss(key, by_name)}valid keys: {', '.join(by_name)}")
    return typing.cast("Domain", by_name[key].metadata["domain"])


def inactive_keys(config_type: type[Dataclass], values: Mapping[str, Value]) -> frozenset[str]:
    """The keys that do nothing in a configuration of these values and the defaults of others: see `Keys.inactive`."""
    rule: Callable[[Mapping[str, Value | None]], frozenset[str]] | None = getattr(config_type, "inactive", None)
    defaults: dict[str, Any] = {f.name: f.default for f in fields(config_type)}
    return frozenset() if rule is None else rule(defaults | dict(values))


def check_value(config_type: type[Dataclass], key: str, value: object) -> None:
    """Checks one value of one key.

    Raises:
        ConfigError: names the key, the value and the valid values.
    """
    valid, kind = domain(config_type, key), types(config_type)[key]
    fits = isinstance(value, int | float if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits or not valid.holds(value):
        raise ConfigError(f"{key}={value!r} is not valid; valid: {valid}" + ("" if fits else f" ({kind.__name__})"))


def check(config: Dataclass) -> None:
    """Checks every value of a configuration.

    Raises:
        ConfigError: names the first key whose value is outside its domain.
    """
    for f in fields(config):
        check_value(type(config), f.name, getattr(config, f.name))


def make(config_type: type[C], values: Mapping[str, Any]) -> C:
    """Makes a configuration from some of its values; the others get their defaults, and an int becomes a float.

    Raises:
        ConfigError: for an unknown key or a value outside its domain.
    """
    for key in values:
        domain(config_type, key)
    kinds = types(config_type)
    return config_type(**{k: float(v) if kinds[k] is float and type(v) is int else v for k, v in values.items()})


def make_active(config_type: type[C], values: Mapping[str, Any]) -> C:
    """Makes a configuration as `make` does, but a key that does nothing beside the others gets its default.

    Raises:
        ConfigError: for an unknown key or a value outside its domain, also of such a key.
    """
    inactive = inactive_keys(config_type, values)
    for key in sorted(inactive & values.keys()):
        check_value(config_type, key, values[key])
    return make(config_type, {key: value for key, value in values.items() if key not in inactive})


def parse(config_type: type[Dataclass], key: str, text: str) -> Value:
    """Reads a key's value from the command line.

    Raises:
        ConfigError: if the text is not a value of the key's type, or is outside its domain.
    """
    kind, valid = (types(config_type).get(key, str), domain(config_type, key))
    try:
        value: Value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise ConfigError(f"{key}={text!r} is not valid; valid: {valid} ({kind.__name__})") from None
    check_value(config_type, key, value)
    return value

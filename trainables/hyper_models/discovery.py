"""From the networks of a hypermodel that were built to its space: keys, defaults, and what compile() says."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from trainables.config import Value
from trainables.errors import ConfigError
from trainables.hyper_models.compiled import Compiled
from trainables.hyper_models.exploration import Exploration, Network, listed
from trainables.hyper_models.space import Hyperparameter, HyperSpace, key_name, known_optimizer
from trainables.keys import COLOUR, GREY, WITH_MOMENTUM

_KINDS: Final = {bool: "bool", int: "int", float: "float", str: "str"}
_IMAGE: Final = 3
_GREY_IMAGE: Final = 2


def space_of(build: Callable[[Any], Any]) -> HyperSpace:
    """The space of a hypermodel's `build(hp)`; some of its networks are built.

    Raises:
        ConfigError: if the hyperparameters change between builds, or compile() says what no key stands for.
    """
    exploration = Exploration(build=build)
    exploration.run()
    networks = [each for each in exploration.networks.values() if each.problem is None]
    for each in exploration.networks.values():
        if each.is_refused:
            raise ConfigError(f"{each.problem}, with {_words(each)}")
    keys = _training_keys(exploration, networks)
    for name in exploration.hyperparameters:
        if name not in keys:
            keys[name] = key_name(name, keys.values())
    size, channels = _image(networks)
    first = networks[0].compiled
    return HyperSpace(
        hyperparameters=tuple(_hyperparameter(exploration, name, keys) for name in _parents_first(exploration)),
        image_size=size,
        channels=channels,
        optimizer=first.optimizer if first else "adam",
        rates=() if "learning_rate" in keys.values() else _by_optimizer(networks, lambda each: each.rate, "rate"),
        momenta=() if "momentum" in keys.values() else _by_optimizer(networks, lambda each: each.momentum, "momentum"),
        remarks=tuple(
            f"the hyperparameter {name!r} is the key {key}"
            for name, key in keys.items()
            if name != key and name in exploration.hyperparameters
        ),
    )


def _words(network: Network) -> str:
    return ", ".join(f"{name}={value}" for name, value in network.values.items())


def _training_keys(exploration: Exploration, networks: Sequence[Network]) -> dict[str, str]:
    """The hyperparameters that set optimizer, learning rate or momentum, by what compile() says, with these keys."""
    built = [(each, each.compiled) for each in networks if each.compiled]
    with_momentum = [(each, settings) for each, settings in built if settings.optimizer in WITH_MOMENTUM]
    rate = _follower(built, "learning_rate", lambda settings: settings.rate)
    momentum = _follower(with_momentum, "momentum", lambda settings: settings.momentum)
    optimizer = _follower(built, "optimizer", lambda settings: settings.optimizer)
    keys = {rate: "learning_rate", momentum: "momentum", optimizer: "optimizer"}
    if optimizer is None and len(names := {settings.optimizer for _, settings in built}) > 1:
        raise ConfigError(
            f"compile() sets {', '.join(sorted(names))}, and no hyperparameter has their names as its values; valid: "
            "hp.Choice('optimizer', ['adam', 'sgd'])"
        )
    for name in exploration.hyperparameters:
        if name == "batch_size" or (not built and name in ("optimizer", "learning_rate", "momentum")):
            keys[name] = name
        elif built and name in ("optimizer", "learning_rate") and keys.get(name) != name:
            raise ConfigError(f"the hyperparameter {name!r} is not the {name} of compile(); valid: another name")
    return {name: key for name, key in keys.items() if name is not None}


def _follower(built: Iterable[tuple[Network, Compiled]], key: str, setting: Callable[[Compiled], Value]) -> str | None:
    """The hyperparameter whose value is the setting in every network, if the setting changes or it has the name."""
    pairs = [(network.values, setting(settings)) for network, settings in built]
    names = set.intersection(*(set(values) for values, _ in pairs)) if pairs else set()
    followers = [name for name in names if all(_equal(values[name], value) for values, value in pairs)]
    if key in followers:
        return key
    return min(followers, default=None) if len({value for _, value in pairs}) > 1 else None


def _equal(value: Value, setting: Value) -> bool:
    if isinstance(setting, str):
        return isinstance(value, str) and value.lower() == setting
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isclose(value, setting, rel_tol=1e-4)


def _by_optimizer(
    networks: Sequence[Network], setting: Callable[[Compiled], float], word: str
) -> tuple[tuple[str, float], ...]:
    """A setting of each optimizer, for which no hyperparameter stands."""
    values: dict[str, float] = {}
    for each in networks:
        if (settings := each.compiled) is None:
            continue
        if values.setdefault(settings.optimizer, setting(settings)) != setting(settings):
            name = "learning_rate" if word == "rate" else word
            raise ConfigError(
                f"the {name} of compile() changes with the hyperparameters ({values[settings.optimizer]:g}, "
                f"{setting(settings):g}), and none of them has its value; valid: hp.Float({name!r}, ...) as the {name}"
            )
    return tuple(values.items())


def _image(networks: Sequence[Network]) -> tuple[int, int]:
    """Height and width, if they are equal, and the channels of the networks' input; 0 where it takes any."""
    shape = next((each.input_shape for each in networks if each.input_shape is not None), ())
    if len(shape) == 1 and shape[0]:  # flat images
        sides = {channels: math.isqrt(shape[0] // channels) for channels in (GREY, COLOUR)}
        return next(((side, channels) for channels, side in sides.items() if side**2 * channels == shape[0]), (0, 0))
    if len(shape) not in (_IMAGE, _GREY_IMAGE):
        return 0, 0
    height, width, channels = (*shape, GREY)[:_IMAGE]
    return (height or 0) if height == width else 0, channels if channels in (GREY, COLOUR) else 0


def _parents_first(exploration: Exploration) -> list[str]:
    """The hyperparameters in the order in which they were asked for, each after those of its conditions."""
    names: list[str] = []

    def add(name: str, children: tuple[str, ...] = ()) -> None:
        for parent, _ in exploration.conditions(name):
            if parent not in children:
                add(parent, (*children, name))
        if name not in names:
            names.append(name)

    for name in exploration.hyperparameters:
        add(name)
    return names


def _hyperparameter(exploration: Exploration, name: str, keys: dict[str, str]) -> Hyperparameter:
    hp, key = exploration.hyperparameters[name], keys[name]
    conditions = []
    for parent, values in exploration.conditions(name):
        lower = keys[parent] == "optimizer"
        conditions.append((keys[parent], tuple(str(v).lower() if lower else v for v in values)))
    values = listed(hp) if not hasattr(hp, "step") or len(listed(hp)) == 1 else ()
    own_values: tuple[Value, ...] = ()
    if key == "optimizer":
        if unknown := [value for value in values if not known_optimizer(str(value))]:
            raise ConfigError(f"the hyperparameter {name!r} has {unknown[0]!r}, which is no optimizer of Keras")
        values, own_values = tuple(str(value).lower() for value in values), values
    kind = "float" if key in ("learning_rate", "momentum") else _KINDS.get(type(hp.default), "")
    if not kind:
        raise ConfigError(f"the hyperparameter {name!r} has the value {hp.default!r}; valid: a number, text or flag")
    if kind == "float" and values:
        values, own_values = tuple(float(value) for value in values), values
    default = str(hp.default).lower() if key == "optimizer" else float(hp.default) if kind == "float" else hp.default
    return Hyperparameter(
        name=name,
        key=key,
        kind=kind,
        default=default,
        values=values,
        own_values=own_values,
        conditions=tuple(conditions),
        low=getattr(hp, "min_value", 0.0),
        high=getattr(hp, "max_value", 0.0),
        step=getattr(hp, "step", None),
        log=getattr(hp, "sampling", "linear") == "log",
    )

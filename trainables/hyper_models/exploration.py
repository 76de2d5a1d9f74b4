"""Finds the hyperparameters of a hypermodel: it builds some of its networks, without memory for their weights.

A hyperparameter may appear only with some values of others: KerasTuner's `conditional_scope` declares that, but a loop
over `range(hp.Int("blocks", 1, 5))` does not. So networks are built with other values than the defaults, many
hyperparameters changed at once; where that changes which hyperparameters are used, the one responsible is searched for
by halves, and then tried with each of its values.
"""

import itertools
import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import keras

from trainables.config import Value
from trainables.errors import ConfigError
from trainables.hyper_models.compiled import Compiled, compiled, optimizers_allowed
from trainables.hyper_models.hyperparameters import Hyperparameters

Build = Callable[[Any], Any]
"""A hypermodel's `build(hp)`."""

_FOLDER: Final = Path(__file__).parent

_MOST_BUILDS: Final = 150
"""After so many networks, a hyperparameter that was not discovered is refused when a network asks for it."""

_MOST_VALUES: Final = 32
"""The most values of a hyperparameter that are each tried to find out when others are used."""

_MOST_LISTED: Final = 1000
"""The most values of a stepped range that are listed."""

_SAMPLES: Final = 3
"""Random networks that are built at the end."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network that was built.

    Attributes:
        values: the values of the hyperparameters that it used.
        compiled: what compile() said; None if the model was not compiled, or not built.
        input_shape: the shape of its input, or None if it takes any.
        problem: why it could not be built.
        is_refused: whether it could be built, but not trained here.
    """

    values: Mapping[str, Value]
    compiled: Compiled | None = None
    input_shape: tuple[int | None, ...] | None = None
    problem: str | None = None
    is_refused: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The hyperparameters that it used."""
        return frozenset(self.values)


@dataclass(kw_only=True)
class Exploration:
    """The networks of a hypermodel that were built, and the hyperparameters that these asked for.

    Attributes:
        build: the hypermodel's `build(hp)`.
        hyperparameters: KerasTuner's, by their names, in the order in which they were asked for.
        scans: for each hyperparameter that changes which others are used, the names used with each of its values.
    """

    build: Build
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    scans: dict[str, dict[Value, frozenset[str]]] = field(default_factory=dict)
    declared: dict[str, set[tuple[tuple[str, tuple[Value, ...]], ...]]] = field(default_factory=dict)
    networks: dict[tuple[tuple[str, Value], ...], Network] = field(default_factory=dict)

    def run(self) -> None:
        """Builds networks until no more hyperparameters appear.

        Raises:
            ConfigError: if the default network cannot be built, or the hyperparameters change between builds.
        """
        default = self._default()
        waiting: list[tuple[dict[str, Value], frozenset[str]]] = [({}, default.names)]
        explored = set(default.names)
        while waiting and len(self.networks) < _MOST_BUILDS:
            base, names = waiting.pop(0)
            for name in sorted(self._parents(base, names), key=[*self.hyperparameters].index):
                for value in self._scan(base, name):
                    new = self.network({**base, name: value}).names - explored
                    explored |= new
                    if new:
                        waiting.append(({**base, name: value}, new))
        draw = random.Random(0)  # noqa: S311 (no secret)
        for _ in range(_SAMPLES):
            self.network({name: draw.choice(_values(hp)) for name, hp in [*self.hyperparameters.items()]})

    def network(self, values: Mapping[str, Value]) -> Network:
        """The network with these values, and defaults of the others; it is built once."""
        key = tuple(sorted(values.items()))
        if key not in self.networks:
            self.networks[key] = self._build(values)
        return self.networks[key]

    def conditions(self, name: str) -> tuple[tuple[str, tuple[Value, ...]], ...]:
        """When a hyperparameter is used; empty if it always is, or if that could not be told."""
        declared = self.declared[name]
        if len(declared) != 1:
            return ()
        (conditions,) = declared
        for parent, uses in self.scans.items():
            values = tuple(value for value, names in uses.items() if name in names)
            if parent != name and 0 < len(values) < len(uses) and parent not in dict(conditions):
                conditions = (*conditions, (parent, values))
        fits = all(
            all(parent in each.values and each.values[parent] in values for parent, values in conditions)
            for each in self.networks.values()
            if name in each.names
        )
        return conditions if fits else next(iter(declared))

    def _default(self) -> Network:
        first = self.network({})
        if first.problem is not None:
            raise ConfigError(f"the hypermodel's default network could not be built: {first.problem}")
        second = self._build({})
        if changed := first.names ^ second.names:
            raise ConfigError(
                f"the hyperparameters change between two equal builds: {', '.join(sorted(changed))}; valid: names that "
                "depend on values of hp alone"
            )
        return first

    def _build(self, values: Mapping[str, Value]) -> Network:
        hp = Hyperparameters()
        hp.values = dict(values)
        problem, facts, shape, refused = None, None, None, False
        with keras.StatelessScope(initialize_variables=False), optimizers_allowed():
            try:
                model = self.build(hp)
                if not isinstance(model, keras.Model):
                    raise ConfigError(f"build returns {type(model).__name__}; valid: a keras.Model")
                facts, shape = compiled(model), _input_shape(model)
            except Exception as error:  # noqa: BLE001 (a user's code may raise anything)
                problem, refused = describe(error), isinstance(error, ConfigError)
        self._note(hp)
        used = {each.name: hp.values[each.name] for each in hp.space if hp.is_active(each)}
        keras.backend.clear_session(free_memory=False)
        return Network(values=used, compiled=facts, input_shape=shape, problem=problem, is_refused=refused)

    def _note(self, hp: Hyperparameters) -> None:
        """Adds what a network asked for.

        Raises:
            ConfigError: if a hyperparameter had other values in an earlier network.
        """
        for each in hp.space:
            earlier = self.hyperparameters.setdefault(each.name, each)
            if _domain(earlier) != _domain(each):
                raise ConfigError(
                    f"the hyperparameter {each.name!r} changes between builds: {_words(earlier)}, then {_words(each)}; "
                    "valid: the same values in each, or two names"
                )
            conditions = tuple((condition.name, tuple(condition.values)) for condition in each.conditions)
            self.declared.setdefault(each.name, set()).add(conditions)

    def _parents(self, base: dict[str, Value], names: frozenset[str]) -> set[str]:
        """Those of these hyperparameters that change which others are used."""
        others = {name: _others(self.hyperparameters[name]) for name in names}
        rounds = itertools.zip_longest(*([(name, value) for value in values] for name, values in others.items()))
        parents: set[str] = set()
        for each in rounds:
            changes = dict(pair for pair in each if pair is not None)
            parents |= self._responsible(base, changes)
        return parents

    def _responsible(self, base: dict[str, Value], changes: dict[str, Value]) -> set[str]:
        """Those of these changes that change which hyperparameters are used."""
        usual, network = self.network(base), self.network({**base, **changes})
        if len(self.networks) >= _MOST_BUILDS or (network.problem is None and network.names == usual.names):
            return set()
        if len(changes) == 1:
            return set(changes) if network.problem is None or network.names - usual.names else set()
        pairs = [*changes.items()]
        half = len(pairs) // 2
        return self._responsible(base, dict(pairs[:half])) | self._responsible(base, dict(pairs[half:]))

    def _scan(self, base: dict[str, Value], name: str) -> Iterator[Value]:
        """The values of a hyperparameter that were each tried."""
        values = _values(self.hyperparameters[name])
        if len(values) > _MOST_VALUES:
            values = [values[0], values[len(values) // 2], values[-1]]
        else:
            uses = {value: self.network({**base, name: value}) for value in values}
            self.scans[name] = {value: network.names for value, network in uses.items() if network.problem is None}
        yield from values


def describe(error: Exception) -> str:
    """An error in one line, with the place in the hypermodel's code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        each for each in frames if "site-packages" not in each.filename and _FOLDER not in Path(each.filename).parents
    ]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}{place}"


def listed(hp: Any) -> tuple[Value, ...]:
    """The values of one of KerasTuner's hyperparameters; none if it is a range."""
    kind = type(hp).__name__
    if kind == "Boolean":
        return (False, True)
    if kind == "Choice":
        return tuple(dict.fromkeys(hp.values))
    if kind == "Fixed":
        return (hp.value,)
    if hp.min_value == hp.max_value:
        return (hp.min_value,)
    if hp.step is None or (hp.step == 1 and kind == "Int"):
        return ()
    values = tuple(itertools.islice(_steps(hp), _MOST_LISTED + 1))
    return values if len(values) <= _MOST_LISTED else ()


def _steps(hp: Any) -> Iterator[Value]:
    whole = type(hp).__name__ == "Int"
    for number in itertools.count():
        value = hp.min_value * hp.step**number if hp.sampling == "log" else hp.min_value + hp.step * number
        value = round(value) if whole else float(f"{value:.12g}")
        if value > hp.max_value * (1 if whole else 1 + 1e-9):
            return
        yield value


def _values(hp: Any) -> Sequence[Value]:
    """All values, or for a range of numbers its ends."""
    if values := listed(hp):
        return values
    if type(hp).__name__ == "Int" and hp.max_value - hp.min_value < _MOST_VALUES:
        return range(hp.min_value, hp.max_value + 1)
    return (hp.min_value, hp.max_value)


def _others(hp: Any) -> list[Value]:
    """The values to try besides the default: of numbers the largest and the smallest."""
    values = _values(hp)
    if len(values) > 1 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values = (max(values), min(values))
    return [value for value in values if value != hp.default]


def _domain(hp: Any) -> dict[str, Any]:
    return {key: value for key, value in hp.get_config().items() if key not in ("conditions", "default", "ordered")}


def _words(hp: Any) -> str:
    values = listed(hp)
    return f"values {', '.join(map(str, values))}" if values else f"{hp.min_value} to {hp.max_value}"


def _input_shape(model: keras.Model) -> tuple[int | None, ...] | None:
    try:
        return tuple(model.input_shape[1:])
    except (AttributeError, TypeError):  # a Sequential model without an input, a model with several inputs
        return None

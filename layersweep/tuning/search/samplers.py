"""What draws the configurations of a tuned arm.

A drawer keeps nothing but what it drew and what it was told: each draw is a pure function of these, of the seed and of
the arm's name. So one that is made anew from what earlier commands recorded goes on as if it had never stopped.
"""

import hashlib
import itertools
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from layersweep.tuning.experiment.tuned_arms import TunedArm
from search_spaces.ranges import Range
from trainables import config as domains
from trainables.config import Dataclass, Value

RANDOM_POINTS: Final = 4
"""Points that HyperOpt draws at random before it models what it was told; Ray's default is 20, a whole search here."""

GAMMA: Final = 1.0
"""HyperOpt takes the best gamma * sqrt(n) of n points for good: with its 0.25, one up to n = 16. Of 12 candidates for
one key over four decades, the best lay 0.13 decades from the optimum (mean of 25 seeds and two optima, no noise), with
1.0 it lay 0.08, and at random 0.14."""


class NotYet:
    """What a drawer gives as long as it thinks about the next configuration."""


NOT_YET: Final = NotYet()

_TRIES: Final = 20
"""Suggestions that may repeat themselves before the first configuration in the order of the space is taken."""


class Sampler(Protocol):
    """What decides which configuration of an arm is tried next."""

    def draw(self) -> Dataclass | NotYet | None:
        """The next configuration, never one that was drawn before; None if there is no other, NOT_YET if it thinks."""

    def tell(self, config: Dataclass, value: float | None) -> None:
        """Says how a drawn one ended: the metric, or None if it failed or diverged.

        Raises:
            KeyError: if it was never drawn.
        """


def drawer(
    arm: TunedArm,
    *,
    search: Literal["random", "hyperopt"],
    seed: int,
    metric: str,
    mode: str,
    recorded: Sequence[Dataclass] = (),
) -> Sampler:
    """What draws an arm's configurations, as it stands after it drew those recorded; tell it how these ended.

    Args:
        arm: what is searched.
        search: random draws each without regard to what it is told; hyperopt learns, by HyperOpt's TPE (Bergstra et
            al. 2011), after some random points, and takes a pending point for a bad one.
        seed: with the arm's name, what the draws depend on.
        metric: the name of what is told.
        mode: whether it is better when larger (max) or smaller (min).
        recorded: the configurations drawn by earlier commands, in their order. Those that the arm no longer holds,
            since the command was narrowed, teach nothing.
    """
    if search == "random":
        return _RandomSampler(arm, seed, recorded)
    return _HyperOptSampler(arm, seed, metric, mode, recorded)


class _UniqueSampler(ABC):
    """Draws the first of its suggestions that was not drawn, else the first configuration of the arm that was not.

    What was drawn has the metric that was told of it: None before its end, NaN if it failed or diverged.
    """

    def __init__(self, arm: TunedArm, seed: int, recorded: Sequence[Dataclass]) -> None:
        self._arm, self._seed = arm, seed
        self._drawn: dict[Dataclass, float | None] = dict.fromkeys(recorded)

    @abstractmethod
    def _suggestions(self) -> Iterator[Dataclass]:
        """Configurations to take, one of which may have been drawn."""

    def draw(self) -> Dataclass | None:
        """See `Sampler`."""
        candidates = itertools.chain(self._suggestions(), _all(self._arm))
        config = next((c for c in candidates if c not in self._drawn), None)
        if config is not None:
            self._drawn[config] = None
        return config

    def tell(self, config: Dataclass, value: float | None) -> None:
        """See `Sampler`."""
        if config not in self._drawn:
            raise KeyError(config)
        self._drawn[config] = math.nan if value is None else value


class _RandomSampler(_UniqueSampler):
    """Candidate k depends on seed, arm's name and k alone; those that were drawn are left out."""

    def _suggestions(self) -> Iterator[Dataclass]:
        for k in range(len(self._drawn) + _TRIES):
            yield _candidate(self._arm, self._seed, k)


class _HyperOptSampler(_UniqueSampler):
    """Ray's HyperOptSearch, made anew for each draw from what was drawn and told until then."""

    def __init__(self, arm: TunedArm, seed: int, metric: str, mode: str, recorded: Sequence[Dataclass]) -> None:
        super().__init__(arm, seed, recorded)
        self._metric, self._mode = metric, mode

    def _suggestions(self) -> Iterator[Dataclass]:
        """One after the other; one that is not taken stays pending, so that HyperOpt turns away from it."""
        search = self._searcher()
        for k in range(_TRIES):
            yield _config(self._arm, search.suggest(f"new {k}"))

    def _searcher(self) -> Any:
        from ray.tune.search.hyperopt import HyperOptSearch

        # Latest first: Ray numbers the points from the end, and HyperOpt forgets (from 25 on) those of small number.
        points = [(config, value) for config, value in self._drawn.items() if self._arm.holds(config)][::-1]
        search = HyperOptSearch(
            metric=self._metric,
            mode=self._mode,
            points_to_evaluate=[{key: getattr(config, key) for key in self._arm.searched} for config, _ in points],
            n_initial_points=RANDOM_POINTS,
            gamma=GAMMA,
            random_state_seed=_number(self._seed, self._arm.name, len(self._drawn)),
        )
        # Given to HyperOptSearch() itself, Tune's domains make it warn.
        search.set_search_properties(self._metric, self._mode, _tune_domains(self._arm))
        worst = -math.inf if self._mode == "max" else math.inf
        for k, (_, value) in enumerate(points):
            search.suggest(f"drawn {k}")
            if value is not None:
                told = value if math.isfinite(value) else worst
                search.on_trial_complete(f"drawn {k}", {self._metric: told})
        return search


def _all(arm: TunedArm) -> Iterator[Dataclass]:
    """Every configuration of an arm, or none where numbers are real: these do not run out."""
    kinds = domains.types(arm.config_type)
    if any(isinstance(values, Range) and kinds[key] is float for key, values in arm.searched.items()):
        return
    lists = [range(int(v.low), int(v.high) + 1) if isinstance(v, Range) else v for v in arm.searched.values()]
    for combination in itertools.product(*lists):
        yield _config(arm, dict(zip(arm.searched, combination, strict=True)))


def _candidate(arm: TunedArm, seed: int, k: int) -> Dataclass:
    draws = random.Random(f"{seed} {arm.name} {k}")  # noqa: S311 (a search, no secret); random() alone never changes
    kinds = domains.types(arm.config_type)
    return _config(arm, {key: _at(values, kinds[key], draws.random()) for key, values in arm.searched.items()})


def _at(values: Sequence[Value] | Range, kind: type, share: float) -> Value:
    """The value at a share (0 to below 1) of a list, or of a Range: of whole numbers, each up to the next is one."""
    if not isinstance(values, Range):
        return values[int(share * len(values))]
    high = values.high + 1 if kind is int else values.high
    drawn = values.low * (high / values.low) ** share if values.log else values.low + share * (high - values.low)
    return math.floor(drawn) if kind is int else drawn


def _config(arm: TunedArm, drawn: Mapping[str, Any]) -> Dataclass:
    """A configuration of plain values; a number that rounding took out of its Range is put back."""
    kinds = domains.types(arm.config_type)
    plain = {
        key: kinds[key](min(max(value, values.low), values.high))
        if isinstance(values := arm.searched[key], Range)
        else value
        for key, value in drawn.items()
    }
    return domains.make(arm.config_type, {**arm.fixed, **plain})


def _tune_domains(arm: TunedArm) -> dict[str, Any]:
    from ray import tune

    def domain(values: Sequence[Value] | Range, kind: type) -> object:
        if not isinstance(values, Range):
            return tune.choice(list(values))
        if kind is int:
            return (tune.lograndint if values.log else tune.randint)(int(values.low), int(values.high) + 1)
        return (tune.loguniform if values.log else tune.uniform)(values.low, values.high)

    kinds = domains.types(arm.config_type)
    return {key: domain(values, kinds[key]) for key, values in arm.searched.items()}


def _number(*parts: object) -> int:
    """A seed for NumPy, the same in every process."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")

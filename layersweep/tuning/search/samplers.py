"""Samplers: they draw the configurations of a tuned arm.

A sampler keeps nothing except what it drew and how those configurations ended: each draw is a pure function of these,
of the seed and of the arm's name. So a new sampler that gets what earlier commands recorded goes on as if it had never
stopped. Spaces are flat: Ray's HyperOptSearch fails on nested ones.
"""

import hashlib
import itertools
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Literal, Protocol

from layersweep.tuning.experiment.tuned_arms import TunedArm
from search_spaces.ranges import Range
from trainables import config as domains
from trainables.config import Dataclass, Value

RANDOM_POINTS: Final = 4
"""Points that HyperOpt draws at random before it models; Ray's default, 20, is more than a whole search here."""

GAMMA: Final = 1.0
"""HyperOpt takes the best gamma * sqrt(n) of n points as good ones; with its default of 0.25 that is one point up to
n = 16. Measured for 12 candidates of one key over four decades (mean of 25 seeds and two optima, no noise): the best
candidate was 0.13 decades from the optimum with 0.25, 0.08 with 1.0, and 0.14 with random search."""


class NotYet:
    """What a sampler returns while it still computes the next configuration."""


NOT_YET: Final = NotYet()

_TRIES: Final = 20
"""Suggestions that may repeat earlier ones before the first unused configuration of the space is taken."""


class Sampler(Protocol):
    """Decides which configuration of an arm is tried next."""

    def draw(self) -> Dataclass | NotYet | None:
        """The next configuration, never an earlier one again; None if no other exists, NOT_YET while it computes."""

    def tell(self, config: Dataclass, value: float | None) -> None:
        """Notes how a configuration ended: with this metric, or None if its training failed or diverged.

        Raises:
            KeyError: if the configuration was never drawn.
        """


def sampler(
    arm: TunedArm,
    *,
    search: Literal["random", "hyperopt"],
    seed: int,
    metric: str,
    mode: str,
    earlier_configs: Sequence[Dataclass] = (),
) -> Sampler:
    """A sampler of an arm's configurations, in its state after it drew `earlier_configs`; tell it how these ended.

    Args:
        arm: what is searched.
        search: `random` draws each configuration independently of the others; `hyperopt` learns from them by
            HyperOpt's TPE (Bergstra et al. 2011) after some random points, and counts a running one as bad.
        seed: the draws depend on it and on the arm's name.
        metric: the name of the metric.
        mode: whether the metric is better when larger (max) or smaller (min).
        earlier_configs: the configurations that earlier commands drew, in their order. Those that are no longer in
            the arm's space teach nothing.
    """
    if search == "random":
        return _RandomSampler(arm, seed, earlier_configs)
    return _HyperOptSampler(arm, seed, metric, mode, earlier_configs)


class _UniqueSampler(ABC):
    """Draws its first suggestion that is new, else the first configuration of the arm that is.

    `_metrics` has the metric of each drawn configuration: None before its end, NaN if it failed or diverged.
    """

    def __init__(self, arm: TunedArm, seed: int, earlier_configs: Sequence[Dataclass]) -> None:
        self._arm, self._seed = arm, seed
        self._metrics: dict[Dataclass, float | None] = dict.fromkeys(earlier_configs)

    @abstractmethod
    def _suggestions(self) -> Iterator[Dataclass]:
        """Configurations to try; some may have been drawn already."""

    def draw(self) -> Dataclass | None:
        """See `Sampler`."""
        candidates = itertools.chain(self._suggestions(), _all_configurations(self._arm))
        config = next((c for c in candidates if c not in self._metrics), None)
        if config is not None:
            self._metrics[config] = None
        return config

    def tell(self, config: Dataclass, value: float | None) -> None:
        """See `Sampler`."""
        if config not in self._metrics:
            raise KeyError(config)
        self._metrics[config] = math.nan if value is None else value


class _RandomSampler(_UniqueSampler):
    """Candidate k depends only on the seed, the arm's name and k."""

    def _suggestions(self) -> Iterator[Dataclass]:
        for k in range(len(self._metrics) + _TRIES):
            yield _candidate(self._arm, self._seed, k)


class _HyperOptSampler(_UniqueSampler):
    """Ray's HyperOptSearch, made again for each draw from the configurations so far and how they ended."""

    def __init__(self, arm: TunedArm, seed: int, metric: str, mode: str, earlier_configs: Sequence[Dataclass]) -> None:
        super().__init__(arm, seed, earlier_configs)
        self._metric, self._mode = metric, mode

    def _suggestions(self) -> Iterator[Dataclass]:
        """One after another; a rejected one stays pending, so that HyperOpt turns away from it."""
        search = self._searcher()
        for k in range(_TRIES):
            yield _config(self._arm, search.suggest(f"new {k}"))

    def _searcher(self) -> Any:
        from ray.tune.search.hyperopt import HyperOptSearch

        # Latest first: Ray numbers the points from the end, and from 25 points on HyperOpt forgets small numbers.
        points = [(config, value) for config, value in self._metrics.items() if self._arm.holds(config)][::-1]
        search = HyperOptSearch(
            metric=self._metric,
            mode=self._mode,
            points_to_evaluate=[_point(self._arm, config) for config, _ in points],
            n_initial_points=RANDOM_POINTS,
            gamma=GAMMA,
            random_state_seed=_number(self._seed, self._arm.name, len(self._metrics)),
        )
        # Given to HyperOptSearch() itself, Tune's domains make it warn.
        search.set_search_properties(self._metric, self._mode, _tune_domains(self._arm))
        worst = -math.inf if self._mode == "max" else math.inf
        for k, (_, value) in enumerate(points):
            search.suggest(f"drawn {k}")
            if value is not None:
                result = value if math.isfinite(value) else worst
                search.on_trial_complete(f"drawn {k}", {self._metric: result})
        return search


def _all_configurations(arm: TunedArm) -> Iterator[Dataclass]:
    """Every configuration of an arm; none if a key has a range of real numbers, which does not run out."""
    kinds = domains.types(arm.config_type)
    if any(isinstance(values, Range) and kinds[key] is float for key, values in arm.search_space.items()):
        return
    lists = [range(int(v.low), int(v.high) + 1) if isinstance(v, Range) else v for v in arm.search_space.values()]
    for combination in itertools.product(*lists):
        yield _config(arm, dict(zip(arm.search_space, combination, strict=True)))


def _candidate(arm: TunedArm, seed: int, k: int) -> Dataclass:
    draws = random.Random(f"{seed} {arm.name} {k}")  # noqa: S311 (a search, no secret); random() alone never changes
    kinds = domains.types(arm.config_type)
    return _config(arm, {key: _at(values, kinds[key], draws.random()) for key, values in arm.search_space.items()})


def _at(values: Sequence[Value] | Range, kind: type, share: float) -> Value:
    """The value at a share (0 to below 1) of a list or a Range; a Range of whole numbers is cut into equal parts."""
    if not isinstance(values, Range):
        return values[int(share * len(values))]
    high = values.high + 1 if kind is int else values.high
    value = values.low * (high / values.low) ** share if values.log else values.low + share * (high - values.low)
    return math.floor(value) if kind is int else value


def _config(arm: TunedArm, suggestion: Mapping[str, Any]) -> Dataclass:
    """A configuration of plain values; a number that rounding took out of its Range is put back."""
    kinds = domains.types(arm.config_type)
    plain = {
        key: kinds[key](min(max(value, values.low), values.high))
        if isinstance(values := arm.search_space[key], Range)
        else value
        for key, value in suggestion.items()
    }
    return arm.config(plain)


def _point(arm: TunedArm, config: Dataclass) -> dict[str, Value]:
    """The values of searched keys in a configuration; of a key that does nothing there, the first that may be drawn."""
    values: dict[str, Value] = asdict(config)
    for key in domains.inactive_keys(arm.config_type, values) & arm.search_space.keys():
        choices = arm.search_space[key]
        values[key] = choices.low if isinstance(choices, Range) else choices[0]
    return {key: values[key] for key in arm.search_space}


def _tune_domains(arm: TunedArm) -> dict[str, Any]:
    from ray import tune

    def domain(values: Sequence[Value] | Range, kind: type) -> object:
        if not isinstance(values, Range):
            return tune.choice(list(values))
        if kind is int:
            return (tune.lograndint if values.log else tune.randint)(int(values.low), int(values.high) + 1)
        return (tune.loguniform if values.log else tune.uniform)(values.low, values.high)

    kinds = domains.types(arm.config_type)
    return {key: domain(values, kinds[key]) for key, values in arm.search_space.items()}


def _number(*parts: object) -> int:
    """A seed for NumPy, the same in every process."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")

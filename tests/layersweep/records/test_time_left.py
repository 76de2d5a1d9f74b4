"""The estimate of the time left, over simulated sweeps: close to the truth, and never doubling."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import pytest
from simulated_sweep import Shown, Simulation

from layersweep.records.time_left import TrialTime, seconds_left

EQUAL = {f"optimizer {i}": 2.0 for i in range(8)}
UNEQUAL = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0, "e": 20.0}
SCREENED = {f"arm {i}": 2.0 + i % 4 for i in range(40)}

ONE = TrialTime(arm="adam", question="comparison", epochs=10)


def growth(shown: list[Shown]) -> float:
    """By what factor the time at which the sweep is said to end was put off at most."""
    ends = [one.time + one.estimate for one in shown if one.estimate is not None]
    return max(end / min(ends[: i + 1]) for i, end in enumerate(ends))


def worst(shown: list[Shown], share: float) -> float:
    """The largest error from a share of the sweep on; a twentieth of the sweep's time is no error."""
    whole = shown[-1].time
    errors = [
        max(0.0, abs(one.estimate - one.truth) - 0.05 * whole) / max(one.truth, 1.0)
        for one in shown
        if one.estimate is not None and one.time >= share * whole
    ]
    return max(errors)


def shown_from(shown: list[Shown]) -> float:
    """The share of the sweep after which something is shown."""
    return next(one.time for one in shown if one.estimate is not None) / shown[-1].time


SWEEPS: Mapping[str, Mapping[str, Any]] = {
    "optimizers": {"arms": EQUAL, "seeds": 3},
    "architectures": {"arms": UNEQUAL, "seeds": 3},
    "the slowest architecture last, on a machine of another speed": {
        "arms": UNEQUAL, "seeds": 3, "by_arm": True, "priors": {arm: 1.7 * time for arm, time in UNEQUAL.items()},
    },
    "epochs shorter than the start of a process": {"arms": dict.fromkeys("abcdefgh", 0.5), "seeds": 3, "epochs": 3},
    "one seed": {"arms": EQUAL, "seeds": 1, "slots": 2},
    "fewer trials than slots": {"arms": UNEQUAL, "seeds": 1, "slots": 8},
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SWEEPS)
def test_the_estimate_does_not_grow_and_is_close(name: str, seed: int) -> None:
    shown = Simulation(**SWEEPS[name], seed=seed).run()
    assert growth(shown) <= 1.25
    assert worst(shown, 0.2) <= 0.25


@pytest.mark.parametrize("seed", range(3))
def test_one_seed_of_equal_arms_is_told_before_all_have_run(seed: int) -> None:
    assert shown_from(Simulation(EQUAL, seeds=1, slots=2, seed=seed).run()) < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_a_slow_arm_that_nobody_has_seen_is_not_guessed(seed: int) -> None:
    shown = Simulation(UNEQUAL, seeds=3, by_arm=True, seed=seed).run()
    assert 0.1 < shown_from(shown) < 0.5
    assert growth(shown) <= 1.25
    assert worst(shown, 0.0) <= 0.25


@pytest.mark.parametrize("seed", range(3))
def test_slots_that_join_shorten_it_at_once(seed: int) -> None:
    shown = Simulation(EQUAL, seeds=5, more_slots=(150.0, 4), seed=seed).run()
    assert growth(shown) <= 1.25
    assert worst([one for one in shown if one.time >= 150.0], 0.0) <= 0.25


@pytest.mark.parametrize("seed", range(4))
def test_a_screening_counts_those_who_will_survive_it(seed: int) -> None:
    shown = Simulation(SCREENED, seeds=3, epochs=27, slots=8, rungs=(3, 9), seed=seed).run()
    assert shown_from(shown) < 0.2
    assert growth(shown) <= 2.0  # how many survive is a guess at first
    assert worst(shown, 0.5) <= 0.25
    naive = [len(SCREENED) * 3 * 27 * 3.5 / 8 for one in shown if one.estimate is None]
    assert all(one.estimate is None or one.estimate < naive[0] / 2 for one in shown)  # not as if all survived


def test_nothing_is_known_before_the_first_epoch_but_what_earlier_commands_tell() -> None:
    trials = [dataclasses.replace(ONE, prior_seconds=3.0)] * 4
    assert seconds_left([ONE] * 4, slots=2) is None
    assert seconds_left(trials, slots=2) == pytest.approx(60.0)


def test_what_has_ended_leaves_nothing() -> None:
    ended = dataclasses.replace(ONE, state="ended", epoch=10, epochs_here=10, epoch_seconds=20.0)
    assert seconds_left([ended], slots=2) == 0.0


def test_idle_slots_at_the_end_count() -> None:
    trials = [dataclasses.replace(ONE, prior_seconds=1.0)] * 5
    assert seconds_left(trials, slots=4) == pytest.approx(20.0)  # not 12.5


def test_what_each_trial_takes_once_is_no_part_of_an_epoch() -> None:
    ended = dataclasses.replace(ONE, state="ended", epoch=10, epochs_here=10, epoch_seconds=20.0, once_seconds=5.0)
    assert seconds_left([ended, ONE, ONE], slots=1) == pytest.approx(50.0)


def test_candidates_of_searches_that_time_limits_take_that_time() -> None:
    candidate = dataclasses.replace(ONE, question="tuning", prior_seconds=2.0)
    compared = dataclasses.replace(ONE, prior_seconds=2.0)
    assert seconds_left([candidate, compared], slots=1, search_seconds=60.0) == pytest.approx(80.0)
    assert seconds_left([candidate, compared], slots=1) == pytest.approx(40.0)


def test_epochs_that_searches_may_still_draw_count() -> None:
    assert seconds_left([dataclasses.replace(ONE, prior_seconds=2.0)], slots=1, other_epochs=25) == pytest.approx(70.0)


def test_a_million_epochs_cost_no_time_to_estimate() -> None:
    trials = [dataclasses.replace(ONE, arm=f"arm {i % 100}", prior_seconds=2.0) for i in range(10_000)]
    assert seconds_left(trials, slots=10) == pytest.approx(20_000.0)


def test_a_trial_that_hangs_leaves_no_negative_time() -> None:
    running = dataclasses.replace(ONE, state="running", epoch=9, epochs_here=9, epoch_seconds=180.0, since_epoch=1e6)
    left = seconds_left([running], slots=1)
    assert left == 0.0
    assert not math.isnan(left)

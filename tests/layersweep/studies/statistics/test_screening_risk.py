"""What a screening risked: numbers by hand, calibration by simulation, and the words."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from compared_sweep import compared
from recorded_sweep import Sweep
from scipy import stats

from layersweep.studies.statistics.screening_risk import (
    ScreeningRisk,
    pass_probabilities,
    repeated_noise,
    screening_risk,
)


def test_an_arm_far_from_its_like_differs_by_the_noise_of_two_trainings() -> None:
    # arms that spread far more than their noise: nothing is shrunk; the cutoff moves by pi / 2 of 1/1000
    field = np.linspace(-1e4, 1e4, 1000)
    p = pass_probabilities(np.array([0.0]), np.array([1.0]), field, 1.0, df=10**6)
    assert p[0] == pytest.approx(stats.norm.sf(1 / np.sqrt(2 + np.pi / 2000)), abs=1e-4)


def test_arms_that_differ_by_noise_alone_are_all_like_the_mean() -> None:
    field = np.array([-1.0, 0.0, 1.0])
    p = pass_probabilities(np.array([-1.0]), np.array([0.0]), field, 5.0, df=10**6)
    assert p[0] == pytest.approx(0.5)


@pytest.mark.parametrize("spread", [0.7, 1.7, 4.0])
def test_the_expected_number_is_what_happens_on_another_seed(spread: float) -> None:
    rng = np.random.default_rng(1)
    expected, passed = [], []
    for _ in range(400):
        arms = rng.normal(0, spread, 81)
        first, second = arms + rng.normal(size=81), arms + rng.normal(size=81)
        is_stopped = first < np.median(first)
        cutoffs = np.full(is_stopped.sum(), np.median(first))
        noise = np.sqrt(rng.chisquare(8) / 8)
        expected.append(pass_probabilities(first[is_stopped], cutoffs, first, noise, df=8).sum())
        passed.append((second[is_stopped] >= np.median(second)).sum())
    assert np.mean(expected) == pytest.approx(np.mean(passed), rel=0.12)


def test_the_noise_is_that_beside_arms_and_seeds() -> None:
    # a two-way table by hand: residuals ±.01, one degree of freedom, sum of squares 4 * .01²
    values = [0.50, 0.60, 0.54, 0.60]
    points = pl.DataFrame(
        {"arm": ["a", "a", "b", "b"], "seed": [1, 2, 1, 2], "fold": [None] * 4, "val_accuracy": values}
    )
    assert repeated_noise(points) == (pytest.approx(0.02), 1)
    assert repeated_noise(points.head(2)) == (0.0, 0)


def screened(sweep: Sweep, seeds: tuple[int, ...]) -> Any:
    for i in range(6):
        is_stopped = i < 3
        stop: dict[str, Any] = {"rung": 1, "cutoff": 0.53} if is_stopped else {}
        curve = [0.5 + i / 100, 0.7, 0.8 + i / 100][: 1 if is_stopped else 3]
        outcome = "stopped" if is_stopped else "completed"
        sweep.trial(f"arm{i}", 0, curve, outcome, question="screening", config={"units": i}, **stop)
        for seed in seeds if not is_stopped else ():
            noise = (0.01 if (i + seed) % 2 else -0.01) * seed
            sweep.trial(f"arm{i}", seed, [0.5 + i / 100 + noise, 0.7, 0.8 + i / 100], config={"units": i})
    return compared(sweep)


def test_the_stopped_arms_of_a_sweep_are_judged_at_their_rung(sweep: Sweep) -> None:
    risk = screening_risk(screened(sweep, (1, 2, 3)))
    assert (risk.stopped, risk.judged) == (3, 3)
    assert 0 < risk.expected < 3
    assert risk.low <= risk.expected <= risk.high


def test_without_repeated_arms_no_number_is_given(sweep: Sweep) -> None:
    risk = screening_risk(screened(sweep, (1,)))
    assert (risk.stopped, risk.judged) == (3, 0)
    assert risk.sentence.startswith("How many of 3 stopped arms would pass on another seed is unknown")


def test_the_sentence_has_at_most_25_words() -> None:
    known = ScreeningRisk(stopped=70, judged=70, expected=11.6, low=7, high=17)
    assert known.sentence == "About 12 of 70 stopped arms would pass on another seed (95 % range: 7 to 17)."
    unknown = ScreeningRisk(stopped=70, judged=0, expected=0, low=0, high=0)
    assert max(len(risk.sentence.split()) for risk in (known, unknown)) <= 25
    assert ScreeningRisk(stopped=0, judged=0, expected=0, low=0, high=0).sentence == ""


def test_without_any_noise_an_arm_passes_or_not() -> None:
    values = np.array([0.4, 0.5, 0.6])
    assert pass_probabilities(values, np.full(3, 0.5), values, 0.0, df=3).tolist() == [0.0, 1.0, 1.0]

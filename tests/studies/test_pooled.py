"""The statistics, against numbers worked out by hand or by scipy's own tests."""

import math

import pytest
from scipy import stats

from studies.pooled import holm, pooled, verdicts


def long(table: dict[str, list[float]]) -> tuple[list[str], list[int], list[float]]:
    cells = [(arm, seed, value) for arm, row in table.items() for seed, value in enumerate(row)]
    return [c[0] for c in cells], [c[1] for c in cells], [c[2] for c in cells]


def test_variance_is_pooled_over_arms_and_seeds() -> None:
    # grand mean 4; arm means 2, 3, 7; seed means 3, 4, 5; residuals of arm + seed:
    # a: 1-(2+3-4)=0, 2-2=0, 3-3=0   b: 3-2=1, 2-3=-1, 4-4=0   c: 5-6=-1, 8-7=1, 8-8=0   → RSS 4, df 4
    fit = pooled(*long({"a": [1, 2, 3], "b": [3, 2, 4], "c": [5, 8, 8]}))
    assert fit is not None
    assert (fit.model, fit.df) == ("arm + seed", 4)
    assert fit.deviation == pytest.approx(1.0)
    assert fit.effects == pytest.approx({"a": 2, "b": 3, "c": 7})
    t = (7 - 3) / math.sqrt(1.0 * 2 / 3)
    assert fit.p_value("c", "b") == pytest.approx(2 * stats.t.sf(t, 4))
    assert fit.half_width(3) == pytest.approx(stats.t.ppf(0.975, 4) / math.sqrt(3))


def test_two_arms_are_the_paired_t_test() -> None:
    a, b = [0.91, 0.93, 0.92, 0.95], [0.90, 0.91, 0.92, 0.93]
    fit = pooled(*long({"a": a, "b": b}))
    assert fit is not None
    assert fit.p_value("a", "b") == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_a_missing_seed_is_adjusted_for() -> None:
    # b lacks the good seed 2 and still is .1 below a on each seed that both have
    arms, seeds, values = ["a", "a", "a", "b", "b"], [0, 1, 2, 0, 1], [1.0, 2.0, 9.0, 0.9, 1.9]
    fit = pooled(arms, seeds, values)
    assert fit is not None
    assert (fit.model, fit.df) == ("arm + seed", 1)
    assert fit.effects["a"] - fit.effects["b"] == pytest.approx(0.1)


def test_unconnected_seeds_fall_back_to_arms_alone() -> None:
    fit = pooled(["a", "a", "b", "b"], [0, 1, 2, 3], [1.0, 3.0, 5.0, 7.0])
    assert fit is not None
    assert (fit.model, fit.df) == ("arm", 2)
    assert fit.p_value("a", "b") == pytest.approx(stats.ttest_ind([1.0, 3.0], [5.0, 7.0]).pvalue)


def test_one_seed_has_nothing_to_test() -> None:
    assert pooled(["a", "b", "c"], [0, 0, 0], [0.1, 0.2, 0.3]) is None


def test_equal_values_have_no_variance_and_no_warning() -> None:
    fit = pooled(*long({"a": [0.5, 0.5], "b": [0.5, 0.5], "c": [0.1, 0.1]}))
    assert fit is not None
    assert verdicts(fit)[0] == {"a": "tied", "b": "tied", "c": "worse"}


def test_holm_steps_down_and_never_decreases() -> None:
    # sorted .01, .02, .04, times 3, 2, 1 → .03, .04, .04
    assert holm({"x": 0.04, "y": 0.01, "z": 0.02}) == pytest.approx({"x": 0.04, "y": 0.03, "z": 0.04})
    assert holm({"x": 0.6, "y": 0.5}) == {"x": 1.0, "y": 1.0}


def test_best_needs_every_other_arm_to_be_worse() -> None:
    clear = pooled(*long({"a": [0.93, 0.931, 0.932], "b": [0.90, 0.901, 0.903], "c": [0.80, 0.801, 0.8015]}))
    close = pooled(*long({"a": [0.93, 0.931, 0.932], "b": [0.931, 0.930, 0.929], "c": [0.80, 0.801, 0.8015]}))
    assert clear is not None
    assert close is not None
    assert verdicts(clear)[0] == {"a": "best", "b": "worse", "c": "worse"}
    assert verdicts(close)[0] == {"a": "tied", "b": "tied", "c": "worse"}

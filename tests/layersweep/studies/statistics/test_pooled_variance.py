"""The statistics, against numbers worked out by hand or by scipy's own tests."""

import math

import numpy as np
import pytest
from scipy import stats

from layersweep.studies.statistics.pooled_variance import (
    Fit,
    arms_of_similar_spread,
    fit_arms,
    fit_pool,
    holm,
    verdicts,
    welch,
)


def long(table: dict[str, list[float]]) -> tuple[list[str], list[int], list[float]]:
    cells = [(arm, seed, value) for arm, row in table.items() for seed, value in enumerate(row)]
    return [c[0] for c in cells], [c[1] for c in cells], [c[2] for c in cells]


def fit_of(table: dict[str, list[float]]) -> Fit:
    fit = fit_arms(*long(table))
    assert fit is not None
    return fit


def seeds_of(mean: float, sd: float, order: tuple[int, int, int] = (0, 1, 2)) -> list[float]:
    """Three values with exactly that mean and standard deviation; `order` says which seed is the middle one."""
    base = np.array([-1.0, 0.0, 1.0])[list(order)]
    return (mean + sd * base).tolist()


MEASURED = {
    "nadam": seeds_of(0.8768, 0.0136),
    "adam": seeds_of(0.8752, 0.0112, (1, 0, 2)),
    "rmsprop": seeds_of(0.8725, 0.0113, (2, 0, 1)),
    "adamax": seeds_of(0.8638, 0.0067, (0, 2, 1)),
    "sgd": seeds_of(0.8523, 0.0119, (1, 2, 0)),
    "adagrad": seeds_of(0.8188, 0.0114, (2, 1, 0)),
    "adadelta": seeds_of(0.5375, 0.0521),
    "ftrl": seeds_of(0.1, 0.0),
}
"""Eight optimizers on three seeds, as they were measured (mean and deviation), the seeds made up."""


def test_variance_is_pooled_over_arms_and_seeds() -> None:
    # grand mean 4; arm means 2, 3, 7; seed means 3, 4, 5; residuals of arm + seed:
    # a: 1-(2+3-4)=0, 2-2=0, 3-3=0   b: 3-2=1, 2-3=-1, 4-4=0   c: 5-6=-1, 8-7=1, 8-8=0   → RSS 4, df 4
    fit = fit_pool(*long({"a": [1, 2, 3], "b": [3, 2, 4], "c": [5, 8, 8]}))
    assert fit is not None
    assert (fit.model, fit.df) == ("arm + seed", 4)
    assert fit.deviation == pytest.approx(1.0)
    assert fit.effects == pytest.approx({"a": 2, "b": 3, "c": 7})
    t = (7 - 3) / math.sqrt(1.0 * 2 / 3)
    assert fit.p_value("c", "b") == pytest.approx(2 * stats.t.sf(t, 4))
    assert fit.half_width(3) == pytest.approx(stats.t.ppf(0.975, 4) / math.sqrt(3))


def test_two_arms_are_the_paired_t_test() -> None:
    a, b = [0.91, 0.93, 0.92, 0.95], [0.90, 0.91, 0.92, 0.93]
    fit = fit_pool(*long({"a": a, "b": b}))
    assert fit is not None
    assert fit.p_value("a", "b") == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_a_missing_seed_is_adjusted_for() -> None:
    # b lacks the good seed 2 and still is .1 below a on each seed that both have
    arms, seeds, values = ["a", "a", "a", "b", "b"], [0, 1, 2, 0, 1], [1.0, 2.0, 9.0, 0.9, 1.9]
    fit = fit_pool(arms, seeds, values)
    assert fit is not None
    assert (fit.model, fit.df) == ("arm + seed", 1)
    assert fit.effects["a"] - fit.effects["b"] == pytest.approx(0.1)


def test_unconnected_seeds_fall_back_to_arms_alone() -> None:
    fit = fit_pool(["a", "a", "b", "b"], [0, 1, 2, 3], [1.0, 3.0, 5.0, 7.0])
    assert fit is not None
    assert (fit.model, fit.df) == ("arm", 2)
    assert fit.p_value("a", "b") == pytest.approx(stats.ttest_ind([1.0, 3.0], [5.0, 7.0]).pvalue)


def test_one_seed_has_nothing_to_test() -> None:
    assert fit_pool(["a", "b", "c"], [0, 0, 0], [0.1, 0.2, 0.3]) is None


def test_equal_values_have_no_variance_and_no_warning() -> None:
    fit = fit_of({"a": [0.5, 0.5], "b": [0.5, 0.5], "c": [0.1, 0.1]})
    assert verdicts(fit)[0] == {"a": "tied", "b": "tied", "c": "worse"}


def test_holm_steps_down_and_never_decreases() -> None:
    # sorted .01, .02, .04, times 3, 2, 1 → .03, .04, .04
    assert holm({"x": 0.04, "y": 0.01, "z": 0.02}) == pytest.approx({"x": 0.04, "y": 0.03, "z": 0.04})
    assert holm({"x": 0.6, "y": 0.5}) == {"x": 1.0, "y": 1.0}


def test_best_needs_every_other_arm_to_be_worse() -> None:
    clear = fit_of({"a": [0.93, 0.931, 0.932], "b": [0.90, 0.901, 0.903], "c": [0.80, 0.801, 0.8015]})
    close = fit_of({"a": [0.93, 0.931, 0.932], "b": [0.931, 0.930, 0.929], "c": [0.80, 0.801, 0.8015]})
    assert verdicts(clear)[0] == {"a": "best", "b": "worse", "c": "worse"}
    assert verdicts(close)[0] == {"a": "tied", "b": "tied", "c": "worse"}


def additive(table: dict[str, list[float]]) -> tuple[float, int]:
    """Deviation and degrees of freedom of arm + seed for complete data: what double centring leaves."""
    values = np.array(list(table.values()))
    residual = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    df = (values.shape[0] - 1) * (values.shape[1] - 1)
    return float(np.sqrt((residual**2).sum() / df)), df


def test_only_arms_that_scatter_alike_are_pooled() -> None:
    fit = fit_of(MEASURED)
    assert fit.unpooled == pytest.approx({"adadelta": 0.0521, "ftrl": 0.0})
    deviation, df = additive({arm: row for arm, row in MEASURED.items() if arm not in fit.unpooled})
    assert fit.pool is not None
    assert (fit.pool.deviation, fit.pool.df) == (pytest.approx(deviation), df)
    assert fit.half_width("sgd") == pytest.approx(stats.t.ppf(0.975, 10) * deviation / 3**0.5)
    assert fit.half_width("adadelta") == pytest.approx(stats.t.ppf(0.975, 2) * 0.0521 / 3**0.5)
    assert fit.half_width("ftrl") is None
    raw = {
        arm: 2 * stats.t.sf((0.8768 - np.mean(MEASURED[arm])) / (deviation * (2 / 3) ** 0.5), df)
        for arm in ("adam", "rmsprop", "adamax", "sgd", "adagrad")
    }
    raw["adadelta"] = stats.ttest_ind(MEASURED["nadam"], MEASURED["adadelta"], equal_var=False).pvalue
    raw["ftrl"] = 2 * stats.t.sf((0.8768 - 0.1) / (deviation * (2 / 3) ** 0.5), df)
    assert verdicts(fit)[1] == pytest.approx(holm(raw))


@pytest.mark.parametrize("spread", [0.0, 0.0521, 0.3])
def test_an_arm_apart_does_not_decide_whether_others_are_tied(spread: float) -> None:
    alone, moved = fit_of(MEASURED), fit_of(MEASURED | {"adadelta": seeds_of(0.5375, spread, (0, 2, 1))})
    for arm in ("adam", "rmsprop", "adamax", "sgd", "adagrad"):
        assert moved.p_value("nadam", arm) == pytest.approx(alone.p_value("nadam", arm))
        assert moved.half_width(arm) == pytest.approx(alone.half_width(arm))


def test_constant_arms_do_not_make_others_differ() -> None:
    two = {"a": [0.90, 0.93, 0.92], "b": [0.905, 0.893, 0.900]}
    constant = {f"c{i}": [0.1, 0.1, 0.1] for i in range(6)}
    everything = fit_pool(*long(two | constant))
    assert everything is not None
    paired = stats.ttest_rel(two["a"], two["b"]).pvalue
    assert paired > 0.2
    assert everything.p_value("a", "b") < 0.05  # what pooling all eight arms would say
    fit = fit_of(two | constant)
    assert fit.p_value("a", "b") == pytest.approx(paired)
    verdict_by_arm, adjusted = verdicts(fit)
    assert (verdict_by_arm["a"], verdict_by_arm["b"], adjusted["b"]) == ("tied", "tied", pytest.approx(paired))
    deviation, df = additive(two)
    raw = 2 * stats.t.sf((np.mean(two["a"]) - 0.1) / (deviation * (2 / 3) ** 0.5), df)
    assert adjusted["c0"] == pytest.approx(7 * raw)


def test_with_two_seeds_a_chance_arm_is_worse_though_the_leader_hardly_scatters() -> None:
    """A real run of 2,000 images and 3 epochs: two seeds say little of one arm's spread, much of all arms' together."""
    table = {
        "rmsprop": [0.7725, 0.7850], "nadam": [0.7050, 0.7750], "sgd": [0.7275, 0.7025], "adam": [0.6875, 0.7400],
        "adamax": [0.7100, 0.6725], "adagrad": [0.5775, 0.6775], "adadelta": [0.1200, 0.1675], "ftrl": [0.1, 0.1],
    }  # fmt: skip
    fit = fit_of(table)
    assert fit.unpooled == {"ftrl": 0.0}
    verdict_by_arm = verdicts(fit)[0]
    assert {arm for arm, verdict in verdict_by_arm.items() if verdict == "worse"} == {"adagrad", "adadelta", "ftrl"}


def test_a_leader_apart_is_tested_by_welch_against_all() -> None:
    table = {
        "a": [0.8, 0.9, 0.99], "b": [0.80, 0.81, 0.805], "c": [0.82, 0.81, 0.80], "d": [0.7, 0.71, 0.705],
    }  # fmt: skip
    fit = fit_of(table)
    assert set(fit.unpooled) == {"a"}
    for arm in "bcd":
        expected = stats.ttest_ind(table["a"], table[arm], equal_var=False).pvalue
        assert fit.p_value("a", arm) == pytest.approx(expected)


def test_an_arm_is_apart_if_constant_or_far_above_the_median() -> None:
    three = dict.fromkeys("abcd", 3)
    assert arms_of_similar_spread({"a": 0.01, "b": 0.01, "c": 0.029, "d": 0.031}, three) == {
        "a",
        "b",
        "c",
        "d",
    }  # the median is .0195
    assert arms_of_similar_spread({"a": 0.01, "b": 0.01, "c": 0.01, "d": 0.031}, three) == {"a", "b", "c"}
    assert arms_of_similar_spread({"a": 0.01, "b": 0.01, "c": 0.01, "d": 0.031}, dict.fromkeys("abcd", 2)) == {
        "a",
        "b",
        "c",
        "d",
    }
    assert arms_of_similar_spread({"a": 0.0001, "b": 0.01, "c": 0.01}, three) == {"a", "b", "c"}
    assert arms_of_similar_spread({"a": 0.01, "b": 0.0, "c": 0.02}, three) == {"a", "c"}
    assert arms_of_similar_spread({"a": 0.0, "b": 0.0}, three) == set()
    assert arms_of_similar_spread({"a": 0.01, "b": 0.0, "c": 0.0}, three, learning=["b"]) == {"a", "b"}
    assert arms_of_similar_spread({"a": 0.0, "b": 0.0}, three, learning=["a", "b"]) == set()


def test_welch_of_constant_and_single_values() -> None:
    assert welch([0.5, 0.5], [0.5, 0.5]) == 1.0
    assert welch([0.5, 0.5], [0.4, 0.4]) == 0.0
    assert welch([0.5, 0.5], [0.4]) == 1.0
    assert welch([0.5], [0.4]) == 1.0
    spread = [0.90, 0.93, 0.92, 0.95]
    assert welch(spread, [0.9, 0.9]) == pytest.approx(stats.ttest_1samp(spread, 0.9).pvalue)
    # a single value scatters as the other arm does: Student's test, which has one mean square then
    assert welch(spread, [0.8]) == pytest.approx(stats.ttest_ind(spread, [0.8]).pvalue)
    assert welch([0.8], spread) == pytest.approx(stats.ttest_ind([0.8], spread).pvalue)


def test_a_p_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="a p-value is NaN"):
        holm({"a": 0.01, "b": math.nan})

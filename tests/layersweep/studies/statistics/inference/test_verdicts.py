"""The four verdicts and their critical values, against published tables and examples."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from layersweep.studies.statistics.inference.arm_model import ArmModel, fit
from layersweep.studies.statistics.inference.critical_values import all_pairs_value, alpha_of_look, pair_value
from layersweep.studies.statistics.inference.new_trainings import mean_intervals, shrunken_means
from layersweep.studies.statistics.inference.seeds_needed import MAX_SEEDS, seeds_needed
from layersweep.studies.statistics.inference.verdicts import judge


def known(means: list[float], variances: list[float], *, counts: int = 1, freedom: float = 1e6) -> ArmModel:
    """A model whose variances are known."""
    model = fit(np.array(means)[:, None] + np.zeros((1, counts)))
    size = np.ones(len(means))
    return replace(
        model, variances=np.array(variances), freedom=freedom * size, total_freedom=np.array(freedom),
        own_variances=0 * size,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arms", "freedom", "quantile"), [(3, 10, 3.877), (4, 20, 3.958), (5, 30, 4.102), (8, 14, 4.99)]
)
def test_all_pairs_are_tested_by_the_published_studentized_range(arms: int, freedom: float, quantile: float) -> None:
    """Tables of the studentized range at .05, for example Pearson and Hartley 1970, table 29."""
    assert all_pairs_value(arms, np.array(freedom), 0.05) * np.sqrt(2) == pytest.approx(quantile, abs=0.008)


def test_values_between_tabulated_degrees_of_freedom_are_close_to_scipys() -> None:
    for arms, freedom in ((2, 2.2), (6, 4.5), (16, 7.3), (10, 45.0)):
        exact = stats.studentized_range.ppf(0.96, arms, freedom) / np.sqrt(2)
        assert all_pairs_value(arms, np.array(freedom), 0.04) == pytest.approx(exact, rel=0.002)


def test_fewer_than_one_degree_of_freedom_is_no_test() -> None:
    assert np.isinf(pair_value(np.array(0.5), 0.05))
    assert np.isinf(all_pairs_value(4, np.array(0.5), 0.05))


def test_intervals_are_those_of_games_and_howell() -> None:
    """With each arm's own variance they equal scipy's Tukey test for unequal variances, which is Games and Howell's."""
    samples = [[24.5, 23.5, 26.4, 27.1, 29.9], [28.4, 34.2, 29.5, 32.2, 30.1], [26.1, 28.3, 24.3, 26.2, 27.8]]
    model = fit(np.array(samples))
    own = replace(
        model, variances=np.var(samples, ddof=1, axis=1), freedom=np.full(3, 4.0), total_freedom=np.array(12.0),
        seed_covariance=0 * model.seed_covariance,
    )  # fmt: skip
    verdicts = judge(own, margin=0.0, alpha=0.05)
    expected = stats.tukey_hsd(*samples, equal_var=False).confidence_interval(0.95)
    assert verdicts.leader == 1
    assert verdicts.low[[0, 2]] == pytest.approx(expected.low[1, [0, 2]], rel=2e-3)
    assert verdicts.high[[0, 2]] == pytest.approx(expected.high[1, [0, 2]], rel=2e-3)


def test_best_beats_every_other_arm_each_by_its_own_test() -> None:
    means = [0.0, -2.2, -2.2, -2.2, -2.2, -2.2, -2.2, -2.2]
    verdicts = judge(known(means, [0.5] * 8), margin=0.0, alpha=0.05)  # t = 2.2 > 1.96 for each pair, but < 3.03
    assert verdicts.is_best
    assert verdicts.is_worse.tolist() == [False, *[True] * 7]
    assert not judge(known([*means[:7], -1.9], [0.5] * 8), margin=0.0, alpha=0.05).is_best


def test_as_good_is_shown_and_not_merely_not_refuted() -> None:
    close, wide = (judge(known([0.93, 0.929], [v, v]), margin=0.01, alpha=0.05) for v in (1e-6, 1e-4))
    assert close.is_as_good.tolist() == [False, True]
    assert wide.is_as_good.tolist() == [False, False]
    assert not judge(known([0.93, 0.929], [1e-6, 1e-6]), margin=0.0, alpha=0.05).is_as_good.any()


def test_an_arm_that_lost_seeds_does_not_lead_reliable_ones() -> None:
    model = known([0.95, 0.931, 0.902], [1e-6] * 3)
    verdicts = judge(model, margin=0.0, alpha=0.05, is_reliable=np.array([False, True, True]))
    assert (verdicts.leader, bool(verdicts.is_best)) == (1, False)
    assert verdicts.is_higher.tolist() == [True, False, False]
    assert verdicts.is_worse.tolist() == [False, False, True]


def test_all_looks_together_spend_five_percent() -> None:
    assert alpha_of_look(1) == 0.04
    assert sum(alpha_of_look(look) for look in range(1, 60)) == pytest.approx(0.05)


def test_an_interval_of_a_single_arm_is_its_t_interval() -> None:
    """.932 ± t(.975, 2) · .002 / √3 = .932 ± .0049683."""
    low, high = mean_intervals(fit(np.array([[0.930, 0.932, 0.934]])))
    assert (low[0], high[0]) == pytest.approx((0.932 - 0.0049683, 0.932 + 0.0049683), abs=1e-6)


def test_an_interval_counts_seeds_as_a_random_effect() -> None:
    """Two mean squares: of the seeds' means and of the residual (Satterthwaite); here the residual is nearly 0."""
    seeds = np.array([0.90, 0.92, 0.94])
    low, high = mean_intervals(fit(np.array([seeds + 0.01, seeds, seeds - 0.01001, seeds - 0.02])))
    assert high[1] - low[1] == pytest.approx(2 * 4.3027 * 0.02 / np.sqrt(3), rel=0.02)


def test_eight_schools_are_shrunk_to_their_common_mean() -> None:
    """Rubin 1981; Gelman and others, Bayesian Data Analysis, section 5.5: the pooled estimate is 7.7.

    The first and the seventh school would move by more than their standard errors, 15 and 10.
    """
    effects, errors = [28.0, 8, -3, 7, -1, 1, 18, 12], [15.0, 10, 16, 11, 9, 11, 10, 18]
    model = known(effects, [error**2 for error in errors])
    assert shrunken_means(model, np.ones(8, dtype=bool)) == pytest.approx(
        [13, 7.7, 7.7, 7.7, 7.7, 7.7, 8, 7.7], abs=0.05
    )


@pytest.mark.parametrize(("difference", "cohen"), [(1.0, 17), (0.8, 26), (0.5, 64)])
def test_seeds_needed_for_two_arms_are_those_of_cohen(difference: float, cohen: int) -> None:
    """Cohen 1988, table 2.4.1: power .8 at .05. Two arms on common seeds need one more: half the degrees of freedom."""
    is_open = np.ones(2, dtype=np.bool_)
    seeds = seeds_needed(known([0.0, 0.0], [1.0, 1.0]), is_open, difference=difference, alpha=0.05)
    assert cohen - 1 <= seeds <= cohen + 1


def test_seeds_needed_are_unknown_or_too_many() -> None:
    is_open = np.ones(2, dtype=np.bool_)
    assert seeds_needed(fit(np.array([[0.9], [0.8]])), is_open, difference=0.01, alpha=0.05) == 0
    assert seeds_needed(known([0, 0], [1.0, 1.0]), is_open, difference=1e-4, alpha=0.05) == MAX_SEEDS

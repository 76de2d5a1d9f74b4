"""The model of a comparison against published examples and scipy, and what missing values and seeds do to it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from layersweep.studies.statistics.inference.arm_model import fit
from layersweep.studies.statistics.inference.variance_shrinkage import shrink

DEXTRO = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
LAEVO = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
"""Hours of sleep gained by ten patients with two drugs (Student 1908): t = 4.0621 with 9 degrees of freedom."""


def test_two_arms_on_the_same_seeds_are_a_paired_t_test() -> None:
    model = fit(np.array([LAEVO, DEXTRO]))
    differences, errors, freedom = model.differences(np.array(0))
    assert differences[1] == pytest.approx(1.58)
    assert differences[1] / errors[1] == pytest.approx(4.0621, abs=1e-4)
    assert freedom[1] == pytest.approx(9)


def test_a_seed_effect_is_in_no_difference() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4, 5))
    plain, shifted = fit(values), fit(values + rng.normal(0, 100, size=5))
    for one, other in zip(plain.differences(np.array(2)), shifted.differences(np.array(2)), strict=True):
        assert one == pytest.approx(other, rel=1e-6)


def test_a_missing_value_is_filled_by_the_model() -> None:
    """Finding 2: with exact effects of arms and seeds, the model gives the mean that the missing cell would give."""
    arms, seeds = np.array([[0.91], [0.901], [0.86]]), np.array([0.04, 0.02, -0.06])
    values = arms + seeds
    values[1, 2] = np.nan
    assert fit(values).means == pytest.approx([0.91, 0.901, 0.86])


def test_arms_without_common_seeds_are_compared_without_seed_effects() -> None:
    nan = np.nan
    model = fit(np.array([[1.0, 2.0, 3.0, nan, nan, nan], [nan, nan, nan, 1.5, 2.5, 4.0]]))
    assert not model.has_seed_effects
    assert model.total_freedom == 4
    assert model.means == pytest.approx([2.0, 8 / 3])


def test_degrees_of_freedom_are_those_of_welch_and_satterthwaite() -> None:
    first, second = (27.5, 21.0, 19.0, 23.6, 17.0, 17.9), (27.1, 22.0, 20.8, 23.4)
    variances = np.array([np.var(first, ddof=1), np.var(second, ddof=1)])
    nan = [np.nan]
    model = fit(np.array([[*first, *nan * 4], [*nan * 6, *second]]))
    own = replace(model, variances=variances, freedom=np.array([5.0, 3.0]))
    differences, errors, freedom = own.differences(np.array(1))
    welch = stats.ttest_ind(second, first, equal_var=False)
    assert differences[0] / errors[0] == pytest.approx(welch.statistic)
    assert freedom[0] == pytest.approx(welch.df)


def test_a_value_per_arm_gives_no_degree_of_freedom() -> None:
    assert fit(np.array([[0.9], [0.8]])).total_freedom == 0


def test_equal_values_do_not_show_that_there_is_no_noise() -> None:
    model = fit(np.array([[0.935, 0.935], [0.930, 0.930]]), step=1 / 200)
    assert model.total_freedom == 0
    assert model.variances == pytest.approx([(1 / 200) ** 2 / 12] * 2)


def test_folds_have_the_larger_error_of_nadeau_and_bengio() -> None:
    values = np.random.default_rng(2).normal(size=(3, 5))
    errors, corrected = (fit(values, overlap=overlap).differences(np.array(0))[1] for overlap in (0.0, 0.25))
    assert corrected / errors == pytest.approx([np.sqrt((1 / 5 + 1 / 4) / (1 / 5))] * 3)


def test_similar_variances_are_shrunk_and_another_one_keeps_its_own() -> None:
    variances, freedom = shrink(np.array([1.0, 1.1, 0.9, 1.2, 0.8, 40.0]), np.full(6, 4.0), seeds=5)
    assert variances[:5] == pytest.approx(np.ones(5), abs=0.1)
    assert variances[5] > 30
    assert freedom[5] < 5 < freedom[0]


def test_two_seeds_do_not_shrink_variances() -> None:
    variances, _ = shrink(np.array([1.0, 4.0, 0.1]), np.full(3, 1.0), seeds=2)
    assert variances == pytest.approx([1.0, 4.0, 0.1])


def test_a_batch_of_sweeps_is_fitted_like_each_one() -> None:
    values = np.random.default_rng(3).normal(size=(7, 4, 3))
    values[2, 1, 0] = values[5, 0, 2] = np.nan
    batch = fit(values)
    for i, one in enumerate(values):
        assert batch.means[i] == pytest.approx(fit(one).means)
        assert batch.variances[i] == pytest.approx(fit(one).variances)

"""The exact test of failures, against published tables and scipy."""

import pytest
from scipy import stats

from layersweep.studies.statistics.inference.failed_choices import exact_p, failed_choices


def test_the_lady_tasting_tea() -> None:
    # Fisher 1935: 8 cups, 4 with milk first; three of four right: (16 + 1) / 70 on one side, twice that on both
    assert exact_p([3, 1], [4, 4]) == pytest.approx(34 / 70)
    assert exact_p([4, 0], [4, 4]) == pytest.approx(2 / 70)


@pytest.mark.parametrize(("failures", "n"), [((4, 0), (27, 27)), ((1, 7), (12, 9)), ((2, 3), (5, 40))])
def test_two_choices_are_fishers_test(failures: tuple[int, int], n: tuple[int, int]) -> None:
    table = [failures, [m - failed for m, failed in zip(n, failures, strict=True)]]
    assert exact_p(failures, n) == pytest.approx(stats.fisher_exact(table).pvalue)


def test_three_choices_by_counting() -> None:
    # 2 failures among 6 trainings, 2 of each choice: 15 assignments; 3 have both in one choice, 12 have not
    assert exact_p([2, 0, 0], [2, 2, 2]) == pytest.approx(3 / 15)
    assert exact_p([1, 1, 0], [2, 2, 2]) == pytest.approx(1)


def test_many_failures_are_pearsons_test() -> None:
    failures, n = [40, 60, 55, 45, 50, 42], [500] * 6
    table = [failures, [m - failed for m, failed in zip(n, failures, strict=True)]]
    assert exact_p(failures, n) == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)


@pytest.mark.parametrize(("failures", "n"), [((0, 0), (3, 3)), ((3, 3), (3, 3)), ((2,), (5,))])
def test_nothing_is_shown_where_nothing_differs(failures: tuple[int, ...], n: tuple[int, ...]) -> None:
    assert exact_p(failures, n) == 1


def test_the_counts_are_those_of_each_choice() -> None:
    result = failed_choices("activation", ["relu"] * 23 + ["elu"] * 27, ["relu"] * 4)
    assert result.counts == {"relu": (4, 27), "elu": (0, 27)}
    assert (result.fails_more("relu"), result.fails_more("elu")) == (True, False)

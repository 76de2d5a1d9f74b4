import pytest

from benchmarks.precision import Verdict, measurements

FLOAT32 = {("adam", 1): 0.80, ("adam", 2): 0.82, ("sgd", 1): 0.60, ("sgd", 2): 0.64}
"""Seeds differ by 0.02 and 0.04: variances 0.0002 and 0.0008, pooled 0.0005."""


def moved(*by):
    return {pair: value + difference for (pair, value), difference in zip(FLOAT32.items(), by, strict=True)}


def test_the_noise_is_that_of_the_seeds_within_an_optimizer():
    assert Verdict.of(FLOAT32, FLOAT32).noise == pytest.approx(0.0005**0.5)


def test_differences_are_taken_pair_by_pair_with_students_interval():
    verdict = Verdict.of(FLOAT32, moved(0.001, -0.001, 0.003, 0.001))
    assert verdict.mean == pytest.approx(0.001)
    half = 3.182446 * (8e-6 / 3) ** 0.5 / 2  # t(.975, 3 degrees), deviation, square root of 4
    assert (verdict.low, verdict.high) == pytest.approx((0.001 - half, 0.001 + half))
    assert verdict.alike


def test_a_difference_beyond_the_interval_is_one():
    assert not Verdict.of(FLOAT32, moved(0.005, 0.006, 0.005, 0.006)).alike


def test_pairs_that_scatter_too_much_show_nothing():
    assert not Verdict.of(FLOAT32, moved(0.05, -0.05, 0.05, -0.05)).alike


def test_trainings_must_be_in_both_and_have_seeds():
    with pytest.raises(ValueError, match=r"not in both precisions: \[\('sgd', 2\)\]"):
        Verdict.of(FLOAT32, {pair: value for pair, value in FLOAT32.items() if pair != ("sgd", 2)})
    single = {("adam", 1): 0.5, ("sgd", 1): 0.5}
    with pytest.raises(ValueError, match="two seeds"):
        Verdict.of(single, single)


def test_the_table_has_both_and_their_differences():
    rows = {row.case: row for row in measurements(FLOAT32, moved(0.01, 0.01, -0.01, 0.01))}
    assert list(rows) == [
        "adam, float32",
        "sgd, float32",
        "adam, mixed_bfloat16",
        "sgd, mixed_bfloat16",
        "adam, mixed_bfloat16 - float32",
        "sgd, mixed_bfloat16 - float32",
        "all, mixed_bfloat16 - float32",
    ]
    assert rows["adam, mixed_bfloat16"].values == pytest.approx([0.81, 0.83])
    assert rows["all, mixed_bfloat16 - float32"].values == pytest.approx([0.01, 0.01, -0.01, 0.01])

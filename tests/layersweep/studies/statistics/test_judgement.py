"""No number of a judgement is one that the metric cannot have."""

import random
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest

from layersweep.records.metrics import BALANCED_ACCURACY
from layersweep.studies.statistics.classes.class_counts import ClassCounts
from layersweep.studies.statistics.judgement import BEST, WORSE, Criteria, judge_arms


def trainings(seed: int) -> pl.DataFrame:
    """A few arms on a few seeds, at random, close to the limits of an accuracy; some arms lack seeds."""
    chance = random.Random(seed)
    rows = [
        {"arm": arm, "seed": replicate, "fold": None, "train_images": 1000, "validation_images": 200,
         "accuracy": min(1.0, max(0.0, chance.choice([chance.random(), chance.gauss(0.97, 0.05), 1.0])))}
        for arm in "abcd"[: chance.randint(1, 4)]
        for replicate in range(1, chance.randint(1, 4) + 1)
        if replicate == 1 or chance.random() < 0.7
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"fold": pl.Int32})


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_values_and_their_intervals_are_accuracies(first: int) -> None:
    for seed in range(first, first + 100):
        judgement = judge_arms(trainings(seed), Criteria(), look=1)
        assert judgement is not None
        for row in judgement.columns().values():
            for name in ("mean", "low", "high", "new_training"):
                assert row[name] is None or 0 <= row[name] <= 1, (seed, name)
            for name in ("difference", "difference_low", "difference_high"):
                assert row[name] is None or -1 <= row[name] <= 1, (seed, name)


def test_a_loss_may_be_above_1() -> None:
    rows = trainings(3).with_columns(pl.col("accuracy") + 2)
    judgement = judge_arms(rows, Criteria(metric="val_loss"), look=1)
    assert judgement is not None
    assert all(row["mean"] > 1 for row in judgement.columns().values())


def balanced(generator: np.random.Generator, supports: tuple[int, ...], recall: float, size: tuple[int, ...]) -> Any:
    """Balanced accuracies of networks with this recall of every class, on so few images that values are often equal."""
    return sum(generator.binomial(n, recall, size) / n for n in supports) / len(supports)


@pytest.mark.parametrize(
    ("supports", "recall"), [((162, 5), 0.9), ((20, 20), 0.95), ((97, 3), 0.97), ((40, 8, 2), 0.8)]
)
def test_equal_arms_are_seldom_told_apart_by_balanced_accuracy(supports: tuple[int, ...], recall: float) -> None:
    """400 sweeps of 4 equal arms on 3 seeds; 3 standard errors of a rate of .06 are .036."""
    generator, false = np.random.default_rng(7), Counter[str]()
    counts = ClassCounts(names=("",) * len(supports), supports=supports)
    for values in balanced(generator, supports, recall, (400, 4, 3)):
        rows = pl.DataFrame(
            [
                {"arm": arm, "seed": seed, "fold": None, "train_images": 833, "validation_images": sum(supports),
                 "accuracy": float(values[i, seed])}
                for i, arm in enumerate("abcd") for seed in range(3)
            ], schema_overrides={"fold": pl.Int32},
        )  # fmt: skip
        judgement = judge_arms(rows, Criteria(metric=BALANCED_ACCURACY), look=1, resolution=counts.resolution)
        assert judgement is not None
        verdicts = {row["verdict"] for row in judgement.columns().values()}
        false.update(verdicts & {WORSE, BEST})
    assert max(false[WORSE], false[BEST], 0) / 400 <= 0.06 + 0.036


def test_equal_balanced_accuracies_do_not_show_that_there_is_no_noise() -> None:
    """Two arms on two seeds, each with equal values on few images: rounding alone may make them equal."""
    rows = pl.DataFrame(
        [
            {"arm": arm, "seed": seed, "fold": None, "train_images": 90, "validation_images": 100, "accuracy": value}
            for arm, values in (("a", (0.9, 0.9)), ("b", (0.8, 0.8)), ("c", (0.7, 0.75)))
            for seed, value in enumerate(values)
        ], schema_overrides={"fold": pl.Int32},
    )  # fmt: skip
    fine = judge_arms(rows, Criteria(metric=BALANCED_ACCURACY), look=1)
    coarse = judge_arms(rows, Criteria(metric=BALANCED_ACCURACY), look=1, resolution=0.17)
    assert fine is not None
    assert coarse is not None
    assert coarse.p_value("a", "b") > 2 * fine.p_value("a", "b")

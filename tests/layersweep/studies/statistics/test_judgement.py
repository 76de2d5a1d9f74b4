"""No number of a judgement is one that the metric cannot have."""

import random

import polars as pl
import pytest

from layersweep.studies.statistics.judgement import Criteria, judge_arms


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

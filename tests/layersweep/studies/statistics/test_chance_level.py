"""Chance levels, who beats them, and the interval of how many do."""

import json
import math
import pkgutil
from math import inf, log, nan

import polars as pl
import pytest

from layersweep.studies.statistics.chance_level import (
    CLASSES_OF,
    arms_that_learned,
    few_images_note,
    learned,
    learned_shares,
    learning_flags,
    unknown_chance_note,
    wilson_interval,
)
from trainables.data import datasets

SCHEMA = {
    "arm": pl.String, "seed": pl.Int32, "fold": pl.Int32, "trial_id": pl.String, "outcome": pl.String,
    "error_type": pl.String, "accuracy": pl.Float64, "loss": pl.Float64, "validation_images": pl.Int64,
    "dataset": pl.String, "data_fingerprint": pl.String, "config_json": pl.String,
}  # fmt: skip
NO_CLASSES = pl.DataFrame(
    schema={"trial_id": pl.String, "set_name": pl.String, "class_index": pl.Int32, "support": pl.Int64}
)


def replicate(arm, accuracy=None, outcome="completed", *, seed=0, config=None, **more):
    row = {
        "arm": arm, "seed": seed, "trial_id": f"{arm}-{seed}", "outcome": outcome, "accuracy": accuracy,
        "validation_images": 400, "dataset": "fashion_mnist", "data_fingerprint": "f0",
        "config_json": json.dumps(config or {}),
    }  # fmt: skip
    return dict.fromkeys(SCHEMA) | row | more


def frame(*replicates):
    return pl.DataFrame(replicates, schema=SCHEMA)


def support_of(trial_id, *numbers, set_name="validation"):
    return pl.DataFrame(
        [
            {"trial_id": trial_id, "set_name": set_name, "class_index": index, "support": n}
            for index, n in enumerate(numbers)
        ],
        schema=NO_CLASSES.schema,
    )


def flags_of(*replicates, classes=NO_CLASSES, **options):
    return learning_flags(frame(*replicates), classes, **options)


@pytest.mark.parametrize(
    ("hits", "images", "chance", "expected"),
    [  # exact tails, as sums of fractions: .0083 and .0192; .0066 and .01004; .0066 and .0103
        (28, 40, 0.5, True),
        (27, 40, 0.5, False),
        (56, 400, 0.1, True),
        (55, 400, 0.1, False),
        (55, 200, 0.2, True),
        (54, 200, 0.2, False),
        (0, 400, 0.1, False),
        (40, 400, 0.1, False),
    ],
)
def test_an_accuracy_beats_chance_by_the_exact_binomial_test(hits, images, chance, expected):
    assert learned(hits / images, chance, images) is expected


def test_a_loss_beats_chance_below_it():
    assert learned(2.30, log(10), 400, metric="val_loss")
    assert not learned(log(10), log(10), 400, metric="val_loss")
    assert not learned(nan, log(10), 400, metric="val_loss")
    assert not learned(-inf, log(10), 400, metric="val_loss")


def test_without_the_number_of_images_no_test_is_made():
    assert learned(0.11, 0.1, None)
    assert not learned(0.1, 0.1, None)


def test_a_metric_without_a_chance_level_is_refused():
    with pytest.raises(ValueError, match="no chance level is known for metric 'f1'; valid: val_accuracy, val_loss"):
        learned(0.5, 0.1, 400, metric="f1")


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_newcombes_examples_of_the_score_interval(successes, n, low, high):
    assert wilson_interval(successes, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_the_interval_of_all_and_of_none_are_mirrored():
    assert wilson_interval(20, 20) == (pytest.approx(1 - 0.1611, abs=5e-5), 1.0)
    assert wilson_interval(0, 20)[0] == 0.0
    with pytest.raises(ValueError, match="0 of 0 is not a share"):
        wilson_interval(0, 0)


@pytest.mark.parametrize(
    ("dataset", "classes", "chance"),
    [
        ("fashion_mnist", "all", 0.1),
        ("cifar100", "all", 0.01),
        ("tiny_imagenet", "all", 0.005),
        ("tiny_imagenet", "0-1", 0.5),
        ("image_folder", "0+2+5-7", 0.2),
        ("fashion_mnist", "0-4+3-5", 1 / 6),
        ("image_folder", "all", None),
        (None, "all", None),
    ],
)
def test_without_supports_the_classes_are_those_of_the_configuration_or_of_the_data_set(dataset, classes, chance):
    config = {} if classes == "all" else {"classes": classes}
    flags = flags_of(replicate("a", 0.5, dataset=dataset, config=config))
    assert flags["chance"].to_list() == [chance and pytest.approx(chance)]


def test_each_data_set_of_the_project_has_its_number_of_classes():
    names = {module.name for module in pkgutil.iter_modules(datasets.__path__)}
    assert names - {"image_folder", "npz"} == {*CLASSES_OF}


def test_uneven_classes_make_the_largest_one_the_chance_level():
    rows = [replicate("a", 0.9, validation_images=100), replicate("b", 0.91, validation_images=100)]
    classes = pl.concat([support_of(f"{arm}-0", 90, 10, 0) for arm in "ab"] + [support_of("a-0", 1, set_name="test")])
    flags = flags_of(*rows, classes=classes)
    assert flags["chance"].to_list() == [0.9, 0.9]
    assert flags["learned"].to_list() == [False, False]
    assert flags_of(replicate("b", 0.92, validation_images=100), classes=classes)["learned"].to_list() == [True]
    losses = flags_of(replicate("a", loss=0.33), classes=classes, metric="val_loss", value="loss")
    assert losses["chance"].to_list() == [pytest.approx(0.325083, abs=1e-6)]  # -.9 log .9 - .1 log .1
    assert losses["learned"].to_list() == [False]


def test_the_supports_of_another_trial_on_the_same_data_serve():
    """A folder of images: the trial that is longer than the equal epochs has no supports yet."""
    rows = [replicate(arm, 0.4, dataset="image_folder", seed=seed) for arm in "ab" for seed in (0, 1)]
    rows.append(replicate("other", 0.4, dataset="image_folder", data_fingerprint="f1"))
    flags = flags_of(*rows, classes=support_of("a-0", 100, 100, 100, 100))
    assert flags["chance"].to_list() == [0.25] * 4 + [None]


def test_outcomes_that_count_as_not_learned_and_those_that_count_neither_way():
    rows = [
        replicate("a", 0.9),
        replicate("a", 0.1, seed=1),
        replicate("a", outcome="diverged", seed=2),
        replicate("a", outcome="hopeless", seed=3),
        replicate("a", outcome="failed", error_type="InvalidArgumentError", seed=4),
        replicate("a", outcome="failed", error_type=None, seed=5),
        *(
            replicate("b", outcome="failed", error_type=error, seed=seed)
            for seed, error in enumerate(("OutOfMemory", "ProcessKilled", "TooLarge", "TooSlow", "TimedOut"))
        ),
        *(
            replicate("c", outcome=outcome, seed=seed)
            for seed, outcome in enumerate(("stopped", "unfinished", "screening"))
        ),
    ]
    flags = flags_of(*rows)
    assert flags.columns == ["arm", "seed", "fold", "trial_id", "chance", "learned", "tested"]
    assert flags["learned"].to_list() == [True, False, False, False, False, False, *[None] * 8]
    shares = learned_shares(flags)
    assert shares.select("arm", "learned", "ended").rows() == [("a", 1, 6), ("b", 0, 0), ("c", 0, 0)]
    assert shares["low"].to_list()[1:] == shares["high"].to_list()[1:] == [None, None]
    assert arms_that_learned(shares) == {"a"}


def test_a_diverging_arm_that_reached_most_learned_one_of_three():
    """Finding 1: risky [.95, diverged, diverged]."""
    outcomes = ((0.95, "completed"), (None, "diverged"), (None, "diverged"))
    shares = learned_shares(flags_of(*(replicate("risky", *one, seed=seed) for seed, one in enumerate(outcomes))))
    (row,) = shares.rows()
    # Wilson for 1 of 3 by hand: (1 + 1.9207 -+ 1.96 sqrt(2/3 + .9604)) / (3 + 3.8415)
    middle, half = 1 + 1.920729, 1.959964 * math.sqrt(2 / 3 + 0.960365)
    assert row == (
        "risky",
        1,
        3,
        pytest.approx((middle - half) / 6.841459, 1e-5),
        pytest.approx((middle + half) / 6.841459, 1e-5),
    )


def test_an_unknown_chance_level_counts_as_learned_and_is_said():
    flags = flags_of(replicate("photos", 0.01, dataset="image_folder"), replicate("clothes", 0.9))
    assert flags["learned"].to_list() == [True, True]
    assert unknown_chance_note(flags) == (
        "The number of classes of photos is not recorded: every completed training there counts as learned."
    )
    assert unknown_chance_note(flags_of(replicate("clothes", 0.9))) == ""


@pytest.mark.parametrize(
    ("accuracy", "images", "metric", "noted"),
    [
        (0.2, 31, "val_accuracy", True),
        (0.2, 199, "val_accuracy", False),
        (0.1, 31, "val_accuracy", False),
        (0.5, 31, "val_accuracy", False),
        (0.12, 200, "val_accuracy", False),
        (0.12, 199, "val_accuracy", True),
        (2.4, 31, "val_loss", False),
    ],
)
def test_few_images_that_prove_nothing_are_said(accuracy, images, metric, noted):
    """Of ten classes, .2 of 199 images is above chance at .01, and .2 of 31 is not."""
    rows = frame(replicate("a", accuracy, validation_images=images), replicate("b", 0.9, outcome="diverged"))
    flags = learning_flags(rows, NO_CLASSES, metric=metric)
    assert few_images_note(rows, flags, metric) == (
        f"Only {images} images to validate: of 1 training above the level of a guess this may be chance. They count as "
        "not learned, and no mean has them, so means may be too high. More images or --folds 5 would show more."
        if noted
        else ""
    )


def test_no_replicate_has_no_share():
    flags = flags_of()
    assert flags.height == learned_shares(flags).height == 0
    assert unknown_chance_note(flags) == ""

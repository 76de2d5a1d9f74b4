"""Which results are from the warm-up of batch normalisation, and which flag ends it."""

import itertools
import json
from pathlib import Path

import keras
import polars as pl
import pytest

from layersweep.studies.statistics.warm_up import FAMILY_MOMENTUM, steps_needed, warm_up

ROW = {
    "arm": pl.String, "trial_id": pl.String, "outcome": pl.String, "family": pl.String, "epochs_reached": pl.Int32,
    "train_images": pl.Int64, "config_json": pl.String,
}  # fmt: skip
LAYER = {"trial_id": pl.String, "kind": pl.String, "trainable": pl.Boolean}


def training(arm, epochs=3, *, images=2000, outcome="completed", family="fashion_cnn", **config):
    return {
        "arm": arm, "trial_id": f"{arm}-{images}", "outcome": outcome, "family": family, "epochs_reached": epochs,
        "train_images": images, "config_json": json.dumps({"batch_size": 32, **config}),
    }  # fmt: skip


def judged(*trainings, kind="BatchNormalization", trainable=True, without_layers=()):
    """The warm-up of these trainings, each with one such layer."""
    rows = pl.DataFrame(trainings, schema=ROW)
    layers = [
        {"trial_id": trial, "kind": k, "trainable": t}
        for trial, arm in rows.select("trial_id", "arm").rows()
        if arm not in without_layers
        for k, t in (("Conv2D", True), (kind, trainable))
    ]
    return warm_up(rows, pl.DataFrame(layers, schema=LAYER))


def test_the_steps_that_a_momentum_needs():
    assert [steps_needed(momentum) for momentum in (0.9, 0.99, 0.999, 0.5, 0.98)] == [50, 500, 5000, 10, 250]


def test_the_quick_sweep_of_optimizers_is_a_ranking_of_warm_up():
    """2,000 images in batches of 32 are 63 steps an epoch, the last one smaller; 8 epochs are 504."""
    arms, sentence = judged(training("sgd"), training("adam"))
    assert arms == ("adam", "sgd")
    assert sentence == (
        "After 189 steps the ranking is one of warm-up: batch normalisation at momentum .99 needs 500. "
        "Use --epochs 8 or --set normalization_momentum=0.9."
    )


def test_500_steps_are_enough():
    assert judged(training("a", 10, images=1600)) is None
    assert judged(training("a", 10, images=1568)).arms == ("a",)  # 490 steps
    assert judged(training("a", 10, images=1569)) is None  # a batch of one image is a step


def test_fewer_than_50_steps_are_too_few_for_the_short_momentum_too():
    assert judged(training("a", 2, images=200)).sentence == (  # 7 steps an epoch: 8 epochs are 56, 72 are 504
        "After 14 steps the ranking is one of warm-up: batch normalisation at momentum .99 needs 500. "
        "Use --epochs 72 or --epochs 8 with --set normalization_momentum=0.9."
    )


def test_the_momentum_of_a_configuration_counts():
    assert judged(training("a", normalization_momentum=0.9)) is None  # 189 of 50
    assert judged(training("a", 1, images=320, normalization_momentum=0.9)).sentence == (
        "After 10 steps the ranking is one of warm-up: batch normalisation at momentum .9 needs 50. Use --epochs 5."
    )
    assert (
        "momentum .999 needs 5,000. Use --epochs 80 or" in judged(training("a", normalization_momentum=0.999)).sentence
    )


def test_a_momentum_that_is_the_question_is_not_recommended():
    arms, sentence = judged(training("0.9", normalization_momentum=0.9), training("0.99", normalization_momentum=0.99))
    assert arms == ("0.99",)
    assert sentence == (
        "After 189 steps the ranking is one of warm-up for 1 of 2 arms: batch normalisation at momentum .99 needs 500. "
        "Use --epochs 8."
    )


def test_batch_sizes_differ_and_the_arm_that_needs_the_most_epochs_is_named():
    trainings = [training(str(size), 8, batch_size=size) for size in (32, 64, 128)]
    arms, sentence = judged(*trainings)
    assert arms == ("128", "64")  # 63, 32 and 16 steps an epoch
    assert sentence.startswith("After 128 steps the ranking is one of warm-up for 2 of 3 arms: ")
    assert sentence.endswith("Use --epochs 32 or --set normalization_momentum=0.9.")


@pytest.mark.parametrize(("kind", "trainable"), [("BatchNormalization", False), ("LayerNormalization", True)])
def test_frozen_batch_normalisation_and_other_layers_do_not_count(kind, trainable):
    assert judged(training("a"), kind=kind, trainable=trainable) is None


def test_without_recorded_layers_the_configuration_tells():
    trainings = [
        training("with", batch_normalization=True),
        training("without", batch_normalization=False),
        training("frozen", 1, images=320, normalization_momentum=0.9, trained="none"),
        training("trained", 1, images=320, normalization_momentum=0.9, trained="5"),
        training("unknown"),
    ]
    names = [one["arm"] for one in trainings]
    assert judged(*trainings, without_layers=names).arms == ("trained", "with")


def test_trainings_that_are_not_compared_do_not_count():
    assert judged(training("a", 8), training("b", 1, outcome="stopped"), training("c", 2, outcome="unfinished")) is None
    assert judged() is None


def test_a_family_of_keras_applications_has_its_own_momentum():
    assert judged(training("a", 80, family="mobilenet_v2")) is None
    assert "momentum .999 needs 5,000" in judged(training("a", 8, family="mobilenet_v3_small")).sentence
    sources = Path(keras.applications.__file__).parents[1] / "src" / "applications"
    sources = sources if sources.is_dir() else Path(keras.__file__).parent / "src" / "applications"
    for family, momentum in FAMILY_MOMENTUM.items():
        assert f"momentum={momentum}" in (sources / f"{family.removesuffix('_small')}.py").read_text()


def test_no_sentence_is_longer_than_30_words():
    for epochs, images, momentum in itertools.product((1, 2, 5), (100, 2000), (0, 0.9, 0.95, 0.999)):
        config = {"normalization_momentum": momentum} if momentum else {}
        found = judged(training("a b c", epochs, images=images, **config), training("d", 10_000, **config))
        assert found is None or len(found.sentence.split()) <= 30

"""Real trainings on classes of unequal size: weighted as Keras does, continued exactly, learned and judged rightly."""
# ruff: noqa: E402

from dataclasses import dataclass, fields, replace

import numpy as np
import picture_folders
import pytest

from trainables.hardware import one_thread

one_thread()

import keras
from keras import layers as kl

from layersweep.records.values import Epoch, cannot_save
from layersweep.tuning.driver.learning_check import TrainingFacts, hopeless_reason, lag_warning
from layersweep.tuning.storage.recorded_attempt import metrics
from trainables.data.dataset import prepare
from trainables.keys import Keys
from trainables.training import loop, traced_models
from trainables.training.class_balance import class_weights

BALANCED = pytest.mark.parametrize("balanced", [{"class_weight": "balanced"}, {"oversample": True}], ids=str)


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """The keys of every family."""


def build(config, image_shape, classes):
    """A small model with random layers and batch normalisation."""
    image = keras.Input(image_shape, dtype="uint8")
    x = kl.MaxPooling2D(4)(kl.Rescaling(1 / 255)(image))
    x = kl.BatchNormalization()(kl.Conv2D(4, 3, activation="relu")(x))
    x = kl.Dropout(0.2)(kl.Flatten()(x))
    return keras.Model(image, kl.Dense(classes, "softmax", dtype="float32")(x))


def build_plain(config, image_shape, classes):
    """A model whose step is easily repeated by hand."""
    image = keras.Input(image_shape, dtype="uint8")
    return keras.Model(image, kl.Dense(classes, "softmax")(kl.Flatten()(kl.Rescaling(1 / 255)(image))))


def train(data, *, epochs=3, model=build, start=None, **values):
    config = Config(**{"learning_rate": 0.01} | values)
    return loop.run(model, config, data, loop.TrainingOptions(seed=1, epochs=epochs, start=start))


def timeless(values):
    """The epochs as text, with all digits, but without times."""
    texts = []
    for value in values:
        if isinstance(value, Epoch):
            times = {f.name: 0.0 for f in fields(value) if f.name.startswith("seconds")}
            texts.append(repr(replace(value, **times, latency=None, save=cannot_save)))
    return texts


@pytest.fixture(scope="module")
def imbalance(tmp_path_factory):
    """970 and 30 pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = picture_folders.imbalance(tmp_path_factory.mktemp("pictures") / "imbalance")
        yield prepare("image_folder", folder=folder)


@pytest.fixture(scope="module")
def data(imbalance):
    """200 of them to train on."""
    return replace(imbalance, train_images=200, validation_images=60, test_images=40)


def test_a_weighted_step_is_that_of_keras(data, tmp_path):
    *_, last = train(data, epochs=1, model=build_plain, class_weight="balanced", batch_size=512, optimizer="sgd")
    last.save(tmp_path / "ours.keras")
    ours = keras.saving.load_model(tmp_path / "ours.keras")
    keras.utils.set_random_seed(1)
    theirs = build_plain(None, data.image_shape, 2)
    theirs.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    images = data.split(1).train
    weights = dict(enumerate(class_weights(images.labels, 2, oversample=False)))
    history = theirs.fit(
        np.asarray(images.images), images.labels, batch_size=512, class_weight=weights, verbose=0
    )  # fmt: skip
    assert last.loss == pytest.approx(history.history["loss"][0], rel=1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@BALANCED
def test_a_continued_training_equals_an_undisturbed_one(data, tmp_path, balanced):
    values = list(train(data, **balanced))
    interrupted = train(data, **balanced)
    next(interrupted)
    next(interrupted).save(tmp_path / "epoch.keras")
    interrupted.close()
    assert timeless(train(data, start=tmp_path / "epoch.keras", **balanced)) == timeless(values[2:])
    assert timeless(values) != timeless(train(data))


@BALANCED
def test_what_a_process_trained_before_does_not_matter(data, balanced):
    traced_models.forget_idle_model()
    plain = timeless(train(data, epochs=2))
    after_plain = timeless(train(data, epochs=2, **balanced))
    traced_models.forget_idle_model()
    assert timeless(train(data, epochs=2, **balanced)) == after_plain
    assert timeless(train(data, epochs=2)) == plain


def test_a_network_is_traced_once_for_every_seed_and_data_with_weights(data, imbalance):
    list(train(data, epochs=1, class_weight="balanced"))
    _, again = train(replace(data, train_images=150), epochs=1, class_weight="balanced")
    assert again.seconds_build == 0, "the weights are no part of the graph"
    list(train(data, epochs=1))
    _, oversampled = train(data, epochs=1, oversample=True)
    assert oversampled.seconds_build == 0, "nor are the rows of an epoch"


def test_an_oversampled_epoch_counts_each_image_once_in_what_judges_it(data):
    _, epoch = train(data, epochs=1, oversample=True)
    rare = int(np.sum(data.split(1).train.labels == 1))
    assert epoch.train_counts.images == (100, rare)
    assert sum(epoch.val_counts.images) == 60
    _, without = train(data, epochs=1)
    assert without.train_counts.images == (200 - rare, rare)
    assert sum(without.train_counts.hits) == pytest.approx(200 * without.accuracy)


@pytest.mark.parametrize("values", [{}, {"class_weight": "balanced"}, {"oversample": True}], ids=str)
def test_970_and_30_pictures_are_learned_and_nobody_is_warned(imbalance, values):
    _, *epochs = train(imbalance, epochs=6, normalization_momentum=0.9, **values)
    last = epochs[-1]
    assert (last.val_accuracy, last.val_balanced_accuracy, last.val_macro_f1) == (1, 1, 1)
    assert (last.test.accuracy, last.test.balanced_accuracy, last.test.macro_f1) == (1, 1, 1)
    first = metrics(epochs[0])
    assert hopeless_reason(first | {"loss": last.loss}, last, steps=500) is None
    assert lag_warning(last, TrainingFacts(steps=156, all_steps=156)) is None


def test_a_network_that_learns_nothing_is_hopeless_however_its_classes_are_shown(data):
    for values in ({}, {"class_weight": "balanced"}, {"oversample": True}):
        _, first, last = train(data, epochs=2, learning_rate=1e-12, optimizer="sgd", model=build_blind, **values)
        assert hopeless_reason(metrics(first) | {"loss": last.loss}, last, steps=500)


def build_blind(config, image_shape, classes):
    """A model that sees noise in place of every image, and guesses."""
    image = keras.Input(image_shape, dtype="uint8")
    x = kl.GaussianNoise(1.0)(kl.Rescaling(0.0)(image))
    x = kl.Dropout(0.5)(kl.Flatten()(x))
    return keras.Model(image, kl.Dense(classes, "softmax")(x))

"""A training is a generator whose values depend only on its arguments: not on the process, on earlier trainings, on
pauses, or on whether the generator is read to its end.
"""
# ruff: noqa: E402

import math
import os
import pickle
import subprocess
import sys
import time
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from places import ROOT as REPOSITORY

from trainables.hardware import one_thread

one_thread()

import keras
import tensorflow as tf
from keras import layers as kl

from layersweep.records.values import Epoch, NetworkSummary, cannot_save
from trainables.config import between, one_of
from trainables.families import fashion_cnn
from trainables.keys import Keys
from trainables.meaning import MEANING
from trainables.optimizers import LEARNING_RATES
from trainables.training import loop, optimizer_updates, traced_models
from trainables.training.batches import batches, epoch_rows
from trainables.training.loop import is_measured_epoch

SMALL = {"filters_1": 4, "filters_2": 4, "filters_3": 4, "filters_4": 4, "dense_units_1": 8, "dense_units_2": 8}
"""A small configuration of the real family."""

LARGE = SMALL | {"dense_units_1": 400, "dropout_1": 0.0, "dropout_2": 0.0, "dropout_3": 0.0}
"""The same, with one variable whose update is large enough to be compiled."""


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Nadam has the most state of all, and dropout is on below."""

    optimizer: str = one_of("nadam", tuple(LEARNING_RATES), "as Keys has it")
    learning_rate: float | None = between(0.01, 0, 1e38, "any rate, also one that blows up")
    brightness: float = between(1 / 255, 0, 1, "what images are multiplied by")


def build(config, image_shape, classes):
    """A model that is traced quickly, with everything that makes a training hard to repeat."""
    image = keras.Input(image_shape, dtype="uint8")
    x = kl.MaxPooling2D(4)(kl.Rescaling(config.brightness)(image))
    x = kl.BatchNormalization()(kl.Conv2D(4, 3, activation="relu")(x))
    x = kl.Dropout(0.5)(kl.Flatten()(x))
    return keras.Model(image, kl.Dense(classes, "softmax", dtype="float32")(x))


def train(data, *, seed=1, epochs=4, config=None, **options):
    return loop.run(build, config or Config(), data, loop.TrainingOptions(seed=seed, epochs=epochs, **options))


def timeless(values):
    """The values as text, with all digits, but without times and without the function that saves the model."""
    texts = []
    for value in values:
        times = {f.name: 0.0 for f in fields(value) if f.name.startswith("seconds")}
        rest = {"latency": None, "save": cannot_save} if isinstance(value, Epoch) else {}
        texts.append(repr(replace(value, **times, **rest)))
    return texts


def orders(data):
    """The labels in the order of three epochs."""
    images = data.split(1).train
    return [
        [int(k) for _, labels in batches(images, epoch_rows(images.labels, seed=1, epoch=epoch), 32) for k in labels]
        for epoch in (1, 2, 3)
    ]


@pytest.fixture(scope="module")
def data(fashion_mnist):
    """100 images to train on (three batches of 32 and one of 4), 60 to validate and 50 to test."""
    return replace(fashion_mnist, train_images=100, validation_images=60, test_images=50)


@pytest.fixture(scope="module")
def values(data):
    """Four epochs, seed 1, undisturbed."""
    return list(train(data))


@pytest.fixture(scope="module")
def in_another_process(data):
    """The same training and the same orders, from a process that hashes differently and has trained nothing before."""
    code = "import pickle, runpy, sys; here = runpy.run_path(sys.argv[1]); data = pickle.load(sys.stdin.buffer); "
    code += "pickle.dump((here['timeless'](here['train'](data)), here['orders'](data)), sys.stdout.buffer)"
    child = subprocess.run(
        [sys.executable, "-c", code, __file__], cwd=REPOSITORY, env=os.environ | {"PYTHONHASHSEED": "123"},
        input=pickle.dumps(data), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return pickle.loads(child.stdout)


# the yielded values


def test_the_model_comes_first_and_then_each_epoch(values):
    size, *epochs = values
    assert isinstance(size, NetworkSummary)
    assert [layer.kind for layer in size.layers[-3:]] == ["Flatten", "Dropout", "Dense"]
    assert [type(value) for value in epochs] == [Epoch] * 4
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert [epoch.learning_rate for epoch in epochs] == [pytest.approx(0.01)] * 4


def test_only_the_last_epoch_reads_the_test_set_and_the_latency(values):
    *before, last = values[1:]
    assert [(epoch.test, epoch.classes, epoch.latency) for epoch in before] == [(None, (), None)] * 3
    assert last.test.images == 50
    assert last.latency.n == 50


def test_the_classes_are_those_of_validation_and_test(values, data):
    classes = values[-1].classes
    assert [(each.set_name, each.class_name) for each in classes] == [
        (name, each) for name in ("validation", "test") for each in data.classes
    ]
    hits = {
        name: sum(c.predicted[c.class_index] for c in classes if c.set_name == name) for name in ("validation", "test")
    }
    assert hits["validation"] == pytest.approx(60 * values[-1].val_accuracy)
    assert hits["test"] == pytest.approx(50 * values[-1].test.accuracy)
    assert sum(each.support for each in classes) == 60 + 50


def test_the_layers_are_measured_after_epochs_1_2_4_8_and_the_last():
    assert [epoch for epoch in range(1, 12) if is_measured_epoch(epoch, 11)] == [1, 2, 4, 8, 11]
    assert [epoch for epoch in range(1, 9) if is_measured_epoch(epoch, 8)] == [1, 2, 4, 8]
    assert is_measured_epoch(1, 1)


def test_a_measured_epoch_has_every_layer_and_one_between_has_none(values):
    size, *epochs = values
    every = [layer.index for layer in size.layers]
    assert [[each.index for each in epoch.statistics] for epoch in epochs] == [every, every, [], every]


@pytest.fixture(scope="module")
def shorter(data):
    """The same training with only two epochs, and its seconds.

    They are CPU seconds of this process, which do not count the time of other processes.
    """
    list(train(data, config=Config(brightness=0.5), epochs=1))  # so that the model must be traced again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", SimpleNamespace(perf_counter=time.process_time))
        began = time.process_time()
        return list(train(data, epochs=2)), time.process_time() - began


def test_time_is_counted_once_and_where_it_was_spent(shorter):
    (size, first, second), wall = shorter
    seconds = [getattr(v, f.name) for v in (size, first, second) for f in fields(v) if f.name.startswith("seconds")]
    assert 0.95 * wall < sum(seconds) < wall
    assert first.seconds_build > 0 == second.seconds_build  # tracing, once
    assert min(first.seconds_train, second.seconds_train, first.seconds_validate, second.seconds_test) > 0


def test_a_training_learns(values):
    assert values[-1].loss < values[1].loss


# what the values depend on


def test_a_shorter_training_is_the_beginning_of_a_longer_one(values, shorter):
    size, first, second = shorter[0]
    assert second.test.images == 50
    assert timeless([size, first, replace(second, test=None, classes=())]) == timeless(values[:3])


def test_another_process_finds_the_same_in_every_digit(values, in_another_process):
    assert in_another_process[0] == timeless(values)


def test_images_come_in_another_order_each_epoch_and_in_the_same_in_every_process(data, in_another_process):
    first, second, third = orders(data)
    assert first != second != third != first
    assert sorted(first) == sorted(second) == sorted(data.split(1).train.labels.tolist())
    assert in_another_process[1] == [first, second, third]


def test_another_seed_is_another_training_and_a_closed_one_leaves_nothing_behind(values, data):
    disturbing = train(data, seed=2)
    other = [next(disturbing), next(disturbing)]
    assert other[1].loss != values[1].loss
    assert timeless(other[:1]) == timeless(values[:1])  # the model is the same except for its weights
    disturbing.close()
    assert list(disturbing) == []
    assert timeless(train(data)) == timeless(values)


def test_a_continued_training_equals_an_undisturbed_one(values, data, tmp_path):
    interrupted = train(data)
    for value in interrupted:
        if isinstance(value, Epoch):
            value.save(tmp_path / "epoch.keras")
            break
    interrupted.close()
    assert timeless(train(data, start=tmp_path / "epoch.keras")) == timeless([values[0], *values[2:]])


def test_a_training_in_float16_goes_on_at_its_epoch_though_its_optimizer_has_skipped_steps(data, tmp_path):
    options = {"config": Config(optimizer="sgd", brightness=1.0), "precision": "mixed_float16", "epochs": 2}
    interrupted = train(data, **options)
    _, first = next(interrupted), next(interrupted)
    first.save(tmp_path / "epoch.keras")
    steps = keras.saving.load_model(tmp_path / "epoch.keras").optimizer.iterations
    assert int(steps.value.numpy()) < 4  # one for each batch, had gradients not been too large for float16
    _, second = train(data, start=tmp_path / "epoch.keras", **options)
    assert second.epoch == 2


def test_no_image_is_both_trained_on_and_validated_on(fashion_mnist):
    for seed in (1, 2):
        sets = fashion_mnist.split(seed)
        train_images, validation_images = (
            {image.tobytes() for image in s.images} for s in (sets.train, sets.validation)
        )
        assert len(train_images) > 990
        assert not train_images & validation_images


# batches


def test_the_feed_gives_each_image_once_an_epoch_with_its_own_label(data):
    images = data.split(1).train
    marked = replace(images, images=np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1), labels=np.arange(100))
    feed = list(batches(marked, epoch_rows(marked.labels, seed=1, epoch=1), 32))
    assert [len(labels) for _, labels in feed] == [32, 32, 32, 4]
    assert sorted(np.concatenate([labels for _, labels in feed])) == list(range(100))
    for pixels, labels in feed:
        np.testing.assert_array_equal(pixels.ravel(), labels)


# precision, NaN and infinity


def test_bfloat16_trains_and_its_softmax_stays_float32(data, tmp_path):
    config = fashion_cnn.Config(**SMALL, optimizer="sgd")
    _, epoch = fashion_cnn.train(config, data, seed=1, epochs=1, precision="mixed_bfloat16")
    assert not epoch.diverged
    assert 0 < epoch.val_loss < 4
    epoch.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    *before, last = model.layers
    assert {layer.compute_dtype for layer in before} == {"bfloat16"}
    assert last.compute_dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_a_training_that_blows_up_says_so_and_goes_on_if_asked(data):
    config = Config(optimizer="sgd", learning_rate=1e38)
    _, first, last = train(data, config=config, epochs=2)
    assert first.diverged
    assert last.diverged
    assert not math.isfinite(first.loss)
    assert last.test.images == 50


# one traced model for many trainings


def others(data, **options):
    """Trains something else first, then trains twice: only the second training can reuse a model."""
    list(train(data, config=Config(brightness=0.5), epochs=1))
    return list(train(data, **options)), list(train(data, **options))


@dataclass
class Trainings:
    """A training with a new model, again with the same model, and again after another optimizer has used it."""

    first: list[NetworkSummary | Epoch]
    reused: list[NetworkSummary | Epoch]
    changed: list[NetworkSummary | Epoch]
    models: list[keras.Model]


@pytest.fixture(scope="module", params=[*LEARNING_RATES])
def trainings(request, data):
    """The trainings of each optimizer; each has its own brightness, and so its own model."""
    optimizer, number = request.param, [*LEARNING_RATES].index(request.param)
    config = Config(optimizer=optimizer, brightness=1 / (256 + number))
    first, reused = (list(train(data, config=config, epochs=2)) for _ in range(2))
    before = traced_models.idle_model().model
    list(train(data, config=replace(config, optimizer="sgd" if optimizer == "adam" else "adam"), epochs=1))
    changed = list(train(data, config=config, epochs=2))
    return Trainings(first, reused, changed, [before, traced_models.idle_model().model])


def test_a_model_that_is_used_again_gives_what_a_new_one_gives(trainings):
    first, reused = trainings.first, trainings.reused
    assert timeless(first) == timeless(reused)
    assert first[1].seconds_build > 0
    assert reused[1].seconds_build == 0, "it was traced again"


def test_a_model_changes_its_optimizer_and_gives_what_a_new_one_gives(trainings):
    before, after = trainings.models
    assert timeless(trainings.changed) == timeless(trainings.first)
    assert after is before, "the layers were traced again"


def test_a_model_whose_layers_depend_on_how_it_is_trained_is_made_anew(data):
    def strange(config, image_shape, classes):
        image = keras.Input(image_shape, dtype="uint8")
        x = kl.Dropout(0.1 if config.optimizer == "sgd" else 0.9)(kl.Flatten()(kl.Rescaling(1 / 255)(image)))
        return keras.Model(image, kl.Dense(classes, "softmax")(x))

    def train_strange(optimizer):
        options = loop.TrainingOptions(seed=1, epochs=1)
        return timeless(loop.run(strange, Config(optimizer=optimizer), data, options))[1:]

    list(train(data, epochs=1))
    alone = train_strange("sgd")
    list(train(data, epochs=1))
    train_strange("adam")
    assert train_strange("sgd") == alone


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {}) for name in sorted(LEARNING_RATES.keys() - {"muon"})),
        ("adam", {"amsgrad": True}),
        ("adam", {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1, "clipnorm": 1.0, "use_ema": True}),
        ("adamax", {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1, "weight_decay": 0.1}),
        ("adadelta", {"learning_rate": 1.0, "rho": 0.5, "epsilon": 0.1}),
        ("rmsprop", {"momentum": 0.9}),
        ("rmsprop", {"momentum": 0.9, "centered": True}),
        ("sgd", {"momentum": 0.9}),
        ("sgd", {"momentum": 0.9, "nesterov": True, "gradient_accumulation_steps": 2}),
    ],
)
def test_variables_are_updated_as_keras_does(name, settings):
    """One TensorFlow operation, or XLA for large variables, gives the same result up to rounding."""
    rng = np.random.default_rng(1)
    starts = [rng.normal(size=shape).astype(np.float32) for shape in ((300, 300), (30,))]
    steps = [[rng.normal(size=start.shape).astype(np.float32) for start in starts] for _ in range(4)]

    def variables_after(how):
        variables = [keras.Variable(start, dtype="float32", name=f"kernel_{n}") for n, start in enumerate(starts)]
        plain = loop.optimizer(name, None)
        instance = plain.from_config({**plain.get_config(), **settings})
        instance.build(variables)
        update = tf.function(how(instance, variables), autograph=False)
        for gradients in steps:
            update([tf.constant(gradient) for gradient in gradients])
        return [v.numpy() for v in [*variables, *instance.variables]]

    mine = variables_after(optimizer_updates.on_cpu)
    for theirs, value in zip(variables_after(optimizer_updates.by_keras), mine, strict=True):
        np.testing.assert_allclose(value, theirs, rtol=1e-4, atol=1e-6 * max(1, np.abs(theirs).max()))
    assert all((value != start).any() for value, start in zip(mine, starts, strict=False))


@pytest.mark.parametrize(("kind", "momentum"), optimizer_updates._KERNELS)
def test_where_tensorflow_has_the_update_nothing_else_is_traced(kind, momentum):
    variables = [keras.Variable(np.ones((300, 300)), dtype="float32", name=f"kernel_{n}") for n in range(2)]
    instance = kind(**{"momentum": 0.9} if momentum else {})
    instance.build(variables)
    traced_update = tf.function(optimizer_updates.on_cpu(instance, variables), autograph=False)
    graph = traced_update.get_concrete_function([tf.ones((300, 300))] * 2).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert sum(kind.startswith("ResourceApply") for kind in kinds) == 2
    assert kinds.count("AssignVariableOp") == 1, "the number of steps alone"
    assert kinds.count("AssignSubVariableOp") == (2 if kind is keras.optimizers.AdamW else 0), "its decay alone"
    assert "update_step" not in vars(instance)


@pytest.mark.parametrize("optimizer", sorted(LEARNING_RATES.keys() - {"muon"}))
@pytest.mark.parametrize("bad_number", [math.nan, math.inf])
def test_an_update_that_is_no_number_shows_in_the_weights(optimizer, bad_number):
    """Otherwise a diverged training would seem to continue."""
    variables = [keras.Variable(np.ones(shape), dtype="float32", name=f"kernel_{shape}") for shape in (70_000, 3)]

    def after(how):
        instance = loop.optimizer(optimizer, None)
        instance.build(variables)
        update = tf.function(how(instance, variables), autograph=False)
        for variable in variables:
            variable.assign(np.ones(variable.shape))
        for slope in (1.0, bad_number, 1.0):
            update([tf.fill(variable.shape, slope) for variable in variables])
        return [np.isfinite(variable.numpy()).all() for variable in variables]

    assert after(optimizer_updates.on_cpu) == after(optimizer_updates.by_keras)
    if math.isnan(bad_number) and optimizer != "lion":  # which uses only the sign
        assert after(optimizer_updates.on_cpu) == [False, False]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_it_does_in_other_precisions_too(data, precision):
    first, reused = others(data, precision=precision, epochs=2)
    assert timeless(first) == timeless(reused)


def test_seed_learning_rate_and_what_it_went_through_do_not_matter(data, values):
    list(train(data, seed=5, config=Config(learning_rate=1e30), epochs=1))
    assert timeless(train(data)) == timeless(values)


def test_two_trainings_at_once_have_a_model_each(data, values):
    list(train(data, epochs=1))
    together = list(zip(train(data), train(data, seed=2), strict=True))
    assert timeless(first for first, _ in together) == timeless(values)


def test_a_training_that_goes_on_from_a_file_is_not_kept(data, values, tmp_path):
    training_ = train(data)
    for _ in range(3):
        value = next(training_)
    value.save(tmp_path / "epoch.keras")
    training_.close()
    assert timeless(list(train(data, start=tmp_path / "epoch.keras"))[1:]) == timeless(values[3:])
    assert timeless(train(data)) == timeless(values)


# a golden trial


def test_a_trial_means_what_it_meant(data):
    """One fixed trial, as it was when `MEANING` was 4.

    A failure here says that equal trials no longer give equal results, so that recorded ones must not be mixed with
    new ones. If that is on purpose, raise `trainables.meaning.MEANING` and put the new numbers here; if not, find out
    why.
    Five digits survive another CPU, whose sums have another order, because nothing here enlarges what is rounded: no
    optimizer that divides a gradient by itself, no last batch of a few images to normalise, a low learning rate.
    """
    config = fashion_cnn.Config(**SMALL, activation_2="tanh", optimizer="sgd", learning_rate=0.001, batch_size=50)
    size, first, last = fashion_cnn.train(config, data, seed=7, epochs=2)
    convolution = last.statistics[2]
    assert MEANING == 4
    assert (size.parameters, size.flops) == (2670, 908_186)
    assert (first.loss, first.val_loss) == pytest.approx((2.72816, 2.28918), rel=1e-5)
    assert (last.loss, last.val_loss, last.test.loss) == pytest.approx((2.86237, 2.28470, 2.29283), rel=1e-5)
    assert (last.accuracy, last.val_accuracy, last.test.accuracy) == pytest.approx((0.03, 0.1, 0.1))
    assert convolution.activation_deviation == pytest.approx(0.718468, rel=1e-5)
    assert convolution.weight_norm == pytest.approx(2.91285, rel=1e-5)
    assert convolution.gradient_norm == pytest.approx(0.182035, rel=1e-4)


def test_a_trial_with_a_large_variable_means_what_it_meant(data):
    """The same with an update that XLA compiles. Adagrad's sums begin at 0.1; a gradient's square is much smaller."""
    config = fashion_cnn.Config(**LARGE, activation_2="tanh", optimizer="adagrad", learning_rate=0.001, batch_size=50)
    _, first, last = fashion_cnn.train(config, data, seed=7, epochs=2)
    assert MEANING == 4
    assert (first.loss, first.val_loss) == pytest.approx((2.58123, 2.30834), rel=1e-5)
    assert (last.loss, last.val_loss, last.test.loss) == pytest.approx((2.40496, 2.30610, 2.29357), rel=1e-5)


def test_the_averages_of_batch_normalisation_may_go_by_another_momentum(data, tmp_path):
    default, other = ([*train(data, epochs=1, config=c)][-1] for c in (Config(), Config(normalization_momentum=0.5)))
    assert (default.loss, default.accuracy) == (other.loss, other.accuracy)  # it trains alike
    assert default.val_loss != other.val_loss
    *_, epoch = train(data, epochs=1, config=Config(normalization_momentum=0.5))
    epoch.save(tmp_path / "model.keras")
    (layer,) = (x for x in keras.saving.load_model(tmp_path / "model.keras").layers if "batch_norm" in x.name)
    assert layer.momentum == 0.5


def test_a_process_that_has_built_no_model_reads_a_checkpoint_with_our_layers(tmp_path):
    """It continues from another process' checkpoint; importing the training registers the layers."""
    from trainables.layers.batch_normalization import BatchNormalization
    from trainables.layers.dropout import Dropout
    from trainables.layers.standardization import Standardization

    shapes = keras.layers.Input((4, 4, 1))
    x = Dropout(0.5)(BatchNormalization()(Standardization()(shapes)))
    keras.Model(shapes, x).save(tmp_path / "checkpoint.keras")
    code = (
        "import sys; from trainables.hardware import one_thread; one_thread()\n"
        "import keras, trainables.training.loop\n"
        "print(*(type(layer).__name__ for layer in keras.saving.load_model(sys.argv[1]).layers))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "checkpoint.keras")], capture_output=True, text=True, check=True
    )
    assert child.stdout.split() == ["InputLayer", "Standardization", "BatchNormalization", "Dropout"]

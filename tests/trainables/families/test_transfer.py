"""The frozen part is found, its features are computed once, and trainings with and without them are equal."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from trainables.hardware import one_thread

one_thread()

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

from layersweep.records.values import Epoch  # noqa: E402
from trainables.data.arrays import ImageSet  # noqa: E402
from trainables.errors import DataError, WeightsError  # noqa: E402
from trainables.families import cifar_cnn, transfer  # noqa: E402
from trainables.features import feature_cache  # noqa: E402
from trainables.features.frozen_part import split_model  # noqa: E402
from trainables.measures import layer_statistics  # noqa: E402
from trainables.measures.layer_statistics import LayerProbe  # noqa: E402
from trainables.optimizers import LEARNING_RATES  # noqa: E402
from trainables.training import inputs, traced_models  # noqa: E402

SIZE = {"image_size": 24}


@pytest.fixture(scope="module")
def data(fashion_mnist):
    return replace(fashion_mnist, train_images=100, validation_images=60, test_images=50)


@pytest.fixture(autouse=True)
def own_features(monkeypatch, tmp_path):
    """Each test has its own features; images stay in the cache."""
    monkeypatch.setattr(feature_cache, "root", lambda: tmp_path / "features")


@pytest.fixture(scope="module")
def source(data, tmp_path_factory):
    """A network that was trained for one epoch, saved as in a sweep."""
    path = tmp_path_factory.mktemp("source") / "network.keras"
    config = cifar_cnn.Config(**SIZE)
    *_, last = cifar_cnn.train(config, data, seed=1, epochs=1)
    last.save(path)
    return path


def config_of(source, **values):
    return transfer.Config(weights=str(source), **SIZE | {"dense_units": 16} | values)


def build(source, **values):
    return transfer.build(config_of(source, **values), (28, 28, 1), 10)


def epochs(data, source, *, epochs=2, **values):
    training = transfer.train(config_of(source, **values), data, seed=1, epochs=epochs)
    return [value for value in training if isinstance(value, Epoch)]


def numbers(epochs):
    return [(e.loss, e.accuracy, e.val_loss, e.val_accuracy, e.test and e.test.accuracy) for e in epochs]


# the frozen part


def test_a_model_without_frozen_layers_has_no_frozen_part(source):
    assert split_model(cifar_cnn.build(cifar_cnn.Config(**SIZE), (28, 28, 1), 10)) is None
    assert split_model(build(source, trained="all")) is None


def test_a_frozen_base_ends_where_the_head_begins_to_learn(source):
    model = build(source)
    split = split_model(model)
    assert split.base.output_shape == (None, 128)  # flattened, which changes nothing
    assert [layer.name for layer in split.head.layers if layer.weights] == ["head_dense", "head_classes"]


def test_the_cut_moves_with_what_is_trained(source):
    model = build(source, trained="8")
    names = [layer.name for layer in model.layers if layer.trainable_weights]
    base = split_model(model).base
    assert not set(names) & {layer.name for layer in base.layers}
    assert len([layer for layer in base.layers if isinstance(layer, kl.Conv2D)]) == 4


def test_heads_without_dropout_share_the_features_of_the_others(source):
    with_dropout, without = (split_model(build(source, dense_units=0, dropout=rate)) for rate in (0.5, 0.0))
    assert with_dropout.shape == without.shape
    assert with_dropout.digest == without.digest


def test_a_frozen_part_is_measured_once_for_all_heads_and_as_if_it_were_not(data, source, monkeypatch):
    runs = []
    statistics = layer_statistics._statistics
    monkeypatch.setattr(layer_statistics, "_statistics", lambda *of: runs.append(of[1].name) or statistics(*of))
    train = data.split(1).train
    probe, other = (ImageSet(images=train.images[at : at + 8], labels=train.labels[at : at + 8]) for at in (0, 8))
    layer_statistics._last_frozen_output.clear()
    model = build(source)
    whole = LayerProbe(model).statistics(probe)
    runs.clear()
    parts = LayerProbe(model, split_model(model))
    assert parts.statistics(probe) == whole
    assert len(runs) == len(model.layers)
    again = LayerProbe(second := build(source, dense_units=16), split_model(second)).statistics(probe)
    assert again[: len(split_model(model).base.layers)] == whole[: len(split_model(model).base.layers)]
    assert len(runs) < len(model.layers) + 10  # the head alone
    assert parts.statistics(other) == LayerProbe(model).statistics(other) != whole
    kernel = next(weight for weight in parts._split.base.weights if "kernel" in weight.path)
    kernel.assign(kernel * 2)
    assert parts.statistics(other) == LayerProbe(model).statistics(other)


def test_images_that_are_augmented_are_not_frozen(source):
    assert split_model(build(source, flip="horizontal")) is None


def test_frozen_normalisation_that_goes_by_batches_is_not_frozen(source):
    model = build(source, normalization="training")
    by_batch = [layer.name for layer in model.layers if getattr(layer, "by_batch", False)]
    assert len(by_batch) == 6
    assert split_model(model) is None  # the part before the first is not worth storing


def test_a_digest_is_of_layers_and_weights_not_of_names(source):
    first, second = split_model(build(source)), split_model(build(source))
    assert first.digest == second.digest
    kernel = next(weight for weight in second.base.weights if "kernel" in weight.path)
    kernel.assign(kernel + 1e-3)
    assert first.digest != second.digest
    assert first.digest != split_model(build(source, input_range="raw")).digest


def test_two_ways_that_lead_from_the_frozen_part_on_leave_no_cut():
    image = keras.Input((8, 8, 1))
    first = kl.Conv2D(2, 3, padding="same", trainable=False)(image)
    second = kl.Conv2D(2, 3, padding="same", trainable=False)(first)
    x = kl.Concatenate()([kl.Conv2D(2, 3, padding="same")(first), second])
    assert split_model(keras.Model(image, kl.Dense(2)(kl.Flatten()(x)))) is None


# its features


def test_a_training_by_features_equals_one_through_the_base(data, source, monkeypatch):
    by_features = epochs(data, source, dropout=0.3)
    traced_models.forget_idle_model()
    monkeypatch.setattr(traced_models, "split_model", lambda *_, **__: None)
    through = epochs(data, source, dropout=0.3)
    np.testing.assert_allclose(numbers(by_features)[0][:4], numbers(through)[0][:4], atol=1e-4)
    np.testing.assert_allclose(numbers(by_features)[1], numbers(through)[1], atol=1e-4)
    assert by_features[0].seconds_features > 0 == by_features[1].seconds_features
    assert through[0].seconds_features == pytest.approx(0, abs=0.01)


def test_features_are_computed_once_for_every_head(data, source, monkeypatch):
    calls = []
    original = inputs.base_function
    monkeypatch.setattr(inputs, "base_function", lambda base: lambda images: calls.append(1) or original(base)(images))
    first = epochs(data, source)
    computed = len(calls)
    assert computed >= (100 + 60) // feature_cache.BATCH
    epochs(data, source, dense_units=8)
    assert len(calls) == computed
    assert numbers(epochs(data, source)) == numbers(first)


def test_features_do_not_depend_on_what_is_computed_with_them(data, source):
    model = build(source)
    split = split_model(model)
    base = inputs.base_function(split.base)
    images = data.split(1).train.images[: feature_cache.BATCH]
    together = base(images)
    permutation = np.random.default_rng(1).permutation(feature_cache.BATCH)
    np.testing.assert_array_equal(base(images[permutation]), together[permutation])


def test_a_damaged_folder_of_features_is_not_needed_to_train(data, source, tmp_path):
    epochs(data, source)
    (folder,) = (path for path in (tmp_path / "features").iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {"train.npy", "train_there.npy", "test.npy", "test_there.npy"}
    assert np.load(folder / "train_there.npy").sum() == 160
    assert np.load(folder / "test_there.npy").sum() == 50


def test_features_beyond_the_limit_go_the_oldest_first(data, source, tmp_path, monkeypatch):
    def folders():
        return {path.name for path in (tmp_path / "features").iterdir() if path.is_dir()}

    epochs(data, source)
    first = folders()
    one = 210 * 128 * 4  # a row per image, a number per filter
    monkeypatch.setenv(feature_cache.ENVIRONMENT, str(1.9 * one / (1 << 30)))
    epochs(data, source, input_range="raw")
    (second,) = folders()
    assert {second} != first


def test_features_within_the_limit_stay(data, source, tmp_path):
    epochs(data, source)
    epochs(data, source, input_range="raw")
    assert len([path for path in (tmp_path / "features").iterdir() if path.is_dir()]) == 2


BALANCED = pytest.mark.parametrize("balanced", [{"class_weight": "balanced"}, {"oversample": True}])


@pytest.fixture(scope="module")
def unequal(data):
    """15 images of ten classes: one or two of each."""
    return replace(data, train_images=15)


@BALANCED
def test_features_are_balanced_as_images_are(unequal, source, monkeypatch, balanced):
    data = unequal
    plain, by_features = epochs(data, source, dropout=0.0), epochs(data, source, dropout=0.0, **balanced)
    traced_models.forget_idle_model()
    monkeypatch.setattr(traced_models, "split_model", lambda *_, **__: None)
    through = epochs(data, source, dropout=0.0, **balanced)
    assert by_features[1].loss == pytest.approx(through[1].loss, abs=2e-5)
    assert abs(by_features[1].loss - plain[1].loss) > 2e-4
    assert by_features[0].seconds_features == pytest.approx(0, abs=0.1), "they are computed once for all"


@BALANCED
def test_views_are_balanced_too(unequal, source, balanced):
    data = unequal
    two = {"flip": "horizontal", "augmented_views": 2}
    assert numbers(epochs(data, source, **two, **balanced)) != numbers(epochs(data, source, **two))
    weighted = epochs(data, source, **two, **balanced)
    assert numbers(weighted) == numbers(epochs(data, source, **two, **balanced))


@pytest.mark.parametrize("values", [{"trained": "all"}, {"cut": "conv2d"}])
def test_views_of_what_is_not_kept_are_refused(data, source, values):
    if values.get("cut"):
        values = {"cut": next(layer.name for layer in transfer.load_source(str(source)).layers if layer.weights)}
    with pytest.raises(DataError, match=r"augmented_views=2 is not valid: the model has no frozen part .*; valid: 0"):
        epochs(data, source, flip="horizontal", augmented_views=2, **values)


def test_views_of_augmented_images_are_few_and_shared(data, source, tmp_path):
    two = {"flip": "horizontal", "augmented_views": 2}
    first = epochs(data, source, epochs=3, **two)
    views = sorted((tmp_path / "features").glob("*/view_*.npy"))
    assert len(views) == 2
    one, other = (np.load(path) for path in views)
    assert one.shape == other.shape == (100, 128)
    assert (one != other).any(axis=1).sum() > 20
    times = [path.stat().st_mtime_ns for path in views]
    assert numbers(epochs(data, source, epochs=3, **two)) == numbers(first)
    assert [path.stat().st_mtime_ns for path in views] == times
    assert numbers(first) != numbers(epochs(data, source, epochs=3))


def test_without_room_for_features_a_base_is_run_in_each_epoch(data, source, tmp_path, monkeypatch):
    expected = numbers(epochs(data, source))
    monkeypatch.setenv(feature_cache.ENVIRONMENT, "0")
    monkeypatch.setattr(feature_cache, "root", lambda: tmp_path / "none")
    traced_models.forget_idle_model()
    np.testing.assert_allclose(numbers(epochs(data, source))[0][:4], expected[0][:4], atol=1e-4)
    assert not (tmp_path / "none").exists()


# sources


def test_dropout_is_off_where_the_base_is_frozen(source):
    kinds = {type(layer).__name__ for layer in split_model(build(source)).base.layers}
    assert not kinds & {"Dropout", "SpatialDropout2D"}
    kinds = [type(layer).__name__ for layer in build(source, trained="all").layers]
    assert kinds.count("SpatialDropout2D") == 2


def test_a_base_begins_with_the_weights_of_its_source_or_with_new_ones(source):
    theirs = keras.saving.load_model(source).get_layer("conv2d").get_weights()[0]
    names = [layer.name for layer in keras.saving.load_model(source).layers if isinstance(layer, kl.Conv2D)]
    mine = build(source).get_layer(names[0]).get_weights()[0]
    np.testing.assert_array_equal(mine, keras.saving.load_model(source).get_layer(names[0]).get_weights()[0])
    assert theirs.shape == mine.shape
    assert (build(source, begin="scratch").get_layer(names[0]).get_weights()[0] != mine).any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cut": "conv2d_99"}, "cut='conv2d_99' is not a layer"),
        ({"trained": "conv2d_99"}, "trained='conv2d_99' is not a layer of the base"),
        ({"channels": 3}, "need 1-channel images, but these have 3 channels; valid: channels=1"),
    ],
)
def test_what_does_not_fit_a_source_is_named(source, values, message):
    with pytest.raises(WeightsError, match=message):
        build(source, **values)


def test_layers_that_do_not_fit_these_images_are_named(source):
    with pytest.raises(
        WeightsError, match=r"layer dense of weights .* has the shapes .*valid: the source's image_size"
    ):
        build(source, cut="dense", image_size=32)


def test_a_sequential_network_is_cut_as_well_and_a_subclass_refused(tmp_path):
    path = tmp_path / "sequential.keras"
    keras.Sequential([keras.Input((24, 24, 1)), kl.Conv2D(4, 3, name="first"), kl.Flatten(), kl.Dense(2)]).save(path)
    assert "first" in [layer.name for layer in build(path, input_range="unit").layers]

    @keras.saving.register_keras_serializable("test_transfer")
    class Subclass(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = kl.Dense(2)

        def call(self, images):
            return self.dense(images)

    model = Subclass()
    model(np.zeros((1, 4), np.float32))
    model.save(tmp_path / "own.keras")
    with pytest.raises(WeightsError, match="holds no network that can be cut"):
        build(tmp_path / "own.keras")


def test_no_source_a_missing_one_and_a_pickle_are_refused(tmp_path):
    pickle = tmp_path / "network.pkl"
    pickle.write_bytes(b"\x80\x04.")
    for path, message in (
        ("none", "needs a network"),
        (tmp_path / "no.keras", "no such file"),
        (pickle, "not a .keras file"),
    ):
        with pytest.raises(WeightsError, match=message):
            build(path)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    image = keras.Input((28, 28, 1))
    path = tmp_path / "lambda.keras"
    keras.Model(image, kl.Dense(2)(kl.Flatten()(kl.Lambda(lambda x: x)(image)))).save(path)
    with pytest.raises(WeightsError, match="cannot be read"):
        build(path)


# phases


def test_a_first_phase_is_the_same_with_a_frozen_base(source):
    config = config_of(source, trained="8", head_epochs=3, learning_rate=1e-4)
    before, count = config.first_phase
    assert count == 3
    assert before == dataclasses.replace(config, trained="none", head_epochs=0, learning_rate=LEARNING_RATES["adam"])
    assert before.first_phase is None


def test_a_second_phase_begins_with_the_weights_of_the_first(data, source, tmp_path):
    first = epochs(data, source, epochs=1)[-1]
    path = tmp_path / "first.keras"
    first.save(path)
    config = config_of(source, trained="8", learning_rate=1e-12)

    def learned(parent):
        *_, epoch = transfer.train(config, data, seed=1, epochs=1, parent=parent)
        epoch.save(tmp_path / "second.keras")
        return epoch, trained_weights(tmp_path / "second.keras")

    (second, continued), (_, fresh), before = learned(path), learned(None), trained_weights(path)
    assert second.val_loss == pytest.approx(first.val_loss, rel=0.3)
    for mine, theirs in zip(continued, before, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert any(not np.allclose(*both, atol=1e-2) for both in zip(fresh, before, strict=True))


def trained_weights(path):
    """The weights that training changes in a saved network; moving averages change at any learning rate."""
    layers = keras.saving.load_model(path, compile=False).layers
    return [w.numpy() for layer in layers for w in layer.weights if w.name in {"kernel", "bias", "gamma", "beta"}]

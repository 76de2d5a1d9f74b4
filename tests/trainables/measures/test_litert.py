"""A trained network in LiteRT: equal accuracy in float32, smaller in int8; a failed conversion has its reason."""

from dataclasses import replace

import numpy as np
import pytest

from trainables.hardware import one_thread

one_thread()

import keras  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402

from layersweep.records.values import Epoch  # noqa: E402
from trainables.data.arrays import ImageSet  # noqa: E402
from trainables.families import cifar_cnn  # noqa: E402
from trainables.measures import litert  # noqa: E402

CLASSES = 3


def images(number: int, seed: int) -> ImageSet:
    """Images whose brightness depends on their class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, number)
    pixels = 60 * labels[:, None, None, None] + rng.integers(0, 60, (number, 8, 8, 1))
    return ImageSet(images=pixels.astype(np.uint8), labels=labels.astype(np.uint8))


def network(policy: str = "float32") -> keras.Model:
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(1)
        image = keras.Input((8, 8, 1), dtype="uint8")
        x = keras.layers.Rescaling(1 / 255, dtype="float32")(image)
        x = keras.layers.Conv2D(64, 3, activation="relu")(x)
        x = keras.layers.Flatten()(x)
        x = keras.layers.Dense(64, activation="relu")(x)
        model = keras.Model(image, keras.layers.Dense(CLASSES, activation="softmax", dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", "sparse_categorical_crossentropy")
    train = images(300, 0)
    model.fit(train.images, train.labels.astype(np.int64), epochs=12, batch_size=32, verbose=0)
    return model


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_both_forms_know_what_the_network_knows(policy: str) -> None:
    model, validation = network(policy), images(200, 1)
    whole, eighth = litert.exports(model, train=images(300, 0), validation=validation)
    accuracy = float((model.predict(validation.images, verbose=0).argmax(axis=1) == validation.labels).mean())
    assert accuracy > 0.9
    assert (whole.form, eighth.form) == ("float32", "int8")
    assert whole.accuracy == pytest.approx(accuracy, abs=0.011)
    assert eighth.accuracy == pytest.approx(accuracy, abs=0.05)
    assert whole.size_bytes > 4 * model.count_params() > 2 * eighth.size_bytes
    for form in (whole, eighth):
        assert form.problem is None
        assert form.images == 200
        assert 0 < form.min_ms <= form.median_ms <= form.p95_ms
        assert form.n == 200


def test_a_float32_file_gives_the_networks_own_probabilities() -> None:
    model, some = network(), images(5, 2).images
    interpreter = Interpreter(model_content=litert.convert(model, "float32", some), num_threads=1)
    interpreter.allocate_tensors()
    (model_input,), (model_output,) = interpreter.get_input_details(), interpreter.get_output_details()
    for k, expected in enumerate(model.predict(some, verbose=0)):
        interpreter.set_tensor(model_input["index"], some[k : k + 1])
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(model_output["index"])[0], expected, atol=1e-5)


def test_what_cannot_be_converted_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise ValueError("LiteRT's converter refuses the network: no such operation")

    monkeypatch.setattr(litert, "convert", refuse)
    for export in litert.exports(network(), train=images(10, 0), validation=images(10, 1)):
        assert export.problem == "LiteRT's converter refuses the network: no such operation"
        assert export.accuracy is None


def test_a_training_converts_at_its_end_if_asked(fashion_mnist):
    data = replace(fashion_mnist, train_images=100, validation_images=60, test_images=50)
    values = list(cifar_cnn.train(cifar_cnn.Config(image_size=24), data, seed=1, epochs=2, lite=True))
    first, last = (value for value in values if isinstance(value, Epoch))
    assert first.exports == ()
    assert [export.form for export in last.exports] == ["float32", "int8"]
    assert last.exports[0].accuracy == pytest.approx(last.val_accuracy, abs=0.02)

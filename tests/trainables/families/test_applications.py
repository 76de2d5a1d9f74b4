"""Weights from a file: they are copied completely, or refused with the reason, before any trial starts."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from places import ROOT
from ray import cloudpickle

from trainables.errors import ConfigError, WeightsError
from trainables.families import applications
from trainables.families.by_name import family
from trainables.families.family_code import FamilyCode
from trainables.hardware import one_thread
from trainables.worker.model_check import ModelSpec, problems

one_thread()

import keras  # noqa: E402

SHAPE = (32, 32, 3)
SMALL = {"alpha": 0.35, "image_size": 32}


@pytest.fixture(scope="module")
def base():
    """A MobileNetV2 with random weights and, like published files, without a head."""
    keras.utils.set_random_seed(5)
    return keras.applications.MobileNetV2(alpha=0.35, include_top=False, weights=None, input_shape=SHAPE)


@pytest.fixture(scope="module")
def weights_folder(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    base.save_weights(folder / "base.weights.h5")
    base.save(folder / "base.keras")
    return folder


def build(weights, image_shape=SHAPE, **keys):
    module = family("mobilenet_v2")
    return module.build(module.Config(weights=str(weights), **{**SMALL, **keys}), image_shape, 10)


@pytest.mark.parametrize("name", ["base.weights.h5", "base.keras"])
@pytest.mark.parametrize(
    "keys", [{}, {"truncate_after": "block_5_add"}, {"first_stride": 1}, {"upsampling": 2}, {"flip": "horizontal"}]
)
def test_a_model_takes_over_every_weight_of_the_base(base, weights_folder, name, keys):
    model = build(weights_folder / name, **keys)
    count = 0
    for layer in base.layers:
        layer_of_model = next((one for one in model.layers if one.name == layer.name), None)
        for expected, weights in zip(
            layer.get_weights(), layer_of_model.get_weights() if layer_of_model else [], strict=bool(layer_of_model)
        ):
            np.testing.assert_array_equal(weights, expected)
            count += 1
    assert count > 20


def test_random_weights_are_others(base):
    module = family("mobilenet_v2")
    model = module.build(module.Config(**SMALL), SHAPE, 10)
    expected, weights = (m.get_layer("Conv1").get_weights()[0] for m in (base, model))
    assert not np.array_equal(expected, weights)


def test_weights_of_another_width_are_refused_with_the_shapes(weights_folder):
    with pytest.raises(
        WeightsError, match=r"base\.keras do not fit: .*Conv1.*\(3, 3, 3, 16\), but the model's .*\(3, 3, 3, 32\)"
    ):
        build(weights_folder / "base.keras", alpha=1.0)
    with pytest.raises(WeightsError, match=r"base\.weights\.h5 do not fit, or are damaged"):
        build(weights_folder / "base.weights.h5", alpha=1.0)


def test_weights_of_another_model_are_refused_with_their_number(tmp_path):
    image = keras.Input(SHAPE)
    keras.Model(image, keras.layers.Conv2D(3, 3)(image)).save(tmp_path / "other.keras")
    with pytest.raises(WeightsError, match=r"other\.keras do not fit: they have 2 variables, but the model has \d+"):
        build(tmp_path / "other.keras")


@pytest.mark.parametrize("name", ["broken.weights.h5", "broken.keras"])
def test_a_damaged_file_is_said(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(WeightsError, match=rf"{name} do not fit, or are damaged"):
        build(tmp_path / name)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(
        WeightsError, match=r"absent\.keras: there is no such file; valid: none, imagenet, or a file's path"
    ):
        build(tmp_path / "absent.keras")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    image = keras.Input(SHAPE)
    keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image)).save(tmp_path / "code.keras")
    with pytest.raises(WeightsError, match=r"code\.keras do not fit, or are damaged: .*[Ll]ambda"):
        build(tmp_path / "code.keras")


def test_a_weight_must_have_a_name():
    with pytest.raises(ConfigError, match="weights=' ' is not valid; valid: none, imagenet, or a file's path"):
        family("mobilenet_v2").Config(weights=" ")


def test_another_process_finds_a_family_of_the_table_without_keras():
    xception = family("xception")
    assert xception is applications.xception
    code = "import pickle, sys; from trainables.families.family import name_of\n"
    code += "train, config = pickle.load(sys.stdin.buffer)\n"
    code += "print(name_of(train), config.minimum_size, 'keras' in sys.modules)"
    for pickled in (pickle.dumps, cloudpickle.dumps):
        content = pickled((xception.train, xception.Config(dropout=0.1)))
        process = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True, cwd=ROOT)
        assert process.stdout.decode().split() == ["xception", "71", "False"]


def test_models_are_tried_in_a_process_of_their_own(weights_folder, tmp_path, monkeypatch):
    """The last model needs ImageNet's weights, but there is no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    models = [
        ModelSpec(
            family=FamilyCode.named("mobilenet_v2"),
            config_json=json.dumps({"weights": str(weights), **keys}),
            image_shape=(28, 28, 1),
            classes=10,
        )
        for weights, keys in (
            (weights_folder / "base.keras", SMALL),
            (weights_folder / "absent.keras", SMALL),
            ("imagenet", {**SMALL, "image_size": 96}),
        )
    ]
    fitting, missing, unreachable = problems(models)
    assert fitting is None
    assert "there is no such file" in missing
    assert "mobilenet_v2_weights" in unreachable
    assert f"at {tmp_path / 'keras' / 'models'}/mobilenet_v2_weights" in unreachable

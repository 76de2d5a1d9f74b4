import os
import re
import subprocess
import sys
from dataclasses import replace

import keras
import keras_tuner
import numpy as np
import polars as pl
import pytest
from keras import layers
from places import ROOT

from layersweep.records.values import Epoch, NetworkSummary
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range
from trainables.errors import ConfigError
from trainables.families.family import build_of, config_of, name_of, place_of
from trainables.families.family_code import FamilyCode
from trainables.hyper_models import family as families
from trainables.hyper_models.discovery import space_of
from trainables.hyper_models.family import hyper_model

SHAPE, CLASSES = (28, 28, 1), 10


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Hyperparameters are discovered here: a process of its own takes ten seconds."""
    monkeypatch.setattr(families, "discovered", lambda model: space_of(families._function(model)))


def build_model(hp):
    model = keras.Sequential()
    model.add(layers.Flatten())
    for k in range(hp.Int("dense layers", 1, 3)):
        model.add(
            layers.Dense(hp.Int(f"units_{k}", 8, 32, step=8), activation=hp.Choice("activation", ["relu", "tanh"]))
        )
    model.add(layers.Dense(CLASSES, activation="softmax"))
    rate = hp.Float("lr", 1e-3, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


class Own(keras_tuner.HyperModel):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def build(self, hp):
        image = keras.Input(SHAPE)
        x = layers.Conv2D(hp.Int("filters", 4, 8), 3)(layers.Rescaling(1 / 255)(image))
        model = keras.Model(image, layers.Dense(self.classes)(layers.GlobalMaxPooling2D()(x)))
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    def fit(self, hp, model, *arguments, **options):
        return model.fit(*arguments, batch_size=hp.Choice("batch_size", [16, 32]), **options)


def test_a_build_is_a_family_whose_keys_are_its_hyperparameters():
    train = hyper_model(build_model)
    config = config_of(train)(dense_layers=2, units_1=24)
    model = build_of(train)(config, SHAPE, CLASSES)
    assert [layer.units for layer in model.layers if isinstance(layer, layers.Dense)] == [8, 24, CLASSES]
    assert (model.inputs[0].dtype, model.output.shape, model.compiled) == ("uint8", (None, CLASSES), False)
    assert (name_of(train), place_of(build_of(train))[:33]) == ("test_family", "build_model (test_family.py, line")
    assert train.remarks == (
        "the hyperparameter 'lr' is the key learning_rate",
        "the hyperparameter 'dense layers' is the key dense_layers",
    )


def test_the_same_hypermodel_trains(fashion_mnist):
    train = hyper_model(build_model)
    values = [*train(train.Config(), fashion_mnist, seed=1, epochs=1)]
    assert [type(value) for value in values] == [NetworkSummary, Epoch]
    assert [layer.kind for layer in values[0].layers][-2:] == ["Dense", "Dense"]
    assert values[1].val_accuracy > 0.1


def test_images_of_0_to_1_are_passed_on_unless_the_network_rescales_them_itself():
    image = np.full((1, *SHAPE), 255, "uint8")

    def reads(hp):
        return keras.Sequential([layers.Flatten(), layers.Identity(name="numbers")])

    def rescales(hp):
        return keras.Sequential([layers.Rescaling(1 / 255), layers.Flatten()])

    for build, options, expected in [
        (reads, {}, 1), (reads, {"rescaled": False}, 255), (rescales, {}, 1), (rescales, {"rescaled": True}, 1 / 255)
    ]:  # fmt: skip
        train = hyper_model(build, **options)
        assert np.max(train.build(train.Config(), SHAPE, CLASSES)(image)) == pytest.approx(expected)


def test_layers_of_ones_own_may_have_the_names_of_ours():
    def build(hp):
        first = [layers.RandomFlip(), layers.Resizing(20, 20), layers.Identity(name="preprocessing")]
        return keras.Sequential([keras.Input(SHAPE), *first, layers.Flatten(), layers.Dense(CLASSES, "softmax")])

    train = hyper_model(build)
    model = train.build(train.Config(flip="horizontal"), (40, 40, 1), CLASSES)
    names = [layer.name for layer in model.layers]
    assert names[:5] == ["image", "numbers", "random_flip", "resizing", "preprocessing"]
    assert names[5].startswith("own_random_flip")
    assert names[7] == "own_preprocessing"


def test_a_hypermodel_of_logits_gets_a_softmax_and_what_of_its_fit_is_ignored_is_said():
    train = hyper_model(Own(CLASSES))
    outputs = train.build(train.Config(), SHAPE, CLASSES)(np.ones((3, *SHAPE), "uint8"))
    assert np.sum(outputs, axis=1) == pytest.approx(1)
    assert train.remarks == (
        "fit() of Own is not used, and nor are its hyperparameters batch_size; valid: --set batch_size=32,64",
    )


def test_a_hypermodel_is_sealed_with_its_keys_and_its_space():
    code = FamilyCode.of(hyper_model(Own(CLASSES)), "own")
    assert code.Config().filters == 4
    assert code.build(code.Config(filters=6), SHAPE, CLASSES).get_layer("conv2d").filters == 6
    assert "space" in vars(code.train)  # which a training process need not discover again


def test_a_hyperparameter_that_no_build_asked_for_before_is_refused():
    names = ["n"] * 50

    def build(hp):
        hp.Int(names.pop() if names else "later", 1, 2)
        return keras.Sequential([layers.Flatten()])

    train = hyper_model(build)
    config = train.Config()
    names.clear()
    with pytest.raises(ConfigError, match=r"build \(.*\) asks for later, which earlier builds did not: .*; valid:"):
        train.build(config, SHAPE, CLASSES)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Own, r"got a class; valid: ls.hyper_model\(Own\(\)\)"),
        (3, r"got 3; valid: ls.hyper_model\(build\) with"),
        (lambda: None, r"takes 0 arguments instead of hp alone; valid"),
        (lambda hp, shape: None, r"takes 2 arguments instead of hp alone; valid"),
    ],
)
def test_what_is_no_hypermodel_is_refused_when_its_keys_are_read(model, message):
    with pytest.raises(ConfigError, match=message):
        config_of(hyper_model(model))


def test_a_hypermodel_of_autokeras_is_sent_to_the_family_of_its_own():
    block = type("ImageBlock", (keras_tuner.HyperModel,), {"__module__": "autokeras.blocks.wrapper"})
    with pytest.raises(ConfigError, match=r"got ImageBlock of AutoKeras; valid: the family autokeras"):
        config_of(hyper_model(block()))


def test_a_sweep_searches_the_hyperparameters_unless_it_has_tuned_spaces():
    sweep = Sweep(name="mine", train=hyper_model(build_model))
    assert sweep.with_family_spaces.tuned == (
        {
            "dense_layers": Range(1, 3, step=1),
            "units_0": Range(8, 32, step=8),
            "activation": ("relu", "tanh"),
            "learning_rate": Range(1e-3, 1e-2, log=True),
            "units_1": Range(8, 32, step=8),
            "units_2": Range(8, 32, step=8),
        },
    )
    own = replace(sweep, tuned=[{"units_0": [8, 16]}])
    assert own.with_family_spaces is own
    with pytest.raises(UsageError, match=r"the sweep 'mine': .* got a class"):
        _ = replace(sweep, train=hyper_model(Own)).with_family_spaces


def page_script():
    """The script of docs/keras_tuner.md."""
    text = (ROOT / "docs" / "keras_tuner.md").read_text()
    return re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]


def test_the_script_of_the_page_has_the_keys_that_the_page_names():
    names = {"__name__": "widths"}
    exec(page_script(), names)
    (space,) = names["SWEEP"].with_family_spaces.tuned
    assert {*space} == {"layers", "units_0", "units_1", "units_2", "learning_rate"}


@pytest.mark.slow
def test_a_script_with_a_hypermodel_is_searched_and_recorded(tmp_path, joining, fashion_mnist):
    (tmp_path / "widths.py").write_text(page_script())
    flags = ["--images", "300", "--epochs", "1", "--seeds", "1", "--search", "random", "--trials", "2"]
    command = [sys.executable, "widths.py", *flags]
    process = subprocess.run(
        command, cwd=tmp_path, env=os.environ | joining, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert "the hyperparameter 'lr' is the key learning_rate" in process.stdout
    trials = pl.read_parquet(tmp_path / "results/trials/widths/*.parquet")
    assert trials["family"].unique().to_list() == ["widths"]
    assert trials.filter(question="tuning").height == 2
    assert trials["units_1"].is_between(32, 256).all()

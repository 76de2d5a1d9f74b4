"""AutoKeras' networks as a family, and the proposals of its oracles after earlier candidates."""

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from trainables.errors import ConfigError
from trainables.hardware import one_thread
from trainables.nas import autokeras
from trainables.nas.autokeras import Config
from trainables.nas.configuration import config_of

one_thread()

from keras import layers  # noqa: E402

from layersweep.records.values import Epoch, NetworkSummary  # noqa: E402
from trainables.layers.standardization import Standardization  # noqa: E402
from trainables.nas.oracles import FACTOR, ORACLES, Candidate, Proposer, Search  # noqa: E402

GREY_28 = (28, 28, 1)
RESNET50 = json.dumps({"image_block_1/res_net_block_1/version": "resnet50"})
RESNET50_PARAMETERS = 23_587_712  # keras.applications' without its top
SMALL = json.dumps({
    "image_block_1/conv_block_1/kernel_size": 3, "image_block_1/conv_block_1/num_blocks": 1,
    "image_block_1/conv_block_1/num_layers": 1, "image_block_1/conv_block_1/filters_0_0": 4,
    "classification_head_1/spatial_reduction_1/reduction_type": "global_avg",
})  # fmt: skip
VANILLA = Config(block="vanilla", normalize="on", augment="off", choices=SMALL)


def search(oracle, **options):
    """Greedy begins with a ResNet; the other oracles search networks that are built in a tenth of its time."""
    block = "vanilla+resnet" if oracle == "greedy" else "vanilla"
    return Search(
        name=oracle, oracle=oracle, config={"block": block}, image_shape=GREY_28, classes=10, seed=0,
        epochs=9, **options,
    )  # fmt: skip


def make_candidates(proposer, number, *, number_running=0, seed=0):
    """This number of candidates, with made-up metrics: one has failed, the last ones still run."""
    rng, candidates = random.Random(seed), []
    for k in range(number):
        metric = math.nan if k == 2 else rng.random()
        candidates.append(Candidate(values=proposer.propose(candidates).values, metric=metric))
    return candidates[: number - number_running] + [
        replace(d, metric=None) for d in candidates[number - number_running :]
    ]


def test_the_reports_network_has_the_layers_of_resnet50():
    model = autokeras.build(Config(block="resnet", normalize="on", augment="off", choices=RESNET50), GREY_28, 10)
    assert model.count_params() == RESNET50_PARAMETERS + 2048 * 10 + 10 + 2  # the last are mean and deviation
    assert sum(isinstance(layer, layers.Conv2D) for layer in model.layers) == 53
    assert model.output_shape == (None, 10)


def test_choices_make_the_network():
    model = autokeras.build(VANILLA, GREY_28, 10)
    (convolution,) = (layer for layer in model.layers if isinstance(layer, layers.Conv2D))
    assert (convolution.filters, convolution.kernel_size) == (4, (3, 3))
    assert model.count_params() == 2 + (9 * 4 + 4) + (4 * 10 + 10)


def test_augmentation_is_there_where_it_is_asked_for():
    kinds = [type(layer) for layer in autokeras.build(replace(VANILLA, augment="on"), GREY_28, 10).layers]
    assert layers.RandomFlip in kinds
    assert layers.RandomFlip not in [type(layer) for layer in autokeras.build(VANILLA, GREY_28, 10).layers]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"block": "vanila"}, r"block='vanila' is not valid; valid: any, resnet, xception, vanilla, efficient, or"),
        ({"normalize": "yes"}, r"normalize='yes' is not valid; valid: any, on, off"),
        ({"choices": "{1}"}, r"choices='\{1\}' is not valid .*; valid: a JSON object"),
        ({"choices": '{"a": [1]}'}, r"choices: a=\[1\] is not valid; valid: a number, a text, true or false"),
    ],
)
def test_bad_input_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        Config(**values)


def test_images_are_standardized_by_their_own_training_set(fashion_mnist):
    """Also if a model is reused for another seed, which has another training set."""

    def epochs(seed):
        return [v for v in autokeras.train(VANILLA, fashion_mnist, seed=seed, epochs=1) if isinstance(v, Epoch)]

    from trainables.training.traced_models import idle_model

    first, (second,) = epochs(1), epochs(2)
    images = np.asarray(fashion_mnist.split(2).train.images[:], dtype=np.float64)
    standardization = idle_model().model.get_layer("standardization")
    assert float(standardization.mean.value[0]) == pytest.approx(images.mean(), rel=1e-6)
    assert float(standardization.deviation.value[0]) == pytest.approx(images.std(), rel=1e-6)
    assert first
    other = list(autokeras.train(replace(VANILLA, augment="on"), fashion_mnist, seed=1, epochs=1))
    assert isinstance(other[0], NetworkSummary)  # another network in between
    (again,) = epochs(2)
    assert (again.loss, again.val_loss, again.val_accuracy) == (second.loss, second.val_loss, second.val_accuracy)


@pytest.mark.filterwarnings("ignore:The optimal value found:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("oracle", ORACLES)
def test_a_search_that_is_made_anew_goes_on_as_it_would_have(oracle):
    """The bayesian oracle proposes after its random points, so that it fits a Gaussian process."""
    proposer = Proposer(search=search(oracle))
    before = make_candidates(proposer, 10 if oracle == "bayesian" else 9, number_running=1)
    proposed = proposer.propose(before)
    assert Proposer(search=search(oracle)).propose(before) == proposed
    assert proposed.values not in [d.values for d in before]
    assert len({json.dumps(d.values, sort_keys=True) for d in before}) == len(before)


def test_choices_that_mean_nothing_are_left_out():
    """A network of one block does not use the filters of a second block: two such networks would be the same."""
    config = {"block": "vanilla", "normalize": "on", "augment": "off"}
    proposer = Proposer(search=replace(search("random"), config=config))
    for candidate in make_candidates(proposer, 9):
        values = {name.rpartition("/")[2]: value for name, value in candidate.values.items()}
        names = {f"filters_{i}_{j}" for i in range(values["num_blocks"]) for j in range(values["num_layers"])}
        assert {name for name in values if name.startswith("filters")} == names


def test_the_seed_is_honoured_0_too():
    def values(seed):
        return Proposer(search=replace(search("random"), seed=seed)).propose([]).values

    assert values(0) == values(0)
    assert values(0) != values(1)


def test_greedy_begins_with_what_autokeras_tries_first():
    proposer = Proposer(search=search("greedy"))
    first, second = make_candidates(proposer, 2)
    assert first.values["image_block_1/block_type"] == "vanilla"
    assert proposer.propose([]).parameters == 110_988  # AutoKeras' 110,989 weights less its count of images, and ours 2
    assert second.values["image_block_1/res_net_block_1/version"] == "resnet50"
    assert not any("pretrained" in name or "imagenet_size" in name for name in second.values)
    assert repr(second.values["classification_head_1/dropout"]) == "0.0"  # 0 would be another text, so another trial


def test_hyperband_goes_on_with_the_best():
    proposer = Proposer(search=search("hyperband"))
    candidates = make_candidates(proposer, 13)
    rounds = [int(d.values["tuner/round"]) for d in candidates]
    assert rounds[:9] == [0] * 9
    best = max(range(9), key=lambda k: -math.inf if math.isnan(candidates[k].metric) else candidates[k].metric)
    promoted = candidates[9].values
    assert (promoted["tuner/trial_id"], promoted["tuner/round"]) == (str(best), 1)
    assert promoted["tuner/epochs"] == FACTOR * candidates[best].values["tuner/epochs"]
    network = {k: v for k, v in promoted.items() if not k.startswith("tuner/")}
    assert network.items() <= candidates[best].values.items()


def test_hyperband_is_made_anew_with_brackets_of_one_round_beside():
    """Brackets of 9, 5 and 3: the first bracket's last promotions come after the second and third bracket."""
    candidates = []
    proposer = Proposer(search=search("hyperband"))
    for k in range(24):
        proposed = proposer.propose(candidates)
        candidates.append(Candidate(values=proposed.values, metric=k / 100))
    rounds = {(d.values["tuner/bracket"], d.values["tuner/round"]) for d in candidates}
    assert {(2, 0), (2, 1), (2, 2), (1, 0)} <= rounds
    late = [candidates[k] for k in (*range(9), *range(12, 24), *range(9, 12))]  # the first one's promotions come last
    assert proposer.propose(late) is not None
    shorter = Proposer(search=replace(search("hyperband"), epochs=3))
    assert shorter.propose(candidates) is not None  # records of longer trainings


def test_images_get_the_channels_that_the_network_sees(fashion_mnist):
    config = replace(VANILLA, channels=3)
    _, epoch = autokeras.train(config, fashion_mnist, seed=1, epochs=1)
    assert math.isfinite(epoch.loss)
    from trainables.training.traced_models import idle_model

    mean = idle_model().model.get_layer("standardization").mean.value
    assert len(set(mean.numpy().tolist())) == 1
    layer = Standardization()
    layer.build((None, 4, 4, 1))
    layer.measure(np.full((5, 4, 4, 3), (10, 20, 30), dtype=np.uint8))
    assert float(layer.mean.value[0]) == pytest.approx(0.2989 * 10 + 0.5870 * 20 + 0.1140 * 30)


def test_a_layer_that_was_measured_elsewhere_keeps_that():
    layer = Standardization(name="standardization")
    assert not layer.has_statistics
    assert Standardization.from_config(layer.get_config()).has_statistics


def test_a_configuration_holds_all_that_the_oracle_knows():
    values = Proposer(search=search("greedy")).propose([]).values
    config = config_of({"block": "vanilla+resnet", "batch_size": 64}, values)
    assert config.every_value == values
    assert (config.optimizer, config.learning_rate, config.batch_size) == ("adam", 1e-3, 64)
    assert config_of({}, {**values, "optimizer": "adam_weight_decay"}).optimizer == "adamw"

"""Who is given up: those at chance that do not learn; who is warned of: those whose validation stays at chance.

Of 10,000 images of ten equal classes with predictions as frequent, 1,094 hits have p = .00104, 1,095 have .00093.
"""

import math
import subprocess
import sys
from dataclasses import replace

import made_up
import numpy as np
import pytest

from layersweep.records.values import ClassCounts, NetworkSummary
from layersweep.tuning.driver.learning_check import TrainingFacts, hopeless_reason, lag_warning

TEN, RARE = (1_000,) * 10, (970, 30)


def counted(images, hits, predicted=None):
    return ClassCounts(images=images, predicted=predicted or images, hits=hits)


def tens(hits, n=10_000):
    """Ten equal classes, of which so many images are right."""
    share, rest = divmod(hits, 10)
    return counted((n // 10,) * 10, (*[share + 1] * rest, *[share] * (10 - rest)))


def one_class(images, label=0):
    hits, predicted = [0] * len(images), [0] * len(images)
    hits[label], predicted[label] = images[label], sum(images)
    return counted(images, tuple(hits), tuple(predicted))


def an_epoch(train, validation=None, *, epoch=2, loss=2.3):
    validation = validation or train
    accuracies = [sum(each.hits) / sum(each.images) for each in (train, validation)]
    changes = {"accuracy": accuracies[0], "val_accuracy": accuracies[1], "val_loss": 2.0, "loss": loss}
    changes |= {"train_counts": train, "val_counts": validation}
    return replace(made_up.measured(made_up.Config(), 0, epoch, last=False), **changes)


def hopeless(train, *, epoch=2, steps=500, first=2.3, loss=2.3):
    return hopeless_reason({"loss": first}, an_epoch(train, epoch=epoch, loss=loss), steps=steps)


def a_network(momentum=None, *kinds):
    (network, *_) = made_up.train(made_up.Config(), None, seed=0, epochs=1)
    layers = tuple(replace(network.layers[0], kind=kind) for kind in kinds or ("Rescaling", "Dense"))
    return replace(network, layers=layers, normalization_momentum=momentum)


def warned(train, validation, *, steps=500, all_steps=None, network=None, **facts):
    facts = TrainingFacts(steps=steps, all_steps=all_steps or steps, network=network or a_network(), **facts)
    return lag_warning(an_epoch(train, validation), facts)


# hopeless


def test_at_chance_with_a_loss_that_does_not_fall_is_hopeless():
    assert hopeless(tens(1_003), epoch=3, first=2.3026, loss=2.3031) == (
        "at chance after 3 epochs: training accuracy .1003 with predictions that do not depend on the labels "
        "(permutation test, p = 0.47), and a loss 2.3031 that is not below the first epoch's 2.3026"
    )


def test_a_loss_that_stays_is_hopeless_and_one_that_falls_is_not():
    assert hopeless(tens(1_000), first=2.3026, loss=2.3026)
    assert hopeless(tens(1_000), first=2.3026, loss=2.3025) is None


@pytest.mark.parametrize(("hits", "at_chance"), [(0, True), (1_094, True), (1_095, False), (9_000, False)])
def test_chance_ends_where_the_test_says(hits, at_chance):
    assert (hopeless(tens(hits)) is not None) == at_chance


@pytest.mark.parametrize("images", [TEN, RARE, (30, 970), (97, *[1] * 3), (25, 5)])
def test_a_network_that_predicts_one_class_is_hopeless_at_any_share(images):
    for label in range(len(images)):
        assert hopeless(one_class(images, label))


def test_the_share_of_the_largest_class_is_no_limit():
    """The rare class is often recognised, and 20 images of the other are taken for it: .96 are right, less than .97."""
    assert hopeless(counted(RARE, (950, 10), (970, 30))) is None
    assert hopeless(counted(RARE, (942, 2), (970, 30))), "but so many are right by chance"


@pytest.mark.parametrize(("epoch", "steps", "is_judged"), [(1, 1_000, False), (2, 499, False), (2, 500, True)])
def test_nothing_is_hopeless_before_two_epochs_and_500_steps(epoch, steps, is_judged):
    assert (hopeless(one_class(TEN), epoch=epoch, steps=steps) is not None) == is_judged


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_divergence_is_not_judged(number):
    assert hopeless(one_class(TEN), loss=number) is None
    assert hopeless(one_class(TEN), first=number) is None
    diverged = replace(an_epoch(tens(9_000), one_class(TEN)), val_loss=number)
    assert lag_warning(diverged, TrainingFacts(steps=500, all_steps=500)) is None


def test_an_epoch_without_counts_is_not_judged():
    without = replace(an_epoch(one_class(TEN)), train_counts=None, val_counts=None)
    assert hopeless_reason({"loss": 1.0}, without, steps=500) is None
    assert lag_warning(without, TrainingFacts(steps=500, all_steps=500)) is None


# warnings


def test_validation_at_chance_is_warned_of():
    assert warned(tens(8_500), tens(204, 2_000), network=a_network(0.99)) == (
        "validation is at chance after 2 epochs (accuracy .1020, in training .8500); averages of batch normalisation "
        "(momentum 0.99) lag behind after 500 steps: try normalization_momentum=0.9 (its predictions do not depend on "
        "the labels: permutation test over 2,000 images, p = 0.39)"
    )


@pytest.mark.parametrize(("hits", "at_chance"), [(0, True), (1_050, True), (1_051, False), (9_000, False)])
def test_the_warning_ends_where_the_test_says(hits, at_chance):
    assert (warned(tens(9_000), tens(hits)) is not None) == at_chance


def test_an_overfitted_training_with_few_validation_images_is_not_said_to_be_at_chance():
    """12 of 31 right in seven classes: p is .003, too much for a test at .001, and no sign of chance."""
    validation = counted((5, 4, 4, 4, 3, 9, 2), (2, 1, 1, 2, 1, 5, 0))
    assert warned(counted((22,) * 7, (20,) * 7), validation) is None
    assert warned(counted((22,) * 7, (20,) * 7), counted((5, 4, 4, 4, 3, 9, 2), (1, 0, 1, 0, 1, 2, 0))) is not None


def test_a_training_that_does_not_learn_is_not_warned_of():
    assert warned(tens(1_000), tens(0)) is None


@pytest.mark.parametrize("images", [RARE, (162, 5), (60, 1), (5, 5), (11, 1), (480, *[2] * 9)])
def test_a_perfect_model_is_never_warned_of(images):
    """A validation set of 11 + 1 images cannot show anything at .001, which is no sign of chance."""
    train = tuple(5 * n for n in images)
    assert warned(counted(train, train), counted(images, images)) is None


@pytest.mark.parametrize("images", [RARE, (162, 8), (480, *[20] * 9)])
def test_validation_with_one_class_is_warned_of_though_nearly_all_is_right(images):
    train = tuple(5 * n for n in images)
    assert warned(counted(train, train), one_class(images))


def test_a_rare_class_that_training_recognises_and_validation_does_not_is_enough():
    """162 of 170 right would do for all images together."""
    train = counted((970, 50), (960, 40), (970, 50))
    assert warned(train, one_class((162, 8)))
    assert warned(train, one_class((168, 2))) is None, "two images show nothing"


def test_a_training_that_is_hardly_above_chance_needs_no_better_validation():
    assert warned(tens(1_150), tens(21, 200)) is None


def test_a_few_steps_that_show_it_are_enough():
    assert "lag behind after 60 steps" in warned(tens(900, 2_000), tens(100, 1_000), steps=60, network=a_network(0.99))


@pytest.mark.parametrize(
    ("momentum", "steps", "all_steps", "says"),
    [
        (0.99, 60, 900, "momentum 0.99) lag behind after 60 steps: try normalization_momentum=0.9"),
        (0.99, 60, 1_000, None),  # they follow in time
        (0.99, 500, 1_000, "lag behind after 500 steps"),
        (0.999, 60, 9_000, "momentum 0.999) lag behind"),
        (0.9, 60, 90, "(momentum 0.9) differs between training and validation while weights change fast, as in the"),
        (0.5, 60, 90, "as in the first 60 steps: try more epochs"),
        (0.9, 60, 500, None),
        (0.9, 500, 500, "averages of batch normalisation do not explain this: check"),
        (0.99, 1_000, 1_000, "averages of batch normalisation do not explain this: check"),
        (None, 3, 5_000, "averages of batch normalisation do not explain this: check"),
    ],
)
def test_the_cause_is_told_by_the_steps_and_the_momentum(momentum, steps, all_steps, says):
    text = warned(tens(9_000), tens(1_000), steps=steps, all_steps=all_steps, network=a_network(momentum))
    assert text is None if says is None else says in text


def test_the_cause_is_told_by_the_range_of_the_input():
    raw = warned(tens(9_000), tens(1_000), input_range="raw")
    assert "pixels of another range than its weights had: try input_range=own (" in raw
    assert "do not explain this" in warned(tens(9_000), tens(1_000), input_range="own")
    unscaled = warned(tens(9_000), tens(1_000), network=a_network(None, "Flatten", "Dense"))
    assert "no layer that scales pixels of 0 to 255" in unscaled
    lag = warned(tens(9_000), tens(1_000), network=a_network(0.99, "Conv2D"), steps=20)
    assert "lag behind after 20 steps" in lag, "averages come first"


def test_a_network_that_is_not_known_is_warned_of_too():
    facts = TrainingFacts(steps=20, all_steps=20)
    assert isinstance(a_network(), NetworkSummary)
    assert "do not explain this" in lag_warning(an_epoch(tens(9_000), tens(1_000)), facts)


# how often the rules err


def simulated(share, classes, *, images, recalls):
    """Training and validation counts of a classifier with these recalls of a guess: its guesses are as frequent."""
    draws = np.random.default_rng([int(100 * share), classes, images])
    chances = [share, *[(1 - share) / (classes - 1)] * (classes - 1)]
    while True:
        pair = []
        for n, recall in zip((images, images // 5), recalls, strict=True):
            labels, guesses = (draws.choice(classes, n, p=chances) for _ in range(2))
            predicted = np.where(draws.random(n) < recall, labels, guesses)
            each = (np.bincount(x, minlength=classes) for x in (labels, predicted, labels[labels == predicted]))
            of_labels, of_predictions, hits = (tuple(map(int, x)) for x in each)
            pair.append(counted(of_labels, hits, of_predictions))
        yield pair


CASES = pytest.mark.parametrize(("share", "classes"), [(s, k) for s in (0.1, 0.5, 0.97) for k in (2, 10)])


@CASES
@pytest.mark.parametrize("images", [100, 1_000])
def test_a_validation_as_good_as_the_training_is_hardly_ever_warned_of(share, classes, images):
    for recall in (0.3, 0.6, 0.95):
        pairs = simulated(share, classes, images=images, recalls=(recall, recall))
        assert sum(warned(*next(pairs)) is not None for _ in range(200)) <= 2


@CASES
def test_a_validation_at_chance_is_warned_of_and_no_training_that_learns_is_hopeless(share, classes):
    pairs = simulated(share, classes, images=2_000, recalls=(0.8, 0.0))
    judged_pairs = [next(pairs) for _ in range(100)]
    assert sum(warned(*pair) is not None for pair in judged_pairs) >= 85, (
        "one in twenty has a p below .05, and nine classes may share 10 validation images"
    )
    assert sum(hopeless(train) is not None for train, _ in judged_pairs) == 0
    pairs = simulated(share, classes, images=2_000, recalls=(0.0, 0.0))
    assert sum(hopeless(next(pairs)[0]) is not None for _ in range(100)) >= 99


def test_what_the_tests_need_can_be_imported_beforehand():
    code = (
        "import sys\n"
        "from layersweep.tuning.driver import learning_check; learning_check.prepare(); before = set(sys.modules)\n"
        "from layersweep.records.values import ClassCounts\n"
        "from layersweep.tuning.common.chance_test import p_value\n"
        "assert p_value(ClassCounts(images=(9, 9), predicted=(9, 9), hits=(9, 9))) < 1e-3\n"
        "assert p_value(ClassCounts(images=(200, 9, 9), predicted=(200, 9, 9), hits=(200, 9, 9))) < 1e-3\n"
        "print(set(sys.modules) - before, 'scipy.stats' in before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() False\n"

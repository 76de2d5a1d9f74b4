"""Who is given up: those at chance that do not learn; who is warned of: those whose validation stays at chance.

Of 10,000 images with a tenth in the largest class, 1,095 right have p = .00093 and 1,094 have p = .00104.
"""

import math
import subprocess
import sys
from types import SimpleNamespace

import made_up
import pytest

from layersweep.records.values import Epoch
from layersweep.tuning.driver.learning_check import Verdict, judge
from layersweep.tuning.storage.recorded_attempt import metrics

CHANCE, SOME = 0.1, 0.9


def curve(*losses, accuracy=CHANCE, val_accuracy=CHANCE):
    measured = {"accuracy": accuracy, "val_accuracy": val_accuracy}
    return {k: {"loss": loss} | measured for k, loss in enumerate(losses, start=1)}


def judged(epochs, *, steps=250, train=10_000, validation=10_000, share=0.1):
    data = SimpleNamespace(train_images=train, validation_images=validation, majority_share=share)
    return judge(epochs[1], epochs[max(epochs)], data, epoch=max(epochs), steps_an_epoch=steps)


def test_at_chance_with_a_loss_that_does_not_fall_is_hopeless():
    flat = curve(2.3026, 2.3028, 2.3031, accuracy=0.1003)
    assert judged(flat) == Verdict(
        hopeless=True,
        reason="at chance after 3 epochs: training accuracy .1003 is not above the largest class's share .1000 "
        "(binomial test, p = 0.47), and its loss 2.3031 is not below the first epoch's 2.3026",
    )


def test_a_loss_that_stays_is_hopeless_and_one_that_falls_is_not():
    assert judged(curve(2.3026, 2.3026)).hopeless
    assert judged(curve(2.3026, 2.3025)) is None
    assert judged(curve(2.3026, 2.2, 2.3027)).hopeless, "the first and the last epoch are compared"


@pytest.mark.parametrize(("right", "hopeless"), [(0, True), (1094, True), (1095, False), (9000, False)])
def test_chance_ends_where_the_test_says(right, hopeless):
    verdict = judged(curve(2.3, 2.3, accuracy=right / 10_000, val_accuracy=SOME))
    assert (verdict is not None and verdict.hopeless) == hopeless


def test_the_same_accuracy_of_more_images_is_above_chance():
    """5,251 of 50,000 have p = .0001; 53 of 500 have p = .35."""
    at = curve(2.3, 2.3, accuracy=0.105, val_accuracy=SOME)
    assert judged(at, train=50_000) is None
    assert judged(at, train=500).hopeless


def test_unbalanced_classes_are_judged_by_the_largest():
    """9 of 10 are right without learning anything; of 10,000, 9,093 have p = .0009."""
    assert judged(curve(0.33, 0.33, accuracy=0.9, val_accuracy=SOME), share=0.9).hopeless
    assert judged(curve(0.33, 0.33, accuracy=0.9092, val_accuracy=0.95), share=0.9).hopeless
    assert judged(curve(0.33, 0.33, accuracy=0.9093, val_accuracy=0.95), share=0.9) is None


def test_nothing_is_above_the_share_of_a_single_class():
    assert judged(curve(0.0, 0.0, accuracy=1.0, val_accuracy=1.0), share=1.0).hopeless


@pytest.mark.parametrize(
    ("epochs", "steps", "is_judged"),
    [(1, 1000, False), (2, 249, False), (2, 250, True), (3, 166, False), (3, 167, True)],
)
def test_nothing_is_said_before_two_epochs_and_500_steps(epochs, steps, is_judged):
    assert (judged(curve(*[2.3] * epochs), steps=steps) is not None) == is_judged
    warned_of = curve(*[2.3] * epochs, accuracy=SOME)
    assert (judged(warned_of, steps=steps) is not None) == is_judged


def test_validation_at_chance_is_warned_of():
    assert judged(curve(2.3, 0.5, accuracy=0.85, val_accuracy=0.102), validation=2_000) == Verdict(
        hopeless=False,
        reason="validation is at chance after 2 epochs: training accuracy .8500 is above the largest class's "
        "share .1000, but validation accuracy .1020 is not (binomial test over 2,000 images, p = 0.39); "
        "slow averages of batch normalisation may cause this: try normalization_momentum=0.9",
    )


@pytest.mark.parametrize(("right", "warned"), [(0, True), (1094, True), (1095, False), (9000, False)])
def test_the_warning_ends_where_the_test_says(right, warned):
    verdict = judged(curve(2.3, 0.5, accuracy=SOME, val_accuracy=right / 10_000))
    assert verdict is None if not warned else not verdict.hopeless


def test_a_training_that_does_not_learn_is_not_warned_of():
    assert judged(curve(2.3, 2.2)) is None


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("key", ["loss", "accuracy", "val_accuracy"])
def test_divergence_is_not_judged(key, number):
    diverged = curve(2.3, 2.4)
    assert judged({**diverged, 2: diverged[2] | {key: number}}) is None


def test_a_first_loss_that_is_no_number_is_not_judged():
    assert judged(curve(math.nan, 2.4)) is None


def test_the_epochs_of_a_training_are_judged(tmp_path):
    yielded = made_up.train(made_up.Config(quality=0), made_up.data(tmp_path), seed=0, epochs=3)
    epochs = {value.epoch: metrics(value) for value in yielded if isinstance(value, Epoch)}
    assert judged(epochs, train=4, validation=2, share=0.5) is None, "its loss falls"
    risen = {1: epochs[1], 2: epochs[2] | {"loss": 1.0}}
    assert judged(risen, train=4, validation=2, share=0.5).hopeless


def test_what_the_test_needs_can_be_imported_beforehand():
    said = (
        "import sys, types\n"
        "from layersweep.tuning.driver import learning_check; learning_check.prepare(); before = set(sys.modules)\n"
        "flat = {'loss': 2.3, 'accuracy': 0.5, 'val_accuracy': 0.5}\n"
        "data = types.SimpleNamespace(train_images=10, validation_images=10, majority_share=0.5)\n"
        "assert learning_check.judge(flat, flat, data, epoch=2, steps_an_epoch=500).hopeless\n"
        "print(set(sys.modules) - before, 'scipy.stats' in before)"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "set() False\n"

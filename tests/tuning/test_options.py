"""Flags: read, filled in, refused in one line."""

import dataclasses

import made_up
import pytest

from tuning.errors import UsageError
from tuning.options import Options, grace_epochs, narrowed, parse, resolve
from tuning.sweep import Sweep

SWEEP = Sweep(
    name="made_up",
    train=made_up.train,
    spaces=[{"quality": [0.1]}],
    epochs=7,
    seeds=5,
    quick={"epochs": 2, "seeds": 1, "images": 30},
)


def settings(*arguments):
    return resolve(SWEEP, parse(SWEEP, arguments, "help"))


def refusal(*arguments):
    with pytest.raises(UsageError) as caught:
        settings(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_not_said_is_the_sweeps():
    made = settings()
    assert (made.epochs, made.seeds, made.images, made.screening) == (7, 5, None, None)
    assert made.slots is None
    assert made.results.is_absolute()


def test_quick_fills_in_what_is_not_said():
    assert (settings("--quick").epochs, settings("--quick").seeds, settings("--quick").images) == (2, 1, 30)
    made = settings("--quick", "--epochs", "4")
    assert (made.epochs, made.seeds) == (4, 1)


def test_a_sweep_without_quick_says_so():
    with pytest.raises(UsageError, match="--quick is not defined for the sweep 'made_up'"):
        resolve(dataclasses.replace(SWEEP, quick=None), Options(quick=True))


def test_the_scheduler_is_chosen_or_left_open():
    assert settings("--scheduler", "asha").screening is True
    assert settings("--scheduler", "none").screening is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sedes", "3"], "unknown flag: --sedes, 3; valid: --epochs, --seeds,"),
        (["three"], "unknown flag: three; valid:"),
        (["--epochs", "three"], "Error parsing --epochs: 'three' is not a whole number"),
        (["--epochs", "0"], "--epochs 0 is not valid; valid: 1 or more"),
        (["--seeds", "-1"], "--seeds"),
        (["--slots", "0"], "--slots 0 is not valid"),
        (["--scheduler", "fifo"], "'fifo' for argument '--scheduler'. Expected one of ('auto', 'asha', 'none')"),
        (["--grace", "8"], "--grace 8 is not valid; valid: 1 to 7"),
        (["--reduction", "1"], "--reduction 1.0 is not valid; valid: a number above 1"),
        (["--reduction", "nan"], "--reduction nan is not valid"),
        (["--precision", "float8"], "'float8' for argument '--precision'"),
        (["--set"], "Missing value for argument '--set'"),
    ],
)
def test_bad_flags_are_refused_in_one_line(arguments, words):
    assert words in refusal(*arguments)


def test_help_goes_to_stdout_and_exits_well(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(SWEEP, ["--help"], "Which one is best?")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "Which one is best?" in said
    assert "--dry-run" in said


def test_set_narrows_keys():
    assert narrowed(SWEEP, ["quality=0.25,0.5", "batch_size=8"]) == {"quality": [0.25, 0.5], "batch_size": [8]}


def test_set_all_stands_for_every_valid_choice():
    assert narrowed(SWEEP, ["misdeed=all"]) == {"misdeed": list(made_up.MISDEEDS)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("quality", "valid: key=value,value,... of quality, misdeed, batch_size, seconds"),
        ("quality=", "valid: key=value,value,..."),
        ("qality=1", "did you mean 'quality'? valid keys: quality, misdeed"),
        ("quality=2", "quality=2.0 is not valid; valid: 0 to 1"),
        ("quality=x", "quality='x' is not valid; valid: 0 to 1 (float)"),
        ("quality=nan", "quality=nan is not valid"),
        ("batch_size=1.5", "batch_size='1.5' is not valid; valid: 1 to 1024 (int)"),
        ("misdeed=steal", "misdeed='steal' is not valid; valid: none, raise"),
        ("quality=all", "quality='all' is not valid"),
    ],
)
def test_set_refuses_with_key_value_and_valid(text, words):
    with pytest.raises(UsageError) as caught:
        narrowed(SWEEP, [text])
    assert words in str(caught.value)


def test_grace_is_long_enough_for_500_steps():
    made = settings("--epochs", "20")
    assert grace_epochs(made, [32], train_images=10_000) == 2  # 313 steps an epoch
    assert grace_epochs(made, [32, 64], train_images=10_000) == 4  # 157 steps an epoch
    assert grace_epochs(made, [32], train_images=50_000) == 1
    assert grace_epochs(made, [32], train_images=320) == 20  # 10 steps: never
    assert grace_epochs(settings("--grace", "3"), [32], train_images=320) == 3

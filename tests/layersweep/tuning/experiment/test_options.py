"""Flags: read, filled in, refused in one line."""

import dataclasses
from dataclasses import replace
from typing import get_args

import made_up
import pytest

from layersweep.records.metrics import METRICS
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.key_values import families, key_values, with_sweep_values
from layersweep.tuning.experiment.options import Metric, Options, parse
from layersweep.tuning.experiment.settings import grace_epochs, resolve
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range
from trainables.families import fashion_cnn, transfer

SWEEP = Sweep(
    name="made_up",
    train=made_up.train,
    spaces=[{"quality": [0.1]}],
    epochs=7,
    seeds=5,
    quick={"epochs": 2, "seeds": 1, "images": 30},
)


def settings(*arguments):
    return resolve(SWEEP, parse(arguments, program="s.py"))


def refusal(*arguments):
    with pytest.raises(UsageError) as caught:
        settings(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_not_said_is_the_sweeps():
    made = settings()
    assert (made.epochs, made.seeds, made.images, made.scheduler, made.search) == (7, 5, None, "auto", "grid")
    assert (made.retries, made.fail_fast, made.trial_timeout, made.time_budget) == (1, 3, None, None)
    assert made.checkpoint_every == 60.0
    assert made.slots is None
    assert made.results.is_absolute()


def test_the_metric_is_the_sweeps_unless_the_command_names_another():
    assert settings().metric == "val_accuracy"
    assert resolve(replace(SWEEP, metric="val_loss"), parse([], program="s.py")).metric == "val_loss"
    assert settings("--metric", "val_macro_f1").metric == "val_macro_f1"
    assert "val_balanced_accuracy" in refusal("--metric", "f1")
    assert get_args(Metric) == tuple(METRICS)
    with pytest.raises(
        UsageError, match="metric 'accuracy' of the sweep 'made_up' is not valid; valid: val_accuracy, "
    ):
        resolve(replace(SWEEP, metric="accuracy"), parse([], program="s.py"))


def test_a_section_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(
        UsageError, match=r"sections 'cost' of the sweep 'made_up' are not valid; valid: effects, .*costs"
    ):
        resolve(replace(SWEEP, sections=("effects", "cost")), parse([], program="s.py"))


def test_quick_fills_in_what_is_not_said():
    assert (settings("--quick").epochs, settings("--quick").seeds, settings("--quick").images) == (2, 1, 30)
    made = settings("--quick", "--epochs", "4")
    assert (made.epochs, made.seeds) == (4, 1)


def test_what_quick_sets_gives_way_key_by_key():
    sweep = replace(SWEEP, quick={"set": ("quality=0.1,0.2", "seconds=0")})
    assert resolve(sweep, parse(["--quick"], program="s.py")).set == ("quality=0.1,0.2", "seconds=0")
    said = ["--quick", "--set", "quality=0.5", "--set", "batch_size=8"]
    assert resolve(sweep, parse(said, program="s.py")).set == ("seconds=0", "quality=0.5", "batch_size=8")


def test_a_sweep_may_be_searched_and_have_folds_of_its_own():
    sweep = replace(SWEEP, search="hyperopt", folds=5, tuned=[{"quality": Range(0.1, 0.9)}])
    made = resolve(sweep, parse([], program="s.py"))
    assert (made.search, made.folds, made.seeds) == ("hyperopt", 5, 1)
    made = resolve(sweep, parse(["--search", "grid", "--folds", "0"], program="s.py"))
    assert (made.search, made.folds, made.seeds) == ("grid", 0, 5)
    made = resolve(sweep, parse(["--folds", "3", "--seeds", "2"], program="s.py"))
    assert (made.folds, made.seeds) == (3, 2)


def test_quick_gives_no_time_to_searches_that_there_are_not():
    sweep = replace(SWEEP, search="random", tuned=[{"quality": Range(0.1, 0.9)}], timed_searches=True)
    sweep = replace(sweep, quick={"epochs": 2, "time_budget": 60.0, "trials": 2})
    for words, limits in ((["--quick"], (60.0, 2)), (["--quick", "--search", "grid"], (None, 8))):
        made = resolve(sweep, parse(words, program="s.py"))
        assert (made.search_time, made.candidates) == limits


def test_what_another_sweep_gives_comes_after_what_is_said(tmp_path):
    asked = []

    def given(results, said):
        asked.append((results, set(said)))
        return {"batch_size": 8}, "from elsewhere"

    found = with_sweep_values(replace(SWEEP, values_from=given), {"quality": [0.5]}, tmp_path)
    assert found == ({"batch_size": [8], "quality": [0.5]}, "from elsewhere")
    assert asked == [(tmp_path, {"quality"})]
    assert with_sweep_values(SWEEP, {"quality": [0.5]}, tmp_path) == ({"quality": [0.5]}, "")


def test_what_quick_says_of_searches_is_left_out_without_one():
    sweep = replace(SWEEP, search="hyperopt", tuned=[{"quality": Range(0.1, 0.9)}], quick={"epochs": 2, "trials": 3})
    assert resolve(sweep, parse(["--quick"], program="s.py")).candidates == 3
    assert resolve(sweep, parse(["--quick", "--search", "grid"], program="s.py")).search == "grid"


def test_a_choice_of_families_lifts_what_quick_sets():
    quick = {"set": ("family=fashion_cnn", "image_size=32")}
    sweep = replace(SWEEP, train=fashion_cnn.train, spaces=[{"family": ["fashion_cnn", "alexnet"]}], quick=quick)
    made = resolve(sweep, parse(["--quick", "--set", "family=alexnet"], program="s.py"))
    assert made.set == ("family=alexnet",)


def test_a_sweep_without_quick_says_so():
    with pytest.raises(UsageError, match="--quick is not defined for the sweep 'made_up'"):
        resolve(dataclasses.replace(SWEEP, quick=None), Options(quick=True))


def test_the_scheduler_is_chosen_or_left_open():
    assert settings("--scheduler", "asha").scheduler == "asha"
    assert settings("--scheduler", "none").scheduler == "none"


def test_precision_is_chosen_or_follows_the_processor_and_the_family(monkeypatch):
    assert settings().precision == "float32"
    assert settings("--precision", "mixed_float16").precision == "mixed_float16"
    monkeypatch.setattr(
        "layersweep.tuning.experiment.settings.automatic", lambda families: (f"fastest for {' '.join(families)}", "why")
    )
    assert settings("--precision", "auto").precision == f"fastest for {SWEEP.family}"
    assert settings().precision == "float32"


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("1.5s", 1.5), ("30m", 1800.0), ("2h", 7200.0)])
def test_times_may_have_a_unit(text, seconds):
    assert settings("--trial-timeout", text).trial_timeout == seconds
    assert settings("--time-budget", text).time_budget == seconds
    assert settings("--checkpoint-every", text).checkpoint_every == seconds


def test_a_search_has_a_budget():
    sweep = dataclasses.replace(SWEEP, tuned=[{"quality": Range(0.1, 0.9)}])
    made = resolve(sweep, parse(["--search", "random", "--trials", "5"], program="s.py"))
    assert (made.search, made.candidates) == ("random", 5)
    assert resolve(sweep, parse(["--search", "hyperopt"], program="s.py")).candidates == 8


def test_a_time_budget_is_the_commands_or_each_searchs():
    sweep = dataclasses.replace(SWEEP, tuned=[{"quality": Range(0.1, 0.9)}])
    timed = dataclasses.replace(sweep, timed_searches=True)
    asked = ["--search", "random", "--time-budget", "20m"]
    made = resolve(sweep, parse(asked, program="s.py"))
    assert (made.time_budget, made.search_time, made.candidates) == (1200.0, None, 8)
    made = resolve(timed, parse(asked, program="s.py"))
    assert (made.time_budget, made.search_time, made.candidates) == (None, 1200.0, None)
    assert resolve(timed, parse([*asked, "--trials", "3"], program="s.py")).candidates == 3
    made = resolve(timed, parse(["--search", "random"], program="s.py"))
    assert (made.time_budget, made.search_time, made.candidates) == (None, None, 8)
    with pytest.raises(UsageError, match="--time-budget 1200 is the time of each search of the sweep 'made_up'; valid"):
        resolve(timed, parse(["--time-budget", "20m"], program="s.py"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sedes", "3"], "unknown flag: --sedes, 3; valid: --epochs, --seeds,"),
        (["three"], "unknown flag: three; valid:"),
        (["--retries", "-1"], "--retries -1 is not valid; valid: 0 or more"),
        (["--fail-fast", "-2"], "--fail-fast -2 is not valid; valid: 0 or more"),
        (["--time-budget", "-5"], "--time-budget -5 is not valid; valid: a time above 0"),
        (["--time-budget", "0"], "--time-budget 0 is not valid; valid: a time above 0"),
        (["--trial-timeout", "-1h"], "--trial-timeout -3600 is not valid; valid: a time above 0"),
        (["--trial-timeout", "soon"], "'soon' is no time; valid: seconds, or a number with s, m or h"),
        (["--checkpoint-every", "-1"], "--checkpoint-every -1 is not valid; valid: 0 or more seconds"),
        (["--search-seed", "-1"], "--search-seed -1 is not valid; valid: 0 to 999,999,999"),
        (["--trials", "0"], "--trials 0 is not valid; valid: 1 or more"),
        (["--trials", "5"], "--trials 5 is for searches; valid: with --search random or hyperopt"),
        (["--search", "random"], "--search random: the sweep 'made_up' has no tuned spaces; valid: grid"),
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
        parse(["--help"], program="made_up.py", description="Which one is best?")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "Which one is best?" in said
    assert "--dry-run" in said


def test_set_narrows_keys():
    assert key_values(SWEEP, ["quality=0.25,0.5", "batch_size=8"]) == {"quality": [0.25, 0.5], "batch_size": [8]}


def test_set_all_stands_for_every_valid_choice():
    assert key_values(SWEEP, ["misdeed=all"]) == {"misdeed": list(made_up.MISDEEDS)}


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
        key_values(SWEEP, [text])
    assert words in str(caught.value)


def test_set_of_a_range_is_a_range_of_the_key():
    assert key_values(SWEEP, ["quality=0.25..0.5", "batch_size=8..64"]) == {
        "quality": Range(0.25, 0.5), "batch_size": Range(8, 64),
    }  # fmt: skip
    for text in ("quality=0.1,0.2..0.3", "quality=0.2..0.3,0.5"):
        with pytest.raises(UsageError, match=r"has a range among values; valid: values, or one range of all of them"):
            key_values(SWEEP, [text])


def test_a_path_with_dots_is_a_text():
    sweep = Sweep(name="s", train=transfer.train, spaces=[{}])
    assert key_values(sweep, ["weights=../a/b..c.keras"]) == {"weights": ["../a/b..c.keras"]}


def test_a_key_twice_is_refused():
    with pytest.raises(
        UsageError, match=r"--set quality=0\.1 and --set quality=0\.2 give quality twice; valid: one --set"
    ):
        key_values(SWEEP, ["quality=0.1", "batch_size=8", "quality=0.2"])
    with pytest.raises(UsageError, match="give family twice"):
        families(SWEEP, ["family=made_up", "family=made_up"])


def test_a_range_needs_a_search_and_a_search_something_to_search():
    words = "--set quality=0.1..0.9: only a search draws from a range; valid: with --search random or hyperopt, or val"
    assert words in refusal("--set", "quality=0.1..0.9")
    assert settings("--set", "quality=0.1..0.9", "--search", "random").search == "random"
    message = refusal("--search", "random", "--set", "quality=0.1,0.9")
    assert "has no tuned spaces; valid: grid, or a range to search such as --set learning_rate=1e-4..1e-1" in message


def test_grace_is_long_enough_for_500_steps():
    made = settings("--epochs", "20")
    assert grace_epochs(made, [32], train_images=10_000) == 2  # 313 steps an epoch
    assert grace_epochs(made, [32, 64], train_images=10_000) == 4  # 157 steps an epoch
    assert grace_epochs(made, [32], train_images=50_000) == 1
    assert grace_epochs(made, [32], train_images=320) == 20  # 10 steps: never
    assert grace_epochs(settings("--grace", "3"), [32], train_images=320) == 3


def test_fetch_needs_a_cluster():
    assert (
        refusal("--fetch")
        == "--fetch copies records from a cluster to this machine; valid: with --cluster and its file"
    )
    assert settings("--fetch", "--cluster", "cluster.yaml").epochs == 7

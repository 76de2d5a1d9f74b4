"""Answers that were wrong once, each with its input and what is right; and two of their kind that nobody reported."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_sweep import arm, compared
from recorded_sweep import Sweep

from layersweep.records.errors import ResultsError
from layersweep.studies.recorded_comparison import load
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.inference.arm_model import fit
from layersweep.studies.statistics.inference.seeds_needed import MAX_SEEDS, seeds_needed
from layersweep.studies.statistics.inference.verdicts import judge
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.study import main
from layersweep.studies.wording.answer_sentences import answer, method, seeds_sentence
from layersweep.studies.wording.comparison_table import terminal_columns

DIVERGED = float("nan")


def record(sweep: Sweep, arms: dict[str, tuple[float | None, ...]], **more: Any) -> Comparison:
    """Records a training per value: NaN diverged, None is missing. Returns the comparison."""
    for name, values in arms.items():
        for seed, value in enumerate(values, 1):
            if value is None:
                continue
            if np.isnan(value):
                sweep.trial(name, seed, [0.5, value], "diverged", reason="the loss was NaN in epoch 2", **more)
            else:
                sweep.trial(name, seed, [0.5, 0.7, value], test=value - 0.01, **more)
    return compared(sweep)


def cells(comparison: Comparison, name: str) -> list[str]:
    """The cells of a column of the terminal's table."""
    (column,) = (column for column in terminal_columns(comparison) if column.name == name)
    return [column.terminal_text(row) for row in comparison.arms.to_dicts()]


def verdicts_of(comparison: Comparison) -> dict[str, str]:
    return dict(comparison.arms.select("arm", "verdict").rows())


def test_1_a_diverging_arm_does_not_win(sweep: Sweep) -> None:
    comparison = record(
        sweep,
        {"risky": (0.95, DIVERGED, DIVERGED), "safe": (0.930, 0.932, 0.931), "other": (0.900, 0.903, 0.902)},
    )
    assert verdicts_of(comparison) == {"risky": "higher when it learns", "safe": "leads", "other": "worse"}
    risky = arm(comparison, "risky")
    assert (risky["learned"], risky["ended"]) == (1, 3)
    assert cells(comparison, "learned") == ["1 of 3", "3 of 3", "3 of 3"]
    assert answer(comparison) == (
        "safe leads the arms that always learn (.931); risky reaches .951, but learned in only 1 of 3 trainings."
    )


def test_2_what_is_shown_is_what_is_judged(sweep: Sweep) -> None:
    comparison = record(sweep, {"A": (0.95, 0.93, 0.85), "B": (0.941, 0.921, None), "C": (0.901, 0.880, 0.800)})
    assert arm(comparison, "A")["mean"] - arm(comparison, "B")["mean"] == pytest.approx(0.009, abs=2e-4)
    assert arm(comparison, "B")["difference"] == pytest.approx(-0.009, abs=2e-4)
    assert cells(comparison, "mean")[1].startswith(".9009")  # fitted, not .9310


def test_3_values_that_agree_by_chance_are_no_test(sweep: Sweep) -> None:
    comparison = record(sweep, {"A": (0.935, 0.935), "B": (0.930, 0.930)}, validation_images=200)
    assert verdicts_of(comparison) == {"A": "leads", "B": "undecided"}
    assert answer(comparison) == "A is ahead with .935, but the noise of a training is not known."


def test_4_what_is_not_told_apart_is_undecided_and_says_how_many_seeds_would_decide(sweep: Sweep) -> None:
    sweep.run()
    comparison = record(sweep, {"a": (0.64, 0.35), "b": (0.45, 0.40)}, validation_images=200)
    assert verdicts_of(comparison) == {"a": "leads", "b": "undecided"}
    assert "tied" not in answer(comparison)
    runs = load(sweep.results, sweep.name)[1]
    assert seeds_sentence(comparison, runs).startswith("More than 1,000 seeds would be needed")
    wide = load(sweep.results, sweep.name, criteria=Criteria(margin=0.2))[0]
    sentence = seeds_sentence(wide, runs)
    number = int(re.findall(r"--seeds (\d+)$", sentence)[0])
    assert re.fullmatch(
        rf"About {number - 2} more seeds \(.+\) would show a difference of .2 in 4 of 5 cases:\n"
        rf"    python sweeps/optimizers.py --seeds {number}",
        sentence,
    )


def test_5_no_interval_leaves_the_range_of_the_metric(sweep: Sweep) -> None:
    comparison = record(sweep, {"wild": (0.99, 0.42), "calm": (0.71, 0.70), "other": (0.60, 0.61)})
    for row in comparison.arms.to_dicts():
        low, high = row["low"], row["high"]
        assert (low is None) == (high is None)
        assert low is None or 0 <= low <= high <= 1
    assert arm(comparison, "wild")["low"] is None


@pytest.mark.parametrize("arms", [8, 16])
@pytest.mark.parametrize("scatter", [1, 5])
def test_6_equal_arms_are_rarely_called_worse(arms: int, scatter: int) -> None:
    noise = np.random.default_rng(6).normal(size=(1000, arms, 3))
    noise[:, -1] *= scatter
    is_worse = judge(fit(noise), margin=0.0, alpha=0.04).is_worse.any(-1)
    assert is_worse.mean() < (0.08 if scatter == 1 else 0.13)  # once .11 to .32


def test_7_seeds_are_part_of_an_interval_and_the_difference_has_its_own(sweep: Sweep) -> None:
    shared = np.array([0.04, -0.03, -0.01])
    comparison = record(sweep, {"a": tuple(0.90 + shared), "b": tuple(0.88 + shared + [0.001, 0, -0.001])})
    row = arm(comparison, "a")
    assert row["high"] - row["low"] > 2 * 0.03 / np.sqrt(3)  # although the arms differ by hardly any noise
    b = arm(comparison, "b")
    assert b["difference"] == pytest.approx(-0.02)
    assert b["difference_low"] < b["difference"] < b["difference_high"] < 0


def test_9_seeds_needed_are_for_a_named_difference_with_power_and_all_arms() -> None:
    noise = np.random.default_rng(9).normal(size=(1, 16, 60))
    numbers = [
        int(seeds_needed(fit(noise[:, :k]), np.ones((1, k), dtype=np.bool_), difference=1.0, alpha=0.05)[0])
        for k in (4, 16)
    ]
    assert 16 < numbers[0] < numbers[1]  # 16 seeds were said to be enough, and found "best" in .29 to .74
    tiny = seeds_needed(fit(noise), np.ones((1, 16), dtype=np.bool_), difference=1e-4, alpha=0.05)
    assert tiny[0] == MAX_SEEDS


def test_10_the_chosen_arm_is_not_expected_to_reach_its_own_mean(sweep: Sweep) -> None:
    rng = np.random.default_rng(10)
    comparison = record(sweep, {f"arm{i}": tuple(0.9 + rng.normal(0, 0.01, 3)) for i in range(8)})
    leader = comparison.leader
    assert leader["new_training"] < leader["mean"]
    assert leader["new_training"] == pytest.approx(0.9, abs=0.007)


def test_11_an_answer_after_more_seeds_is_judged_more_strictly(sweep: Sweep) -> None:
    values = {"a": (0.930, 0.932, 0.934), "b": (0.929, 0.930, 0.931)}
    record(sweep, values)
    for name in values:
        sweep.trial(name, 4, [0.5, 0.7, 0.93], run="r2")
    for row in [row for row in sweep.rows["plan"] if row["run"] == "r1"]:
        sweep.rows["plan"].append(row | {"run": "r2"})
    comparison = compared(sweep)
    assert comparison.judgement is not None
    assert comparison.judgement.look == 2
    assert "The nominal error of each kind of verdict is .005;" in method(comparison)
    assert "This is answer 2 of this sweep, after seeds were added." in method(comparison)


def test_11_the_same_seeds_again_are_the_same_answer(sweep: Sweep) -> None:
    record(sweep, {"a": (0.930, 0.932), "b": (0.929, 0.930)})
    sweep.rows["plan"] += [row | {"run": "r2"} for row in sweep.rows["plan"]]
    judgement = compared(sweep).judgement
    assert judgement is not None
    assert judgement.look == 1


def test_14_an_answer_says_what_it_is_about(sweep: Sweep) -> None:
    comparison = record(sweep, {"a": (0.930, 0.932, 0.934), "b": (0.929, 0.930, 0.931)})
    assert (
        "A seed sets the split, the initial weights and the order of images together. The answer is about new "
        "trainings on this data set, not about other data." in method(comparison)
    )


@pytest.mark.parametrize("count", [2, 5, 11])
def test_15_the_answer_is_a_sentence_of_at_most_25_words(sweep: Sweep, count: int) -> None:
    rng = np.random.default_rng(count)
    comparison = record(sweep, {f"arm{i}": tuple(0.9 + rng.normal(0, 0.01, 3)) for i in range(count)})
    assert len(answer(comparison).split()) <= 25
    assert answer(comparison).count("±") == 0


def test_4_while_no_arm_beats_chance_none_is_ahead(sweep: Sweep) -> None:
    comparison = record(sweep, {"a": (0.1, 0.1, 0.101), "b": (0.1, 0.1, 0.1)})
    assert answer(comparison) == "No arm beats chance (.100) after 3 epochs, so none is ahead of another."
    assert set(verdicts_of(comparison).values()) == {"never learned"}
    assert not comparison.is_better("a", "b")


def test_a_single_lucky_seed_of_a_weak_arm_does_not_lead(sweep: Sweep) -> None:
    """Of the kind of 1, not reported: a seed at chance completed, so it was in the mean."""
    comparison = record(sweep, {"lucky": (0.94, 0.1, 0.1), "steady": (0.930, 0.931, 0.932)})
    assert verdicts_of(comparison)["steady"] == "leads"
    assert arm(comparison, "lucky")["n"] == 1


def test_the_loss_is_judged_the_other_way_round(sweep: Sweep) -> None:
    """Of the kind of 2, not reported: a sweep by `val_loss` was judged by accuracy."""
    for seed in (1, 2, 3):
        for name, loss in (("a", 0.30), ("b", 0.50)):
            sweep.trial(name, seed, [0.5, 0.7, 0.9])
            for row in sweep.rows["epochs"][-3:]:
                row["val_loss"] = loss + seed / 1000
    comparison = load(sweep.write(), sweep.name, criteria=Criteria(metric="val_loss"))[0]
    assert verdicts_of(comparison) == {"a": "best", "b": "worse"}
    assert arm(comparison, "b")["difference"] == pytest.approx(0.2)
    assert arm(comparison, "a")["mean"] == pytest.approx(0.302)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--margin", "-0.1"), "--margin -0.1 is not valid; valid: 0 to 1"),
        (("--margin", "1.5"), "--margin 1.5 is not valid; valid: 0 to 1"),
        (("--metric", "accuracy"), "--metric 'accuracy' is not valid; valid: val_accuracy, val_loss"),
        (("--metric", "val_loss"), "val_loss"),
    ],
)
def test_a_wrong_flag_is_one_line(sweep: Sweep, flags: tuple[str, ...], message: str) -> None:
    record(sweep, {"a": (0.930, 0.932), "b": (0.929, 0.930)})
    with pytest.raises(ResultsError, match=re.escape(message)) as error:
        main(["optimizers", "--results", str(sweep.results), *flags])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "arms",
    [
        {"a": (0.93,), "b": (0.92,)},
        {"a": (0.93, 0.94, None, None), "b": (None, None, 0.92, 0.91)},
        {"a": (DIVERGED, DIVERGED), "b": (DIVERGED,)},
        {"a": (0.93, None), "b": (None, 0.92)},
    ],
)
def test_odd_records_are_answered_in_words(sweep: Sweep, arms: Any, tmp_path: Path) -> None:
    """One seed, no common seed, all failed: a sentence each, no number without a test, no stack trace."""
    comparison = record(sweep, arms)
    assert len(answer(comparison).split()) <= 25
    assert "nan" not in json.dumps(comparison.arms.drop("reasons").to_dicts(), default=str).lower()
    assert main(["optimizers", "--results", str(sweep.results), "--out", str(tmp_path)]) == 0

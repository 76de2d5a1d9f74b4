"""Trials at chance: counted and named, in no mean; and what trials were noted for."""

import pytest
from compared_sweep import arm, compared
from recorded_sweep import Sweep

from layersweep.studies.wording.answer_sentences import answer, verdict

CHANCE = "training accuracy .1004 at chance (.1000) after 2 epochs"
WARNING = "validation at chance while training learns"


def three_seeds(sweep: Sweep, name: str, start: float) -> None:
    for seed in (1, 2, 3):
        sweep.trial(name, seed, [0.5, 0.7, start + seed / 500])


def test_an_arm_at_chance_has_no_mean_and_no_test(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", 0.93)
    three_seeds(sweep, "adam", 0.90)
    for seed in (1, 2):
        sweep.trial("ftrl", seed, [0.1, 0.1], "hopeless", reason=CHANCE)
    sweep.plan("ftrl", 3, "ftrl-3")
    comparison = compared(sweep)
    row = arm(comparison, "ftrl")
    assert (row["status"], row["hopeless"], row["unfinished"]) == ("hopeless", 2, 1)
    assert (row["mean"], row["difference"], row["low"], row["common_n"]) == (None, None, None, 0)
    assert verdict(row) == "hopeless"
    assert [r["arm"] for r in comparison.arms.to_dicts()] == ["nadam", "adam", "ftrl"]
    assert f"ftrl: 2 hopeless: {CHANCE}" in comparison.warnings
    assert comparison.common_epoch is None  # a hopeless trial does not shorten the comparison
    assert answer(comparison).startswith("nadam is best")


def test_a_hopeless_seed_is_counted_beside_the_others(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", 0.93)
    sweep.trial("adam", 1, [0.5, 0.7, 0.90])
    sweep.trial("adam", 2, [0.5, 0.7, 0.902])
    sweep.trial("adam", 3, [0.1], "hopeless", reason=CHANCE)
    comparison = compared(sweep)
    assert verdict(arm(comparison, "adam")) == "worse"
    assert [arm(comparison, "adam")[name] for name in ("n", "learned", "ended")] == [2, 2, 3]


@pytest.mark.parametrize(("other", "status"), [("diverged", "diverged"), ("failed", "hopeless")])
def test_excluded_outcomes_of_several_kinds(sweep: Sweep, other: str, status: str) -> None:
    sweep.trial("ftrl", 1, [0.1], "hopeless", reason=CHANCE)
    sweep.trial("ftrl", 2, [0.1], other, reason="a reason")
    sweep.trial("ftrl", 3, [0.1], None)
    row = arm(compared(sweep), "ftrl")
    assert row["status"] == "unfinished"
    sweep.trial("ftrl", 3, [], "hopeless", after=1, reason=CHANCE, planned=False)
    row = arm(compared(sweep), "ftrl")
    assert row["status"] == status
    assert set(row["reasons"].split("; ")) == {f"2 hopeless: {CHANCE}", f"1 {other}: a reason"}


def test_warnings_of_trials_are_notes_counted_per_arm(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", 0.93)
    sweep.trial("sgd", 1, [0.1, 0.1, 0.1], warning=WARNING)
    sweep.trial("sgd", 2, [0.1, 0.1, 0.1], warning=f"{WARNING}\nmore")
    sweep.trial("sgd", 3, [0.5, 0.5, 0.5], warning=" ")
    comparison = compared(sweep)
    assert f"sgd: 2 of 3 trials: {WARNING}" in comparison.warnings
    assert [arm(comparison, "sgd")[name] for name in ("status", "n", "learned")] == ["compared", 1, 1]


def test_warnings_are_whole_and_grouped_if_they_differ_only_in_numbers(sweep: Sweep) -> None:
    advice = (
        "averages of batch normalisation (momentum 0.99) lag behind: try normalization_momentum=0.9 " + "(labels) " * 20
    )
    warning = f"validation is at chance (accuracy .{{}}, in training {{}}); {advice}p = .{{}})"
    for seed, *numbers in ((1, 3333, "1.0000", 17), (2, 1667, ".9630", 1), (3, 5, "1.0000", 2)):
        sweep.trial("sgd", seed, [0.5, 0.5, 0.5], warning=warning.format(*numbers))
    note = f"{warning.format(3333, '1.0000', 17)} (the first one; the others differ only in numbers)"
    assert f"sgd: 3 of 3 trials: {note}" in compared(sweep).warnings


@pytest.mark.parametrize(
    ("outcome", "texts"), [("failed", {"reason": "x" * 900}), ("completed", {"warning": "x" * 900})]
)
def test_a_text_that_is_too_long_ends_in_an_ellipsis(sweep: Sweep, outcome: str, texts: dict[str, str]) -> None:
    sweep.trial("sgd", 1, [0.5], outcome, **texts)
    (note,) = [line for line in compared(sweep).warnings if "xxx" in line]
    assert note.endswith("x" * 499 + "…")

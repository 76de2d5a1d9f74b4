"""Tuned arms: what tuning tried stays out of the comparison; what it cost, chose and changed is said."""

import io
from statistics import fmean
from typing import Any

import page_content
import pytest
from compared_sweep import arm, compared
from recorded_sweep import Sweep
from scipy import stats
from tuned_sweep import RATES, default_arm, eight, tune

from layersweep.studies.figures.learning_rates import tunings_with_axis
from layersweep.studies.figures.style import line_styles
from layersweep.studies.statistics.inference.multiplicity import holm
from layersweep.studies.statistics.tuned_pairs import Gain, gains, ranking_change
from layersweep.studies.statistics.tuning_candidates import Candidate, Tuning
from layersweep.studies.study import write_study
from layersweep.studies.wording.answer_sentences import verdict
from layersweep.studies.wording.number_formats import setting
from layersweep.studies.wording.tuning_sentences import cost_sentence, gain_sentences, sentences
from layersweep.terminal import Console

NADAM, ADAM, SGD = (0.930, 0.932, 0.934), (0.918, 0.921, 0.9205), (0.900, 0.903, 0.903)


def printed(sweep: Sweep) -> str:
    file = io.StringIO()
    write_study(sweep.write(), sweep.name, console=Console(file=file, width=100))
    return file.getvalue()


def page(sweep: Sweep) -> str:
    return (sweep.results / "studies" / "optimizers.html").read_text()


def page_text(sweep: Sweep) -> str:
    return page_content.text(page(sweep))


def test_tuning_enters_nothing_of_the_comparison(sweep: Sweep) -> None:
    default_arm(sweep, "adam", ADAM)
    default_arm(sweep, "nadam", NADAM)
    plain = compared(sweep)
    tune(sweep, "sgd", 1e-2, ends={0: "stopped", 5: "diverged"}, top=0.99)
    comparison = compared(sweep)
    for name in ("adam", "nadam"):
        assert arm(comparison, name) == arm(plain, name)
    assert comparison.common_epoch == plain.common_epoch
    assert comparison.replicates.curves.equals(plain.replicates.curves)
    assert set(comparison.replicates.rows["question"]) == {"comparison"}
    row = arm(comparison, "sgd tuned")
    assert (row["status"], row["stopped"], row["mean"], row["n"], row["epochs"]) == ("unfinished", 0, None, 0, 0)
    assert verdict(row) == "being tuned: 6 of 6 candidates have ended"
    assert comparison.judgement is not None
    assert set(comparison.judgement.arms) == {"adam", "nadam"}


def test_a_tuned_arm_is_compared_on_its_own_seeds_alone(sweep: Sweep) -> None:
    default_arm(sweep, "adam", ADAM)
    tune(sweep, "adam", 3.2e-3, NADAM, ends={0: "stopped", 1: "stopped", 5: "hopeless"}, top=0.99)
    row = arm(compared(sweep), "adam tuned")
    assert (row["status"], row["n"], row["mean"], row["verdict"]) == ("compared", 3, pytest.approx(0.932), "best")
    assert (row["stopped"], row["hopeless"], row["epochs"], row["seconds"]) == (0, 0, 9, pytest.approx(135))
    # 3 candidates of 3 epochs and 3 of one; 9 s of importing each
    assert (row["tuning_epochs"], row["tuning_seconds"]) == (12, pytest.approx(6 * 9 + 12 * 12))
    assert arm(compared(sweep), "adam")["tuning_epochs"] is None


def test_candidates_and_what_was_chosen(sweep: Sweep) -> None:
    default_arm(sweep, "adam", ADAM)
    tune(sweep, "adam", 3.2e-3, NADAM, ends={0: "stopped", 4: "unfinished", 5: "diverged"})
    comparison = compared(sweep)
    (tuning,) = comparison.tunings
    assert (tuning.arm, tuning.keys, tuning.axes) == ("adam tuned", ("learning_rate",), ["learning_rate"])
    assert (tuning.selected_values, tuning.default_values) == ({"learning_rate": 3.2e-3}, {"learning_rate": 0.001})
    assert tuning.outcomes == "6: 3 completed, 1 stopped, 1 diverged, 1 unfinished"
    assert [candidate.is_selected for candidate in tuning.candidates] == [False, False, False, True, False, False]
    assert [candidate.config["learning_rate"] for candidate in tuning.candidates] == list(RATES)
    assert tuning.candidates[3].accuracy == pytest.approx(0.9)
    assert "1 trial is unfinished: run the sweep again to complete it." in comparison.warnings


def test_only_tuning_so_far(sweep: Sweep) -> None:
    tune(sweep, "adam", 3.2e-3, ends={5: "unfinished"})
    text = printed(sweep)
    assert "being tuned: 5 of 6 candidates have ended" in " ".join(text.split())
    assert "nothing to compare yet" in text
    assert page_content.elements(page(sweep)).count("<svg") == 1
    assert (sweep.results / "studies" / "optimizers.png").exists()
    assert compared(sweep).epoch == 3


def test_candidates_on_other_data_are_left_out(sweep: Sweep) -> None:
    other = {"learning_rate": 0.5, "optimizer": "adam"}
    sweep.trial("adam tuned", 0, [0.2], question="tuning", candidate=0, trial_id="small", config=other,
                data_fingerprint="small", run="r0")  # fmt: skip
    tune(sweep, "adam", 3.2e-3, NADAM)
    comparison = compared(sweep)
    assert len(comparison.tunings[0].candidates) == 6
    assert comparison.warnings[0].startswith("1 trial of adam tuned is left out: trained on other data")


def test_a_tuning_planned_twice_counts_once(sweep: Sweep) -> None:
    default_arm(sweep, "adam", ADAM)
    tune(sweep, "adam", 3.2e-3, NADAM)
    sweep.rows["plan"] += [row | {"run": "r2"} for row in sweep.rows["plan"]]
    row = arm(compared(sweep), "adam tuned")
    assert (row["n"], row["tuning_epochs"], row["epochs"]) == (3, 18, 9)


def test_a_stopped_candidate_that_goes_on_is_unfinished(sweep: Sweep) -> None:
    tune(sweep, "adam", 3.2e-3, ends={0: "stopped"})
    sweep.trial("adam tuned", 0, [0.6], None, after=1, planned=False, trial_id="adam-c0", question="tuning")
    (tuning,) = compared(sweep).tunings
    assert (tuning.candidates[0].outcome, tuning.candidates[0].accuracy) == ("unfinished", 0.6)
    assert tuning.epochs == 2 + 5 * 3


def test_failures_and_warnings_of_candidates_are_counted(sweep: Sweep) -> None:
    tune(sweep, "adam", 3.2e-3)
    for row in sweep.rows["trials"][:2]:
        row["warning"] = "validation at chance"
    sweep.rows["trials"][5] |= {"outcome": "failed", "error_type": "MemoryError", "error_message": "no memory"}
    sentence = "adam tuned, tuning: 1 failed: MemoryError: no memory; 2 of 6 candidates: validation at chance"
    assert sentence in compared(sweep).warnings


def test_a_tuned_arm_whose_tuning_is_not_recorded_is_still_compared_with_its_default(sweep: Sweep) -> None:
    default_arm(sweep, "adam", ADAM)
    tune(sweep, "adam", 3.2e-3, NADAM, rates=())
    text = printed(sweep)
    assert "Tuning helped adam +.0122 ± .0013 (3)." in text
    assert "Tuning helped adam +.0122 ± .0013 (3)." in page(sweep)
    assert "Tuning trained" not in text


def made_up(key_values: dict[str, list[Any]]) -> Tuning:
    configs = [dict(zip(key_values, values, strict=True)) for values in zip(*key_values.values(), strict=True)]
    return Tuning(
        arm="a tuned",
        candidates=tuple(Candidate(outcome="completed", accuracy=0.5, config=c, is_selected=False) for c in configs),
        epochs=3,
        seconds=1.0,
        keys=tuple(key_values),
        selected_values={},
        default_values={},
        notes="",
    )


def test_the_axis_is_the_numeric_key_that_varies_most() -> None:
    momentum, rate = [0.8, 0.9, 0.99], [1e-4, 1e-2, 1.0]
    assert made_up({"momentum": momentum, "learning_rate": rate}).axes == ["learning_rate", "momentum"]
    assert made_up({"momentum": momentum, "learning_rate": [1e-4, 1.0, 1.0]}).axes == ["momentum", "learning_rate"]
    assert made_up({"momentum": [0.0, 0.5, 0.9], "activation": ["a", "b", "c"]}).axes == ["momentum"]
    assert made_up({"activation": ["a", "b", "c"], "nesterov": [True, False, True]}).axes == []
    assert made_up({"learning_rate": [None, 0.1, 0.2]}).axes == []


def test_a_tuning_without_a_numeric_key_has_no_panel(sweep: Sweep) -> None:
    default_arm(sweep, "adam", ADAM)
    for number, name in enumerate(("relu", "selu")):
        config = {"optimizer": "adam", "learning_rate": 0.001, "activation": name}
        sweep.trial("adam tuned", 0, [0.5], question="tuning", candidate=number, trial_id=name, config=config)
        if name == "selu":
            sweep.trial("adam tuned", 1, [0.5, 0.6, 0.7], config=config)
    text = printed(sweep)
    assert tunings_with_axis(compared(sweep)) == []
    assert "Tuning: ●" not in page(sweep)
    assert "<td>activation selu</td>" in page(sweep)
    assert "selu" in text


def test_whether_tuning_helped_is_the_pooled_test_corrected_over_the_tuned_arms(sweep: Sweep) -> None:
    for name, default, tuned in (("adam", ADAM, NADAM), ("sgd", SGD, (0.9005, 0.9030, 0.9035))):
        default_arm(sweep, name, default)
        tune(sweep, name, 1e-2, tuned)
    default_arm(sweep, "nadam", NADAM)  # not tuned
    comparison = compared(sweep)
    assert comparison.judgement is not None
    p = holm({name: comparison.judgement.p_value(f"{name} tuned", name) for name in ("adam", "sgd")})
    result = {gain.arm: gain for gain in gains(comparison)}
    assert {name.removesuffix(" tuned"): gain.p for name, gain in result.items()} == pytest.approx(p)
    assert (result["adam tuned"].verdict, result["sgd tuned"].verdict) == ("helped", "undecided")
    assert result["adam tuned"].difference == pytest.approx(fmean(NADAM) - fmean(ADAM))
    assert (result["adam tuned"].n, result["adam tuned"].sd) == (3, pytest.approx(stats.tstd([0.012, 0.011, 0.0135])))
    sentence = gain_sentences(gains(comparison))
    assert sentence.startswith("Tuning helped adam +.0122 ± .0013 (3).")
    assert sentence.endswith("For sgd, no difference of the tuned arm to its default was shown.")


def test_tuning_may_hurt() -> None:
    hurt = Gain(arm="adam tuned", difference=-0.02, sd=0.001, n=3, p=0.01)
    unclear = Gain(arm="sgd tuned", difference=0.5, sd=0.4, n=3, p=0.05)
    assert gain_sentences([hurt, unclear]) == (
        "Tuning hurt adam -.0200 ± .0010 (3). For sgd, no difference of the tuned arm to its default was shown."
    )


def test_the_order_changes_where_both_differences_are_significant(sweep: Sweep) -> None:
    best, second, third = (0.930, 0.931, 0.9325), (0.900, 0.902, 0.9010), (0.899, 0.9015, 0.9005)
    for name, default, tuned in (("adam", best, third), ("sgd", second, best), ("adamax", third, second)):
        default_arm(sweep, name, default)
        tune(sweep, name, 1e-2, tuned)
    result = ranking_change(compared(sweep))
    assert result is not None
    # by means adam, sgd, adamax become sgd, adamax, adam: two of three pairs turn
    assert (result.names, result.pairs, result.reversed_pairs) == (("adam", "sgd", "adamax"), 3, 2)
    assert result.tau == pytest.approx(-1 / 3)
    assert (result.overtakes, result.significant_pairs) == ((("sgd", "adam"), ("adamax", "adam")), 3)
    sentence = sentences(compared(sweep))[0]
    assert sentence.startswith(
        "The ranking changes with a tuned learning rate: sgd overtakes adam; adamax overtakes adam, with both"
    )
    assert "2 of 3 pairs are reversed by means (Kendall's tau -.33 between" in sentence
    assert "3 of 3 pairs differ significantly in both rankings" in sentence


def test_an_order_that_turns_by_chance_is_not_said_to_change(sweep: Sweep) -> None:
    for name, default, tuned in (
        ("adam", (0.930, 0.934, 0.929), (0.931, 0.930, 0.932)),
        ("sgd", (0.929, 0.931, 0.930), (0.930, 0.935, 0.931)),
    ):
        default_arm(sweep, name, default)
        tune(sweep, name, 1e-2, tuned)
    result = ranking_change(compared(sweep))
    assert result is not None
    assert (result.reversed_pairs, result.overtakes, result.tau) == (1, (), pytest.approx(-1))
    sentence = sentences(compared(sweep))[0]
    assert sentence.startswith(
        "The ranking does not change significantly with a tuned learning rate: 1 of 1 pair is reversed"
    )


def test_an_order_that_stays_and_equal_means(sweep: Sweep) -> None:
    for name, default in (("adam", ADAM), ("sgd", SGD)):
        default_arm(sweep, name, default)
        tune(sweep, name, 1e-2, NADAM)  # both tuned arms reach the same
    result = ranking_change(compared(sweep))
    assert result is not None
    assert (result.reversed_pairs, result.tau) == (0, None)
    sentence = sentences(compared(sweep))[0]
    assert sentence.startswith("The ranking does not change with a tuned learning rate (Kendall's tau undefined")
    assert "0 of 1 pair differ significantly in both rankings" in sentence


def test_one_seed_says_nothing_of_the_order_nor_of_the_gain(sweep: Sweep) -> None:
    for name, default, tuned in (("adam", 0.9, 0.8), ("sgd", 0.7, 0.95)):
        default_arm(sweep, name, (default,))
        tune(sweep, name, 1e-2, (tuned,))
    sentence = sentences(compared(sweep))
    assert sentence[0].startswith(
        "It is not known whether the ranking changes with a tuned learning rate: there are too few replicates"
    )
    assert sentence[1] == "It is not known whether tuning helped: there are too few replicates for a test."


def test_a_single_tuned_arm_has_no_order(sweep: Sweep) -> None:
    default_arm(sweep, "adam", ADAM)
    default_arm(sweep, "sgd", SGD)
    tune(sweep, "adam", 1e-2, NADAM)
    comparison = compared(sweep)
    assert ranking_change(comparison) is None
    assert len(sentences(comparison)) == 2
    assert cost_sentence(comparison.tunings) == (
        "Tuning trained 6 candidates for adam tuned: 18 epochs and 4 min 30 s of slot time, which the numbers of the "
        "arms do not include."
    )


def test_no_tuning_says_nothing(sweep: Sweep) -> None:
    default_arm(sweep, "adam", ADAM)
    assert sentences(compared(sweep)) == []
    assert "tuning" not in printed(sweep).partition("study  ")[0]
    assert "<h2>Tuning</h2>" not in page(sweep)


def test_sixteen_arms_fit_the_terminal_and_are_on_the_page(sweep: Sweep) -> None:
    eight(sweep)
    text = printed(sweep)
    table = text[: text.index("Tuning helped")].splitlines()
    assert max(map(len, table)) <= 100
    row = next(line for line in table if line.startswith(" adam tuned")).split()
    assert row[2] == ".0032"
    assert row[-2:] == [".8843", "undecided"]
    rmsprop = next(line for line in table if line.startswith(" rmsprop  ")).split()
    assert (rmsprop[1], rmsprop[-1]) == (".001", "worse")
    assert "12–16 epochs per arm (not equal)" in " ".join(text.split())
    assert page_content.elements(page(sweep)).count("<svg") == 1
    shown = page_text(sweep)
    for text in ("Tuning", "6: 3 completed, 2 stopped, 1 hopeless", "learning rate .0032",
                 "Hollow dots: stopped", "Kendall's tau .43", "112 epochs in 48 trials",
                 "for tuning"):  # fmt: skip
        assert text in shown, text


def test_a_tuned_arm_has_the_colour_of_its_default() -> None:
    arms = [name for i in range(8) for name in (f"o{i}", f"o{i} tuned")]
    styles = line_styles([*arms, "plain"])
    assert all(styles[f"o{i}"].colour == styles[f"o{i} tuned"].colour for i in range(8))
    assert (styles["o7"].dashes, styles["o7 tuned"].dashes, styles["plain"].dashes) == ("--", "-", "-")
    assert len({ink.colour for ink in styles.values()}) == 9
    assert all(ink.has_label for ink in styles.values())


def test_values_of_settings_in_words() -> None:
    assert [setting(v) for v in (0.0032, 1e-5, 0.5, 1.0, 32, "relu", None, True)] == [
        ".0032", "1e-05", ".5", "1", "32", "relu", "", "True",
    ]  # fmt: skip

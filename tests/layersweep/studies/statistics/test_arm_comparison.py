"""What a comparison says of arms that completed, stopped, diverged, failed, or are not done."""

from statistics import stdev
from typing import Any

import page_content
import pytest
from compared_sweep import arm, compared
from recorded_sweep import START, Sweep

from layersweep.studies.figures.learning_curves import lines
from layersweep.studies.recorded_comparison import load
from layersweep.studies.statistics.arm_rows import NEVER_LEARNED
from layersweep.studies.statistics.screening_risk import screening_risk
from layersweep.studies.study import findings_of
from layersweep.studies.wording.answer_sentences import answer, seeds_sentence, verdict

NAN = float("nan")


def shown(sweep: Sweep) -> str:
    """All texts of the report."""
    (findings,) = findings_of(sweep.results, sweep.name)
    return page_content.text(findings.page())


def three_seeds(sweep: Sweep, name: str, finals: tuple[float, ...], **more: Any) -> None:
    for seed, final in enumerate(finals, 1):
        sweep.trial(name, seed, [0.5, 0.7, final], **more)


def test_means_spread_and_seconds(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934), test=0.92)
    three_seeds(sweep, "sgd", (0.900, 0.903, 0.903), test=0.99)
    comparison = compared(sweep)
    row = arm(comparison, "nadam")
    assert row["mean"] == pytest.approx(0.932)
    assert row["sd"] == pytest.approx(stdev([0.930, 0.932, 0.934]))
    assert (row["n"], row["epochs"], row["seconds"]) == (3, 9, pytest.approx(3 * (9 + 30 + 6)))
    assert [(r["arm"], r["verdict"]) for r in comparison.arms.to_dicts()] == [("nadam", "best"), ("sgd", "worse")]
    assert answer(comparison) == "nadam is best with .932 after 3 epochs: it beats sgd."


def test_the_test_set_is_read_only_for_the_leading_arms(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934), test=0.92)
    three_seeds(sweep, "adam", (0.931, 0.933, 0.931), test=0.91)
    three_seeds(sweep, "sgd", (0.900, 0.902, 0.904), test=0.99)
    comparison = compared(sweep)
    assert [arm(comparison, a)["verdict"] for a in ("nadam", "adam", "sgd")] == ["leads", "as good", "worse"]
    assert [arm(comparison, a)["test_n"] for a in ("nadam", "adam", "sgd")] == [3, 3, 0]
    assert [arm(comparison, a)["test_mean"] for a in ("nadam", "adam", "sgd")] == [0.92, pytest.approx(0.91), None]


def test_a_stopped_arm_is_screened_out_and_never_worse(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    three_seeds(sweep, "adam", (0.910, 0.912, 0.916))
    sweep.trial("ftrl", 1, [0.1], "stopped", rung=1, cutoff=0.4)
    sweep.trial("sgd", 1, [0.5, 0.6], "stopped", rung=2, cutoff=0.653)
    sweep.trial("sgd", 2, [0.5, 0.7, 0.99])
    comparison = compared(sweep)
    for name in ("ftrl", "sgd"):
        row = arm(comparison, name)
        assert row["verdict"] == "screened out"
        assert (row["mean"], row["low"], row["difference"]) == (None, None, None)
    assert verdict(arm(comparison, "ftrl")) == "screened out at epoch 1 (.100 < .400)"
    assert verdict(arm(comparison, "sgd")) == "screened out at epoch 2 (.600 < .653; 1 of 2 seeds)"
    assert comparison.common_epoch == 1
    assert arm(comparison, "ftrl")["common_mean"] == pytest.approx(0.1)
    assert arm(comparison, "nadam")["common_mean"] == pytest.approx(0.5)
    assert [row["arm"] for row in comparison.arms.to_dicts()] == ["nadam", "adam", "sgd", "ftrl"]
    assert answer(comparison).startswith("nadam is best")  # of the two arms that ran to the end


def test_an_arm_that_a_person_stopped_on_a_seed_is_not_compared(sweep: Sweep) -> None:
    """It is not screened out: no rung, no cross, no risk of a screening. Its other seeds would flatter it."""
    request: dict[str, Any] = {"outcome": "stopped", "reason": "stopped on request"}
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    three_seeds(sweep, "adam", (0.910, 0.912, 0.916))
    sweep.trial("ftrl", 1, [0.1], **request)
    sweep.trial("sgd", 1, [0.5, 0.7, 0.99])
    sweep.trial("sgd", 2, [], epochs=0, **request)
    sweep.trial("adamw", 1, [0.5], "stopped", rung=1, cutoff=0.6)
    sweep.trial("adamw", 2, [0.5, 0.6], **request)
    comparison = compared(sweep)
    for name in ("ftrl", "sgd"):
        row = arm(comparison, name)
        assert (row["status"], row["mean"], row["difference"], row["rung"]) == ("stopped on request", None, None, None)
    assert verdict(arm(comparison, "ftrl")) == "stopped on request"
    assert verdict(arm(comparison, "sgd")) == "stopped on request (1 completed, 1 stopped on request)"
    assert verdict(arm(comparison, "adamw")) == "screened out at epoch 1 (.500 < .600; 1 of 2 seeds)"
    assert [row["arm"] for row in comparison.arms.to_dicts()] == ["nadam", "adam", "adamw", "ftrl", "sgd"]
    assert screening_risk(comparison).stopped == 1
    assert [line.arm for line in lines(comparison, "epoch") if line.stops] == ["adamw"]
    assert "run the sweep again" not in " ".join(comparison.warnings)


def test_what_became_of_requests_changes_nothing_in_a_study(sweep: Sweep) -> None:
    """Their rows in `runs` have neither a command, versions, hosts nor slots."""
    sweep.trial("nadam", 1, [0.5, 0.7, 0.93])
    sweep.trial("adam", 1, [0.5, 0.7, 0.92])
    sweep.run()
    comparison, runs = load(sweep.write(), sweep.name)
    page, sentence = shown(sweep), seeds_sentence(comparison, runs)
    assert sentence
    sweep.add("runs", {"run": "r1", "event": "request 1", "at": START, "outcome": "refused", "options_json": "{}"})
    comparison, runs = load(sweep.write(), sweep.name)
    assert runs.height == 2
    assert shown(sweep) == page
    assert seeds_sentence(comparison, runs) == sentence


def test_a_completed_trial_that_was_stopped_when_it_ran_again_for_its_weights_has_completed(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    three_seeds(sweep, "adam", (0.910, 0.912, 0.916))
    sweep.trial("nadam", 3, [0.5, 0.7, 0.934], "stopped", continuation=1, reason="stopped on request")
    assert arm(compared(sweep), "nadam")["n"] == 3


def test_survivors_are_compared_on_fresh_seeds_without_their_screening(sweep: Sweep) -> None:
    for name, final in (("nadam", 0.99), ("adam", 0.98)):
        sweep.trial(name, 0, [0.5, 0.7, final], question="screening")
        three_seeds(sweep, name, (0.930, 0.932, 0.934) if name == "nadam" else (0.931, 0.932, 0.9345))
    sweep.trial("ftrl", 0, [0.1], "stopped", question="screening", rung=1, cutoff=0.4)
    comparison = compared(sweep)
    assert arm(comparison, "nadam")["mean"] == pytest.approx(0.932)
    assert (
        arm(comparison, "nadam")["n"],
        arm(comparison, "nadam")["replicates"],
        arm(comparison, "nadam")["epochs"],
    ) == (3, 3, 12)
    assert arm(comparison, "ftrl")["verdict"] == "screened out"
    assert comparison.judgement is not None
    assert comparison.judgement.model.total_freedom == pytest.approx(2)


def test_an_arm_at_chance_never_learned_and_is_judged_by_nothing(sweep: Sweep) -> None:
    for seed, (rmsprop, nadam, sgd) in enumerate(((0.765, 0.77, 0.72), (0.765, 0.72, 0.77)), 1):
        sweep.trial("rmsprop", seed, [0.5, 0.7, rmsprop])
        sweep.trial("nadam", seed, [0.5, 0.7, nadam])
        sweep.trial("sgd", seed, [0.5, 0.7, sgd])
        sweep.trial("ftrl", seed, [0.1, 0.1, 0.1])
    comparison = compared(sweep)
    assert comparison.judgement is not None
    assert set(comparison.judgement.arms) == {"rmsprop", "nadam", "sgd"}
    row = arm(comparison, "ftrl")
    assert (row["verdict"], row["mean"], row["learned"], row["ended"]) == (NEVER_LEARNED, None, 0, 2)


def test_a_screening_is_seen_at_the_common_epoch_on_its_own_seed(sweep: Sweep) -> None:
    for name, first in (("nadam", 0.55), ("adam", 0.45)):
        sweep.trial(name, 0, [first, 0.7, 0.9], question="screening")
        three_seeds(sweep, name, (0.930, 0.932, 0.934))
    sweep.trial("nadam", 4, [], None)
    sweep.trial("ftrl", 0, [0.1, 0.2], "stopped", question="screening", rung=2, cutoff=0.4)
    sweep.trial("sgd", 0, [0.3], "stopped", question="screening", rung=1, cutoff=0.4)
    sweep.trial("adam", 4, [0.99], None)  # its first epoch is no like of the others'
    comparison = compared(sweep)
    assert (comparison.common_epoch, comparison.common_basis) == (1, "screening seed")
    common_means = {row["arm"]: (row["common_n"], row["common_mean"]) for row in comparison.arms.to_dicts()}
    assert common_means == {"nadam": (1, 0.55), "adam": (1, 0.45), "sgd": (1, 0.3), "ftrl": (1, 0.1)}
    page = shown(sweep)
    assert "all at epoch 1 (screening seed)" in page
    assert "It shows only the screening seed" in page


def test_a_fresh_seed_under_way_does_not_shorten_the_screening(sweep: Sweep) -> None:
    for name in ("nadam", "adam"):
        sweep.trial(name, 0, [0.5, 0.7, 0.9], question="screening")
        sweep.trial(name, 1, [0.6], None)
    sweep.trial("ftrl", 0, [0.1, 0.2], "stopped", question="screening", rung=2, cutoff=0.4)
    assert compared(sweep).common_epoch == 2


def test_an_arm_that_scatters_more_has_a_wider_interval_than_the_others(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    three_seeds(sweep, "adam", (0.931, 0.930, 0.933))
    three_seeds(sweep, "sgd", (0.905, 0.902, 0.904))
    three_seeds(sweep, "adadelta", (0.4, 0.5, 0.6))
    comparison = compared(sweep)
    width = {row["arm"]: row["high"] - row["low"] for row in comparison.arms.to_dicts()}
    assert width["adadelta"] > 20 * max(width[name] for name in ("nadam", "adam", "sgd"))
    assert [arm(comparison, a)["verdict"] for a in ("nadam", "adam", "sgd")] == ["leads", "as good", "worse"]
    assert arm(comparison, "adadelta")["verdict"] == "undecided"  # three seeds from .4 to .6 show no difference to .93


def test_failed_and_diverged_replicates_are_counted_with_their_reasons(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    sweep.trial("adam", 1, [0.5, 0.7, 0.90])
    sweep.trial("adam", 2, [0.5, 0.7, 0.902])
    sweep.trial("adam", 3, [0.5], "failed", error_type="MemoryError", error_message="out of memory\nat line 3")
    sweep.trial("sgd", 1, [0.5, NAN], "diverged", reason="the loss was NaN in epoch 2")
    sweep.trial("ftrl", 1, [], "failed", error_type="ValueError", error_message="bad")
    comparison = compared(sweep)
    assert verdict(arm(comparison, "adam")) == "worse (2 completed, 1 failed)"
    assert arm(comparison, "adam")["reasons"] == "1 failed: MemoryError: out of memory"
    assert (arm(comparison, "sgd")["verdict"], arm(comparison, "ftrl")["verdict"]) == ("diverged", "failed")
    assert comparison.common_epoch is None  # failed and diverged trials do not shorten the comparison
    assert "sgd: 1 diverged: the loss was NaN in epoch 2" in comparison.warnings


def test_a_completed_trial_without_a_finite_accuracy_diverged(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    three_seeds(sweep, "sgd", (NAN, NAN, NAN))
    comparison = compared(sweep)
    assert arm(comparison, "sgd")["verdict"] == "diverged"
    assert arm(comparison, "nadam")["verdict"] == "only arm"


def test_one_seed_is_a_warning_and_not_tested(sweep: Sweep) -> None:
    sweep.trial("nadam", 1, [0.5, 0.7, 0.9338], test=0.93)
    sweep.trial("adam", 1, [0.5, 0.7, 0.9337], test=0.94)
    comparison = compared(sweep)
    assert [row["verdict"] for row in comparison.arms.to_dicts()] == ["leads", "undecided"]
    assert [row["sd"] for row in comparison.arms.to_dicts()] == [None, None]
    assert answer(comparison) == "nadam is ahead with .934, but one seed cannot show a difference."
    assert [row["difference_low"] for row in comparison.arms.to_dicts()] == [None, None]


def test_one_seed_each_is_no_test_even_if_the_seeds_differ(sweep: Sweep) -> None:
    sweep.trial("nadam", 1, [0.5, 0.7, 0.93])
    sweep.trial("adam", 2, [0.5, 0.7, 0.92])
    comparison = compared(sweep)
    assert comparison.judgement is not None
    assert not comparison.judgement.can_test
    assert not comparison.is_better("nadam", "adam")


def test_a_single_arm_has_an_interval_and_no_verdict(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    row = arm(compared(sweep), "nadam")
    assert row["verdict"] == "only arm"
    # mean ± t(.975, 2) · sd / √3 = .932 ± 4.3027 · .002 / 1.7321
    assert (row["low"], row["high"]) == pytest.approx((0.932 - 0.0049683, 0.932 + 0.0049683), abs=1e-6)


def test_the_latest_attempt_counts_and_a_running_one_is_unfinished(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    three_seeds(sweep, "adam", (0.910, 0.912, 0.916))
    sweep.trial("nadam", 1, [0.5, 0.7, 0.940], attempt=1, planned=False)
    sweep.trial("adam", 1, [0.5], None, attempt=1, planned=False)
    sweep.plan("sgd", 1, "sgd-1")
    comparison = compared(sweep)
    assert arm(comparison, "nadam")["mean"] == pytest.approx((0.940 + 0.932 + 0.934) / 3)
    assert verdict(arm(comparison, "adam")).endswith("(2 completed, 1 unfinished)")
    assert arm(comparison, "sgd")["verdict"] == "unfinished"
    assert "2 trials are unfinished: run the sweep again to complete them." in comparison.warnings


def test_a_trial_shared_by_two_runs_counts_once(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    for seed in (1, 2, 3):
        sweep.plan("nadam", seed, f"nadam-{seed}", run="r2")
    row = arm(compared(sweep), "nadam")
    assert (row["n"], row["epochs"]) == (3, 9)


def test_longer_trials_are_read_at_the_equal_epochs(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    for seed in (1, 2, 3):
        sweep.trial("adam", seed, [0.5, 0.7, 0.91, 0.99, NAN], "diverged", epochs_asked=9)
    comparison = compared(sweep)
    assert comparison.epoch == 3
    assert arm(comparison, "adam")["mean"] == pytest.approx(0.91)
    assert arm(comparison, "adam")["completed"] == 3


def test_trials_on_other_images_are_left_out_with_a_note(sweep: Sweep) -> None:
    sweep.trial("sgd", 1, [0.2, 0.3, 0.4], trial_id="small", data_fingerprint="small", train_images=100, run="r0")
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    comparison = compared(sweep)
    assert comparison.arms["arm"].to_list() == ["nadam"]
    assert comparison.warnings[0].startswith("1 trial of sgd is left out: trained on other data")


def test_the_equal_epochs_are_those_of_the_trials_that_are_kept(sweep: Sweep) -> None:
    for seed in range(1, 6):
        old: dict[str, Any] = {"data_fingerprint": "f9", "train_images": 9_000, "run": "r0", "epochs_asked": 10}
        sweep.plan("nadam", seed, f"long-{seed}", run="r0", epochs=10)
        sweep.trial("nadam", seed, [0.1 * i for i in range(10)], trial_id=f"long-{seed}", planned=False, **old)
    sweep.plan("nadam", 6, "long-6", run="r0", epochs=10)  # never ran
    for seed in (1, 2):
        sweep.trial("nadam", seed, [0.5, 0.7, 0.80 + seed / 100], data_fingerprint="f2", train_images=1_800)
    comparison = compared(sweep)
    assert comparison.epoch == 3
    row = arm(comparison, "nadam")
    assert (row["status"], row["completed"], row["mean"]) == ("compared", 2, pytest.approx(0.815))
    assert comparison.warnings[0].startswith("5 trials of nadam are left out: trained on other data")


def test_latency_tells_how_far_trials_lie_apart(sweep: Sweep) -> None:
    for seed, ms in enumerate((0.88, 5.36, 1.22), 1):
        sweep.trial("nadam", seed, [0.5, 0.7, 0.9], latency_ms_median=ms, latency_busy_slots=1)
    sweep.trial("sgd", 1, [0.5, 0.7, 0.8], latency_ms_median=2.0, latency_busy_slots=0, flops=1)
    sweep.trial("sgd", 2, [0.5, 0.7, 0.8], latency_ms_median=4.0, latency_busy_slots=2)
    sweep.trial("adam", 1, [0.5, 0.7, 0.8], latency_ms_median=2.0, latency_ratio=9.0, latency_ms_reference=1.0)
    sweep.write()
    page = shown(sweep)
    assert "1.22 (.88–5.36; n = 3; 1 slot busy)" in page
    assert "3.00 (2.00–4.00; n = 2; 0 to 2 slots busy)" in page
    assert "2.00 (n = 1; busy slots not recorded)" in page
    assert "Latency of one image: median over trials (lowest–highest; trials) of the median of 50 calls." in page


def test_latency_is_in_times_of_a_fixed_computation(sweep: Sweep) -> None:
    for seed, (ratio, referred, median) in enumerate(((1.0, 0.5, 0.9), (1.5, 2.0, 4.0), (1.25, 0.6, 0.7)), 1):
        columns = {"latency_ratio": ratio, "latency_ms_reference": referred, "latency_ms_median": median}
        sweep.trial("nadam", seed, [0.5, 0.7, 0.9], **columns)
    comparison = compared(sweep)
    page = shown(sweep)
    assert arm(comparison, "nadam")["latency"] == 1.25
    assert "of 50 calls, as a multiple of the time of a fixed computation, which takes at least 0.50 ms here." in page
    assert "latency, ×" in page


def test_arms_are_called_by_what_tells_them_apart(sweep: Sweep) -> None:
    for name in ("trained=none", "trained=5 head_epochs=10", "trained=8 head_epochs=10"):
        for seed in (1, 2):
            sweep.trial(name, seed, [0.5, 0.7, 0.8 + seed / 100 + len(name) / 1000])
    comparison = compared(sweep)
    assert {*comparison.arms["arm"]} == {*comparison.configurations} == {"trained=none", "trained=5", "trained=8"}
    assert {*comparison.replicates.curves["arm"]} == {"trained=none", "trained=5", "trained=8"}


def test_different_hosts_are_a_warning(sweep: Sweep) -> None:
    sweep.trial("nadam", 1, [0.5, 0.7, 0.9], host="alder")
    sweep.trial("nadam", 2, [0.5, 0.7, 0.9], host="birch")
    assert any("different hosts: alder, birch" in text for text in compared(sweep).warnings)


def test_trials_of_another_sweep_are_found(sweep: Sweep) -> None:
    three_seeds(sweep, "nadam", (0.930, 0.932, 0.934))
    sweep.write()
    later = Sweep(sweep.results, "later")
    later.plan("nadam", 1, "nadam-1")
    later.trial("sgd", 1, [0.1, 0.2, 0.3])
    assert arm(compared(later), "nadam")["mean"] == pytest.approx(0.930)


def test_nothing_reached_the_end(sweep: Sweep) -> None:
    sweep.trial("nadam", 1, [0.5], "stopped", rung=1, cutoff=0.6)
    sweep.trial("adam", 1, [0.6], None)
    comparison = compared(sweep)
    assert answer(comparison) == "No arm has trained all its seeds to epoch 3; at epoch 1, adam was ahead with .600."

"""What records say of a sweep at work."""

import io
from datetime import UTC, datetime, timedelta

import pytest
import recorded_rows as rows

from layersweep.terminal import Console
from layersweep.tuning.cluster.job_epochs import JobEpochs
from layersweep.tuning.cluster.job_progress import CommandOfJob, read_progress

START = rows.START
BEGAN = START.timestamp()


def at(seconds):
    return START + timedelta(seconds=seconds)


def curve(trial, *accuracies, attempt=0, begin=10):
    epochs = rows.curve(trial, *accuracies, attempt=attempt)
    times = {"seconds_train": 9.0, "seconds_validate": 1.0}
    return [row | times | {"val_loss": 1.0, "at": at(begin + 10 * n)} for n, row in enumerate(epochs)]


def end(trial, outcome="completed", *, seconds=30, **more):
    return rows.trial(trial, outcome, ended_at=at(seconds), last_val_accuracy=0.5, **more)


def run(name="r1", event="start", at=START, **more):
    return rows.run(name, event, at=at, hosts_json='["h1", "h2", "h3"]', slots=6, **more)


def progress_of(results, *, now=40, since=BEGAN, job="j", metric="val_accuracy", mode="max", **tables):
    rows.record(results, "made_up", **tables)
    job_epochs = JobEpochs(results, "made_up", metric=metric, mode=mode)
    return read_progress(job_epochs, CommandOfJob(job=job, since=since), now=BEGAN + now)


def table_text(progress):
    out = io.StringIO()
    Console(file=out, width=150).print(progress.table("val_accuracy"))
    return out.getvalue()


@pytest.fixture
def four(tmp_path):
    """Of four trials one has completed, one was stopped, one runs, and one waits."""
    return progress_of(
        tmp_path,
        runs=[run()],
        plan=[rows.plan("a"), rows.plan("b", "sgd"), rows.plan("c", seed=2, epochs=4), rows.plan("d", seed=3)],
        epochs=[*curve("a", 0.25, 0.5), *curve("b", 0.125), *curve("c", 0.25, 0.75)],
        trials=[end("a", host="h1"), end("b", "stopped", epochs=1, host="h2", arm="sgd")],
    )


def test_what_runs_is_shown_with_its_epoch(four):
    (running,) = four.running
    assert (running.name, running.seed, running.epoch, running.epochs, running.value) == ("adam", 2, 2, 4, 0.75)
    text = table_text(four)
    assert "2/4" in text
    assert "0.7500" in text


def test_ends_are_counted_by_outcome_and_machine(four):
    assert four.summary("val_accuracy") == (
        "2/4 trials · 1 completed · 1 stopped · best val_accuracy 0.7500 (adam, seed 2, epoch 2) · about 17 s left"
    )
    assert four.machines() == "6 slots on 3 machines, trials ended on each: h1 1, h2 1, h3 0"


def test_the_time_left_is_that_of_the_epochs_to_come(four):
    # 10 s an epoch: trial c has been in its third for 20 s, d has 2 to go, and every third stops after the first
    assert (four.epochs_done, four.epochs_planned) == (5, 9)
    assert four.seconds_left == pytest.approx(10 * (1 + 2 / 3))
    assert four.at(BEGAN + 20).seconds_left == pytest.approx(20)


def test_each_end_is_told_with_what_it_came_to(four):
    completed, stopped = four.ends_after(None)
    assert (completed.label, completed.outcome, completed.epochs, completed.value) == (
        "adam, seed 1",
        "completed",
        2,
        0.5,
    )
    assert (stopped.label, stopped.outcome, stopped.host) == ("sgd, seed 1", "stopped", "h2")


def test_no_command_of_the_job_has_begun(tmp_path):
    assert progress_of(tmp_path) is None
    assert progress_of(tmp_path, runs=[run()], since=BEGAN + 1) is None


def set_back(hours, sequence, epochs):
    return [
        row | {"at": row["at"] - timedelta(hours=hours), "sequence": number}
        for number, row in enumerate(epochs, sequence)
    ]


def test_a_clock_that_was_set_back_does_not_hide_the_command(tmp_path):
    """An hour before the job began by the head's clock; an hour more when it had begun; and an hour more later."""
    hour = timedelta(hours=1)
    early, late = set_back(2, 2, curve("b", 0.5, 0.9)), set_back(3, 4, curve("c", 0.5, 0.9))
    progress = progress_of(
        tmp_path,
        job="job-2",
        runs=[
            run("job-1", first_sequence=0),
            run("job-1", "end", outcome="ended", at=at(50)),
            run("job-2", at=START - hour, first_sequence=2),
        ],
        plan=[rows.plan("a", run="job-1"), *(rows.plan(t, run="job-2") for t in ("a", "b", "c", "d"))],
        epochs=[*set_back(0, 0, curve("a", 0.5, 0.9)), *early, *late],
        trials=[
            end("a", run="job-1"),
            end("b", run="job-2") | {"ended_at": at(30) - 2 * hour},
            end("c", run="job-2") | {"ended_at": at(30) - 3 * hour},
        ],
    )
    assert [(e.label, e.final) for e in progress.ends_after(None)] == [("adam, seed 1", True)] * 2
    assert (progress.trials, progress.recorded_trials, progress.outcomes) == (3, 1, {"completed": 2})
    assert (progress.epochs_done, progress.best[0]) == (4, 0.9)
    assert progress.running == ()


def test_a_trial_that_is_tried_again_while_the_clock_is_set_back_has_not_ended(tmp_path):
    progress = progress_of(
        tmp_path,
        job="r1",
        runs=[run(first_sequence=0)],
        plan=[rows.plan("a", epochs=4)],
        epochs=[*set_back(0, 0, curve("a", 0.25, 0.5)), *set_back(1, 2, curve("a", 0.25, 0.5, 0.75)[2:])],
        trials=[end("a", "failed")],
    )
    assert [e.final for e in progress.ends_after(None)] == [False]
    assert [(r.epoch, r.value) for r in progress.running] == [(3, 0.75)]


def test_the_last_command_is_the_one_that_is_watched(tmp_path):
    progress = progress_of(
        tmp_path,
        runs=[run(), run(event="end", outcome="interrupted", at=at(50)), run("r2", at=at(60))],
        plan=[rows.plan("a"), rows.plan("b", "sgd"), *(rows.plan(t, run="r2") for t in ("a", "b", "c"))],
        epochs=[*curve("a", 0.5, 0.9), *curve("b", 0.125), *curve("b", 0.25, attempt=1, begin=70)],
        trials=[end("a")],
        now=70,
    )
    assert progress.outcome is None
    assert progress.trials == 2  # trial a had ended before
    assert progress.ends.is_empty()
    assert progress.best == (0.25, "adam, seed 1, epoch 1")
    assert progress.epochs_done == 1


def test_a_later_run_of_the_job_is_watched_when_it_has_begun(tmp_path):
    """A person has asked for more seeds; a job whose name begins like this one's is another."""
    progress = progress_of(
        tmp_path,
        job="j",
        runs=[run("j"), run("j", "end", outcome="ended", at=at(20)), run("j.2", at=at(21)), run("j2", at=at(22))],
        plan=[rows.plan("a", run="j"), rows.plan("a", run="j.2"), rows.plan("b", seed=2, run="j.2")],
        epochs=curve("a", 0.25, 0.5),
        trials=[end("a", run="j")],
    )
    assert (progress.trials, progress.recorded_trials, progress.outcome) == (1, 1, None)


def test_the_end_of_the_command_is_known(tmp_path):
    progress = progress_of(tmp_path, runs=[run(), run(event="end", outcome="ended", at=at(60))])
    assert progress.outcome == "ended"
    assert progress.summary("val_accuracy") == "0/0 trials"


def test_a_trial_that_is_tried_again_has_not_ended(tmp_path):
    failed = end("a", "failed", epochs=1, seconds=15, error_type="ProcessKilled", error_message="by SIGKILL\nmore")
    progress = progress_of(
        tmp_path,
        runs=[run()],
        plan=[rows.plan("a")],
        epochs=[*curve("a", 0.5), *curve("a", 0.5, attempt=1, begin=20)],
        trials=[failed],
    )
    (failure,) = progress.ends_after(None)
    assert (failure.final, failure.reason) == (False, "ProcessKilled: by SIGKILL")
    assert len(progress.running) == 1
    assert progress.summary("val_accuracy").startswith("0/1 trials · best")


def test_a_trial_that_failed_before_the_command_is_to_run_again(tmp_path):
    tables = {"runs": [run("r2", at=at(60))], "plan": [rows.plan("a", run="r2")], "trials": [end("a", "failed")]}
    assert progress_of(tmp_path, **tables).trials == 1


def test_a_completed_trial_of_fewer_epochs_is_to_run_again(tmp_path):
    plan = [rows.plan("a", run="r2", epochs=3), rows.plan("b", run="r2", epochs=2)]
    trials = [end("a"), end("b")]
    assert progress_of(tmp_path, runs=[run("r2", at=at(60))], plan=plan, trials=trials).trials == 1


def test_the_last_rung_is_shown(tmp_path):
    first, second = curve("a", 0.5, 0.75)
    epochs = [first | {"rung": 1}, second | {"rung": 2, "cutoff": 0.7}]
    (running,) = progress_of(tmp_path, runs=[run()], plan=[rows.plan("a", epochs=9)], epochs=epochs).running
    assert running.rung == "2 ≥ 0.7000"


def test_a_nan_is_never_best_and_the_least_loss_is(tmp_path):
    epochs = curve("a", 0.5, 0.75, 0.25)
    epochs[0] |= {"val_loss": float("nan")}
    epochs[1] |= {"val_loss": 0.25}
    progress = progress_of(
        tmp_path, runs=[run()], plan=[rows.plan("a", epochs=3)], epochs=epochs, metric="val_loss", mode="min"
    )
    assert progress.best == (0.25, "adam, seed 1, epoch 2")


def test_folds_and_candidates_are_told_apart(tmp_path):
    plan = [rows.plan("a", epochs=9) | {"fold": 1}, rows.plan("b", epochs=9) | {"candidate": 3}]
    progress = progress_of(tmp_path, runs=[run()], plan=plan, epochs=[*curve("a", 0.5), *curve("b", 0.25)])
    assert [r.name for r in progress.running] == ["adam", "adam candidate 3"]
    assert progress.best == (0.5, "adam, seed 1, fold 2, epoch 1")


def test_times_are_those_of_the_head(tmp_path):
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=400)
    shift = (later - START).total_seconds()
    epochs = curve("a", 0.5, 0.6, begin=shift + 10)
    progress = progress_of(
        tmp_path, runs=[run(at=later)], plan=[rows.plan("a", epochs=9)], epochs=epochs, now=shift + 25
    )
    assert progress.seconds_left == pytest.approx(7 * 10 - 5)


def test_a_command_that_had_nothing_to_run_says_so(tmp_path):
    runs = [run("r2", at=at(60)), run("r2", "end", outcome="ended", at=at(61))]
    progress = progress_of(tmp_path, runs=runs, plan=[rows.plan("a", run="r2")], trials=[end("a")])
    assert progress.summary("val_accuracy") == "there was nothing to run; trials recorded before: 1"


def test_a_trial_that_another_sweep_has_trained_is_not_run(tmp_path):
    rows.record(tmp_path, "another", trials=[end("a", run="r0")])
    progress = progress_of(tmp_path, runs=[run()], plan=[rows.plan("a"), rows.plan("b")], trials=[end("b")])
    assert (progress.trials, progress.recorded_trials) == (1, 1)
    assert progress.summary("val_accuracy") == "1/1 trials · 1 completed"


def test_the_ends_since_an_earlier_look_alone_are_told(tmp_path):
    plan = [rows.plan(trial) for trial in "abc"]
    epochs = [*curve("a", 0.5, 0.6), *curve("b", 0.5, 0.6)]
    rows.record(tmp_path, "made_up", runs=[run()], plan=plan, epochs=epochs, trials=[end("a")])
    job_epochs = JobEpochs(tmp_path, "made_up", metric="val_accuracy", mode="max")
    first = read_progress(job_epochs, CommandOfJob(job="j", since=BEGAN), now=BEGAN + 40)
    rows.record(tmp_path, "made_up", trials=[end("b", seconds=35, seed=2)])
    second = read_progress(job_epochs, CommandOfJob(job="j", since=BEGAN), now=BEGAN + 41)
    assert [(new.label, new.number) for new in second.ends_after(first)] == [("adam, seed 2", 2)]
    assert second.ends_after(second) == ()


@pytest.mark.parametrize("text", ["[", '{"h1": 1}', '[["h1"], 5, null]', "[" * 100_000, "3"])
def test_any_text_may_stand_for_the_machines(tmp_path, text):
    progress = progress_of(tmp_path, runs=[run() | {"hosts_json": text}], plan=[rows.plan("a")])
    assert progress.ends_by_host == {}

"""What people ask of a running sweep, through the real planner, run, callback, scheduler, searcher and slots.

Only Tune's loop, the clocks and the child process are made up (`made_up_tune`).
"""

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import made_up
import made_up_tune
import polars as pl
import pytest
from made_up_tune import Machine

from layersweep import Sweep
from layersweep.exit_codes import OK, UNFINISHED
from layersweep.records import requests
from layersweep.records.errors import ResultsError
from layersweep.records.overview import summaries
from layersweep.records.read import read
from layersweep.records.requests import ADD_SEEDS, STOP_SWEEP, STOP_TRIAL
from layersweep.studies.statistics.arm_comparison import Tables, compare
from layersweep.studies.statistics.looks import look_of
from layersweep.studies.statistics.searches import searches
from layersweep.studies.wording.answer_sentences import verdict
from layersweep.tuning.command.sweep_command import plan_of
from layersweep.tuning.common.job import JOB
from layersweep.tuning.driver.person_requests import PersonRequests
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import resolve
from search_spaces.ranges import Range

EPOCHS = 12
"""Rows are written every fourth event."""

ARMS = Sweep(
    name="made_up",
    train=made_up.train,
    spaces=[{"quality": [0.2, 0.4, 0.6]}],
    warm_up=made_up.WARM_UP,
    epochs=EPOCHS,
    seeds=2,
)
SEARCH = replace(ARMS, spaces=[{"quality": [0.2]}], tuned=[{"quality": Range(0.1, 0.9)}], search="random", seeds=1)
FIRST_PHASE = replace(ARMS, spaces=[{"quality": [0.6], "before": [6]}])
DATA = made_up.data(Path("/nowhere"), train_images=600)
ASHA = ("--scheduler", "asha", "--grace", "1", "--reduction", "2")
REASON = "stopped on request"


@pytest.fixture(autouse=True)
def epochs_come_one_by_one(monkeypatch):
    monkeypatch.setattr("layersweep.tuning.worker.worker_actor.TOGETHER_SECONDS", -1.0)


class Command:
    """A sweep's command, to be run and run again in one results folder."""

    def __init__(self, results, sweep=ARMS, *flags):
        self.results, self.sweep, self.flags = results, sweep, flags
        results.mkdir(exist_ok=True)
        self.said = ""

    def request(self, *more):
        flags = ["--results", str(self.results), "--images", "600", "--slots", "1", *self.flags, *more]
        settings = resolve(self.sweep, parse(flags, program="s.py"))
        return Request.of(self.sweep, settings, lambda _line: None)

    def run(self, *more, people=None, when=None, **machine):
        """One command; `when` is called before each event until it returns something."""
        out = io.StringIO()
        people = people or ({} if when is None else dict.fromkeys(range(1000), once(when)))
        flags = [*self.flags, *more]
        made = Machine(people=people, **machine)
        code = made_up_tune.run(self.request(*more), DATA, made, out=out, arguments=flags)
        self.said = out.getvalue()
        return code

    def plan(self, *more):
        return plan_of(self.request(*more), DATA)

    def put(self, action, **what):
        return requests.put(self.results, self.sweep.name, action, **what)

    def stop_running(self):
        """Asks to stop the trial that runs, once it has a recorded epoch."""
        ended = set(self.trials["trial_id"])
        running = [t for t in read(self.results, "epochs")["trial_id"] if t not in ended]
        return bool(running) and self.put(STOP_TRIAL, trial_id=running[-1])

    def stop_waiting(self):
        """Asks to stop the last trial of the plan."""
        return self.put(STOP_TRIAL, trial_id=read(self.results, "plan")["trial_id"].to_list()[-1])

    @property
    def trials(self):
        return read(self.results, "trials")

    @property
    def handled(self):
        """What became of requests, by their action."""
        rows = read(self.results, "runs").filter(pl.col("event").cast(pl.String).str.starts_with("request "))
        return [(json.loads(row["options_json"])["action"], row["outcome"]) for row in rows.to_dicts()]

    @property
    def left(self):
        return requests.pending(self.results, self.sweep.name)

    def comparison(self):
        names = ("plan", "trials", "epochs", "tests", "classes", "layers")
        return compare(Tables(**{name: read(self.results, name) for name in names}))


def once(when):
    """Calls a function until it returns something."""
    answers = []

    def ask():
        if not answers and (answer := when()):
            answers.append(answer)

    return ask


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def command(results):
    return Command(results)


# Stop a trial


def test_a_running_trial_ends_after_its_epoch_and_stays_stopped(command):
    assert command.run(when=command.stop_running) == OK
    stopped = command.trials.filter(pl.col("outcome") == "stopped")
    (row,) = stopped.to_dicts()
    assert (row["reason"], row["rung"], row["cutoff"], row["epochs_asked"]) == (REASON, None, None, EPOCHS)
    assert 1 <= row["epochs"] < EPOCHS
    last = read(command.results, "epochs").filter(pl.col("trial_id") == row["trial_id"]).row(-1, named=True)
    assert (last["epoch"], last["decision"]) == (row["epochs"], "stop")
    assert sorted(command.trials["outcome"]) == ["completed"] * 5 + ["stopped"]
    assert command.handled == [(STOP_TRIAL, "it ends after its present epoch")]
    assert f"request to stop the trial {row['trial_id']}: it ends after its present epoch" in command.said
    assert "seed 1: stopped on request" in command.said
    assert command.left == []
    before = {name: read(command.results, name).height for name in ("epochs", "trials")}
    assert command.plan().finished
    assert command.run() == OK
    assert {name: read(command.results, name).height for name in before} == before
    assert "nothing to run" in command.said


def test_with_more_epochs_it_goes_on_from_where_it_was(command):
    command.run(when=command.stop_running)
    (row,) = command.trials.filter(pl.col("outcome") == "stopped").to_dicts()
    assert command.plan("--epochs", str(row["epochs"] + 1)).endings[row["trial_id"]].outcome == "stopped"
    to_run = [each.trial.trial_id for each in command.plan("--epochs", str(row["epochs"])).to_run]
    assert row["trial_id"] in to_run  # it has had so many, and then completes: the test set is read after the last
    assert command.run("--epochs", "14") == OK
    ends = command.trials.filter(pl.col("trial_id") == row["trial_id"])
    assert ends.select("continuation", "outcome", "epochs").rows() == [
        (0, "stopped", row["epochs"]),
        (1, "completed", 14),
    ]
    assert not read(command.results, "epochs").select("trial_id", "attempt", "epoch").is_duplicated().any()


def test_a_waiting_trial_is_dropped_recorded_and_stays_so(command):
    assert command.run(people={3: command.stop_waiting}) == OK
    (row,) = command.trials.filter(pl.col("outcome") == "stopped").to_dicts()
    assert (row["reason"], row["epochs"], row["run"]) == (REASON, 0, read(command.results, "runs")["run"][0])
    assert row["trial_id"] not in read(command.results, "epochs")["trial_id"].to_list()
    assert command.handled == [(STOP_TRIAL, "it waited, and is not run")]
    assert command.plan().finished
    assert command.plan("--epochs", "13").endings.get(row["trial_id"]) is None


def test_its_arm_is_not_compared_and_never_worse(command):
    command.run(when=command.stop_running)
    (stopped,) = command.trials.filter(pl.col("outcome") == "stopped")["arm"].to_list()
    comparison = command.comparison()
    rows = {row["arm"]: row for row in comparison.arms.to_dicts()}
    assert (rows[stopped]["status"], rows[stopped]["mean"], rows[stopped]["difference"]) == (REASON, None, None)
    assert verdict(rows[stopped]) == "stopped on request (1 completed, 1 stopped on request)"
    assert {rows[arm]["status"] for arm in rows if arm != stopped} == {"compared"}
    assert not [text for text in comparison.warnings if "unfinished" in text]


def test_a_trial_that_has_ended_is_said(command):
    def ask():
        return len(command.trials) and command.put(STOP_TRIAL, trial_id=command.trials["trial_id"][0])

    assert command.run(when=ask) == OK
    assert command.handled == [(STOP_TRIAL, "refused: it has ended already: completed")]
    assert "refused: it has ended already" in command.said
    assert command.trials["outcome"].to_list() == ["completed"] * 6
    assert command.left == []


def test_a_trial_that_the_sweep_does_not_have_is_said(command):
    assert command.run(people={3: lambda: command.put(STOP_TRIAL, trial_id="0123456789abcdef")}) == OK
    assert command.handled == [(STOP_TRIAL, "refused: the sweep has no such trial")]


def test_what_others_continue_from_is_not_stopped(results):
    command = Command(results, FIRST_PHASE)

    def ask():
        plan = read(results, "plan")
        command.put(STOP_TRIAL, trial_id=plan.filter(pl.col("question") == "first phase")["trial_id"][0])

    assert command.run(people={1: ask}) == OK
    assert command.handled == [(STOP_TRIAL, "refused: other trials continue from its weights")]
    assert set(command.trials["outcome"]) == {"completed"}


def test_one_that_waits_for_its_first_phase_is_dropped(results):
    command = Command(results, FIRST_PHASE)
    assert command.run(people={1: command.stop_waiting}) == OK
    assert sorted(command.trials["outcome"]) == ["completed"] * 3 + ["stopped"]
    assert command.plan().finished


@pytest.mark.parametrize("fault", ["lose slot", "kill child"])
def test_one_that_loses_its_process_meanwhile_is_not_run_again(command, fault):
    """It is asked for at event 5; the driver hears of it after event 7, and its process is lost at event 8."""
    command.flags = ("--retries", "3")
    assert command.run(people={5: command.stop_running}, faults={8: (fault, 0)}) == OK
    stopped = command.trials.filter(pl.col("reason") == REASON)["trial_id"].to_list()
    ends = command.trials.filter(pl.col("trial_id").is_in(stopped))
    assert ends["outcome"].to_list() == ["failed", "stopped"]
    assert "stopped on request, when it had failed" in command.said
    assert command.plan().finished


def test_a_stop_holds_for_the_sweep_in_which_it_was_asked_for(command):
    command.run(when=command.stop_running)
    other = Command(command.results, replace(ARMS, name="other"))
    (trial,) = [each.trial for each in other.plan().to_run]
    assert trial.trial_id == command.trials.filter(pl.col("outcome") == "stopped")["trial_id"][0]
    assert command.plan().finished


@pytest.mark.parametrize("event", range(1, 30, 3))
@pytest.mark.parametrize("place", ["running", "waiting"])
def test_a_screening_comes_to_the_same_decisions_when_it_is_replayed(results, event, place):
    """Whatever is stopped when: the same command has nothing to do, and asks for the trials that were recorded."""
    command = Command(results, ARMS, *ASHA)

    ask = {"running": command.stop_running, "waiting": command.stop_waiting}[place]
    assert command.run(people={event: ask}) == OK
    plan = command.plan()
    assert plan.finished
    assert not plan.due_ends
    assert {t.trial_id for t in plan.trials} == set(read(results, "plan")["trial_id"])
    recorded = read(results, "epochs").filter(pl.col("rung").is_not_null())
    replayed = {t: {e: d for e, d in epochs.items() if d.rung} for t, epochs in plan.asha._replayed.items()}
    for row in recorded.to_dicts():
        decision = replayed[row["trial_id"]][row["epoch"]]
        assert (decision.action, decision.rung, decision.cutoff) == (row["decision"], row["rung"], row["cutoff"])
    for trial_id, reason in command.trials.filter(pl.col("outcome") == "stopped").select("trial_id", "reason").rows():
        assert plan.endings[trial_id].requested == (reason == REASON)


# Stop the sweep


def test_no_other_trial_starts_and_the_same_command_goes_on(command):
    assert command.run(people={6: lambda: command.put(STOP_SWEEP)}) == UNFINISHED
    assert set(command.trials["outcome"]) == {"completed"}
    assert 1 <= command.trials.height < 6
    assert read(command.results, "epochs")["trial_id"].n_unique() == command.trials.height  # none was broken off
    end = read(command.results, "runs").filter(pl.col("event") == "end").row(0, named=True)
    assert end["outcome"] == REASON
    assert command.handled == [(STOP_SWEEP, "no other trial starts")]
    assert "stopped on request, after the running trials; every finished epoch is kept. To continue" in command.said
    (summary,) = summaries(command.results)
    assert summary.last_outcome == REASON
    assert command.run() == OK
    assert command.trials["outcome"].to_list() == ["completed"] * 6


def test_a_sweep_whose_last_trial_runs_has_nothing_to_stop(command):
    def ask():
        return command.trials.height == 5 and command.put(STOP_SWEEP)

    assert command.run(when=ask) == OK
    assert command.handled == [(STOP_SWEEP, "no other trial starts")]
    assert read(command.results, "runs").filter(pl.col("event") == "end")["outcome"].to_list() == ["ended"]
    assert command.trials["outcome"].to_list() == ["completed"] * 6


def test_a_failed_trial_waits_for_the_next_command(command):
    command.flags = ("--retries", "3")
    people = {2: lambda: command.put(STOP_SWEEP)}
    assert command.run(people=people, faults={8: ("lose slot", 0)}) == UNFINISHED
    assert command.trials["outcome"].to_list() == ["failed"]
    assert "tried again" not in command.said
    assert command.run() == OK


def test_a_search_that_is_stopped_draws_no_other_candidate(results):
    command = Command(results, SEARCH, "--trials", "3")
    assert command.run(people={6: lambda: command.put(STOP_SWEEP)}) == UNFINISHED
    recorded = read(results, "plan").filter(pl.col("question") == "tuning").height
    assert recorded < 3
    assert command.run() == OK
    assert read(results, "plan").filter(pl.col("question") == "tuning")["trial_id"].n_unique() >= 3


# More seeds


def test_more_seeds_are_a_later_look_with_the_command_that_asks_for_them(command, tmp_path):
    assert command.run("--seeds", "1", people={6: lambda: command.put(ADD_SEEDS, seeds=2)}) == OK
    assert command.handled == [(ADD_SEEDS, "when the present trials have ended, it goes on to 3 seeds")]
    runs = read(command.results, "runs")
    assert runs.filter(pl.col("event") == "end")["outcome"].to_list() == ["ended", "ended"]
    starts = runs.filter(pl.col("event") == "start")
    assert starts["command"].to_list() == ["sweeps/made_up.py --seeds 1", "sweeps/made_up.py --seeds 3"]
    assert [json.loads(text)["seeds"] for text in starts["options_json"]] == [1, 3]
    assert starts["run"].n_unique() == 2
    assert look_of(read(command.results, "plan")) == 2
    assert command.plan("--seeds", "3").finished
    direct = Command(tmp_path / "direct")
    direct.run("--seeds", "3")
    columns = ("trial_id", "outcome", "epochs", "last_val_accuracy")
    assert {*command.trials.select(columns).iter_rows()} == {*direct.trials.select(columns).iter_rows()}


def test_each_run_of_a_job_has_its_own_id(command, monkeypatch):
    monkeypatch.setenv(JOB, "layersweep-made_up-1")
    assert command.run("--seeds", "1", people={6: lambda: command.put(ADD_SEEDS, seeds=1)}) == OK
    starts = read(command.results, "runs").filter(pl.col("event") == "start")
    assert starts["run"].to_list() == ["layersweep-made_up-1", "layersweep-made_up-1.2"]


def test_seeds_that_are_asked_for_twice_add_up_also_in_the_second_run(command):
    def ask():
        seeds = read(command.results, "plan")["seed"].max()
        if len(command.handled) < 3 and not command.left and seeds == (1 if len(command.handled) < 2 else 3):
            command.put(ADD_SEEDS, seeds=1)

    assert command.run("--seeds=1", people=dict.fromkeys(range(300), ask)) == OK
    starts = read(command.results, "runs").filter(pl.col("event") == "start")
    assert [json.loads(text)["seeds"] for text in starts["options_json"]] == [1, 3, 4]
    assert starts["command"][-1] == "sweeps/made_up.py --seeds 4"


@pytest.mark.parametrize("event", range(34, 39))
def test_seeds_asked_for_at_the_very_end_count(command, event):
    """Three trials take 39 events."""
    assert command.run("--seeds", "1", people={event: lambda: command.put(ADD_SEEDS, seeds=1)}) == OK
    assert command.trials.height == 6


def test_a_search_compares_its_best_candidate_on_more_seeds(results):
    command = Command(results, SEARCH, "--trials", "2")
    assert command.run(people={4: lambda: command.put(ADD_SEEDS, seeds=1)}) == OK
    plan = read(results, "plan")
    tuned = plan.filter(pl.col("question") == "comparison", pl.col("candidate").is_not_null())
    assert set(tuned["seed"]) == {1, 2}
    assert tuned["config_json"].n_unique() == 1
    assert plan.filter(pl.col("question") == "tuning")["trial_id"].n_unique() == 2


def test_folds_get_no_more_seeds(command):
    asked = PersonRequests(replace(command.request().settings, folds=5), "made_up")
    outcomes = []
    asked.record = lambda _request, outcome: outcomes.append(outcome)
    command.put(ADD_SEEDS, seeds=1)
    asked.honour(SimpleNamespace(display=SimpleNamespace(warn=None, say=lambda _line, style: None)))
    assert outcomes == ["refused: its arms are compared on folds, so more seeds would not add to them"]
    assert asked.more_seeds == 0


def test_a_sweep_that_is_to_stop_gets_no_more_seeds_but_says_how_to_go_on_with_those_before(command):
    people = {
        3: lambda: command.put(ADD_SEEDS, seeds=1),
        7: lambda: (command.put(STOP_SWEEP), command.put(ADD_SEEDS, seeds=5)),
    }
    assert command.run(people=people) == UNFINISHED
    assert command.handled[1:] == [
        (STOP_SWEEP, "no other trial starts"), (ADD_SEEDS, "refused: the sweep ends after its running trials"),
    ]  # fmt: skip
    assert command.said.rstrip().endswith("--seeds 3")


def test_a_command_that_is_interrupted_says_how_to_go_on_with_more_seeds(command):
    assert command.run(people={3: lambda: command.put(ADD_SEEDS, seeds=1)}, faults={9: ("interrupt", 0)}) is None
    assert command.said.rstrip().endswith("--seeds 3")


# Files


def test_requests_from_before_the_command_are_discarded(command):
    command.put(STOP_SWEEP)
    assert command.run() == OK
    assert "discarded a request that is older than this command: stop after the running trials" in command.said
    assert command.left == command.handled == []


def test_a_bad_file_breaks_nothing(command):
    def scribble():
        folder = requests.folder_of(command.results, "made_up")
        folder.mkdir(parents=True)
        (folder / "x.json").write_text("{")

    assert command.run(people={3: scribble}) == OK
    assert "x.json' is no valid request" in command.said
    assert command.left == []


def test_a_request_is_removed_only_once_it_is_recorded(command, monkeypatch):
    """A driver that is killed before it has written leaves the file; one that cannot remove it honours it once."""
    flushed = []

    def refuse(_results, request):
        flushed.append((request.id, [*command.handled]))
        raise ResultsError("read-only")

    monkeypatch.setattr(requests, "remove", refuse)
    assert command.run("--seeds", "1", people={3: lambda: command.put(ADD_SEEDS, seeds=1)}) == OK
    (request,) = command.left
    assert flushed == [(request.id, [(ADD_SEEDS, "when the present trials have ended, it goes on to 2 seeds")])]
    assert read(command.results, "runs").filter(pl.col("event") == "start").height == 2


@pytest.mark.parametrize("event", range(6, 16))
def test_a_kill_loses_no_more_than_the_request(command, event):
    assert command.run(when=command.stop_running, faults={event: ("kill", 0)}) is None
    assert command.run() == OK
    assert command.plan().finished
    completed = command.trials.filter(pl.col("outcome") == "completed")["trial_id"].n_unique()
    stopped = command.trials.filter(pl.col("reason") == REASON)["trial_id"].n_unique()
    assert (completed, stopped) in ((6, 0), (5, 1))


# Searches


def test_a_stopped_candidate_leaves_room_for_another_and_is_told_apart(results):
    command = Command(results, SEARCH, "--trials", "2", "--scheduler", "none")

    def ask():
        plan = read(results, "plan").filter(pl.col("question") == "tuning")
        ended = set(command.trials["trial_id"])
        running = [t for t in plan["trial_id"] if t in read(results, "epochs")["trial_id"] and t not in ended]
        return bool(running) and command.put(STOP_TRIAL, trial_id=running[0])

    assert command.run(when=ask) == OK
    tuning = command.trials.filter(pl.col("question") == "tuning")
    assert tuning.filter(pl.col("reason") == REASON).height == 1
    (search,) = searches(command.comparison(), results)
    assert "1 stopped on request" in search.outcomes
    assert "out of time" not in search.outcomes
    assert command.plan().finished

"""The records are the only state: whatever happened on the way, they equal those of one undisturbed run.

Commands are run, killed, extended and run again on made-up trainings, through the real planner, run, callback,
scheduler, searcher and slots; only Tune's loop and the child process are stood in for (`made_up_tune`).
"""

import functools
import os
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import made_up
import made_up_tune
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, currently_in_test_context, given, note, settings
from hypothesis import strategies as st
from made_up_tune import Chance, Machine

from layersweep import Sweep
from layersweep.records.questions import COMPARISON, FIRST_PHASE
from layersweep.records.read import read
from layersweep.records.tables import TABLES
from layersweep.tuning.command.sweep_command import plan_of
from layersweep.tuning.driver.early_stopping import Asha
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.asha_settings import Decision
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import Settings
from layersweep.tuning.experiment.tuned_arms import tuned_arms
from layersweep.tuning.storage.recorded_attempt import METRICS
from search_spaces.ranges import Range

SWEEP = Sweep(
    name="made_up",
    train=made_up.train,
    spaces=[{"quality": [0.2]}],
    warm_up=made_up.WARM_UP,
    tuned=[{"batch_size": [32], "quality": Range(0.1, 0.9)}, {"batch_size": [64], "quality": Range(0.1, 0.9)}],
)
ARMS = [
    Arm(name=f"arm {number}", config=made_up.Config(**config))
    for number, config in enumerate([
        {"quality": 0.5}, {"quality": 0.2}, {"quality": 0.8}, {"quality": 0.3, "misdeed": "nan"},
        {"quality": 0.4, "misdeed": "raise"}, {"quality": 0.7}, {"quality": 0.2, "misdeed": "chance", "batch_size": 1},
        {"quality": 0.6, "misdeed": "at once"},
        {"quality": 0.45, "before": 2}, {"quality": 0.75, "before": 2},
        {"quality": 0.5, "before": 1, "misdeed": "raise"},
    ])
]  # fmt: skip
OURS = {"sweep", "run", "attempt", "continuation", "at", "sequence", "decision", "rung", "cutoff"}
"""Columns that tell of the way, not of the result."""


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What a command line says."""

    epochs: int = 3
    seeds: int = 1
    arms: tuple[int, ...] = (0, 1, 2)
    scheduler: str = "none"
    grace: int = 1
    reduction: float = 2.0
    search: str = "grid"
    candidates: int = 2
    slots: int = 2
    retries: int = 1
    checkpoint_every: float = 0.0

    @property
    def halved(self):
        """Whether ASHA judges anything."""
        return self.scheduler == "asha" or self.search != "grid"

    def settings(self, results):
        return Settings(
            epochs=self.epochs, seeds=self.seeds, images=None, grace=min(self.grace, self.epochs),
            reduction=self.reduction, scheduler=self.scheduler, search=self.search, candidates=self.candidates,
            slots=self.slots, retries=self.retries, trial_timeout=None, time_budget=None, fail_fast=0,
            keep_hopeless=False, checkpoint_every=self.checkpoint_every, keep_weights="none", lite=False,
            precision="float32", dataset="none", data=None, strict=False, folds=0, results=results, dry_run=False,
        )  # fmt: skip

    def request(self, results):
        tuned = [] if self.search == "grid" else tuned_arms(SWEEP, {})
        arms = [ARMS[n] for n in self.arms]
        return Request(sweep=SWEEP, settings=self.settings(results), arms=arms, tuned_arms=tuned)


@dataclass(frozen=True, kw_only=True)
class Command:
    """One start of the program, what it asks for more than the last, and what happens to it."""

    more: tuple[tuple[str, int], ...] = ()
    order: tuple[int, ...] = ()
    faults: tuple[tuple[int, str, int], ...] = ()
    torn: int | None = None
    hardware: int = 0


def run(results, flags, step=Command()):
    machine = Machine(chance=Chance(step.order), faults={at: (kind, n) for at, kind, n in step.faults})
    data = made_up.data(Path("/nowhere"), train_images=600)
    with made_up_tune.hardware(step.hardware):
        failed = made_up_tune.run(flags.request(results), data, machine)
    if step.torn is not None:
        made_up_tune.tear(results / ".state" / "checkpoints", step.torn)
    return failed


def plan(results, flags):
    return plan_of(flags.request(results), made_up.data(Path("/nowhere"), train_images=600))


def tables(results):
    return {name: read(results, name) for name in TABLES}


@functools.cache
def undisturbed(flags):
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), flags)
        return tables(Path(folder))


def wider(flags, more):
    for name, by in more:
        if name == "arms":
            flags = replace(flags, arms=(*flags.arms, *[n for n in [by % len(ARMS)] if n not in flags.arms]))
        elif name in ("grace", "reduction"):
            flags = replace(flags, **{name: by if name == "grace" else (1.5, 2.0, 3.0, 4.0)[by % 4]})
        else:
            flags = replace(flags, **{name: getattr(flags, name) + by})
    return flags


# What must hold


def rows(frame, without=frozenset()):
    """The rows as a multiset; floats as they are written, so that NaN equals NaN."""
    return Counter(map(str, frame.drop([c for c in frame.columns if c in without]).rows()))


def last_ends(trials):
    return trials.sort("attempt", "continuation").unique("trial_id", keep="last", maintain_order=True).sort("trial_id")


def assert_durable(before, after):
    """What was recorded once is there for good, and as it was."""
    for name, old in before.items():
        gone = rows(old) - rows(after[name].select(old.columns))
        assert not gone, f"{name} lost {gone}"


def assert_sound(found):
    """What holds at any time, also after a kill."""
    for name, table in TABLES.items():
        key = [*table.key]
        assert not found[name].select(key).is_duplicated().any(), f"{name} has a key twice"
    assert not found["epochs"]["sequence"].is_duplicated().any()
    planned = set(found["plan"]["trial_id"])
    for name in ("epochs", "layers", "tests", "classes", "trials"):
        assert set(found[name]["trial_id"]) <= planned, f"{name} has trials that no plan names"


def assert_whole(found):
    """What holds once a command has ended in peace: each attempt from 1 on without a gap, tests of what completed."""
    for (trial_id, attempt), part in found["epochs"].group_by("trial_id", "attempt"):
        assert sorted(part["epoch"]) == [*range(1, len(part) + 1)], (trial_id, attempt)
    tested = set(found["tests"].select("trial_id", "attempt", "epoch").rows())
    measured = set(found["layers"].select("trial_id", "attempt", "epoch").rows())
    for end in last_ends(found["trials"]).to_dicts():
        ids = end["trial_id"], end["attempt"]
        curve = found["epochs"].filter(pl.col("trial_id") == ids[0], pl.col("attempt") == ids[1])
        assert len(curve) >= end["epochs"], end
        if end["outcome"] == "completed":
            assert end["epochs"] == end["epochs_asked"]
            assert (*ids, end["epochs"]) in tested
        for epoch in range(1, end["epochs"] + 1):
            assert (*ids, epoch) in measured, f"{ids} was not measured at epoch {epoch}"


def assert_ended(found, flags, step):
    """A command that was not interrupted leaves no trial without an end, and tries again what lost its process."""
    run = found["runs"].sort("at")["run"][-1]
    asked = set(found["plan"].filter(pl.col("run") == run)["trial_id"])
    ends = last_ends(found["trials"])
    assert asked <= set(ends["trial_id"]), "trials that were asked for did not end"
    if sum(kind in ("kill child", "lose slot") for _, kind, _ in step.faults) <= flags.retries:
        lost = ends.filter(pl.col("outcome") == "failed", pl.col("run") == run)["error_type"]
        assert not {"ProcessKilled", "SlotDied"} & set(lost), "there was a try left"


def assert_equal(found, expected, *, all_of_them):
    """Every metric of what is in both is the same; `all_of_them`: both hold the same trials, epochs and ends."""
    key = ["trial_id", "epoch"]
    assert not found["epochs"].select(key).is_duplicated().any(), "an epoch is there twice"
    both = found["epochs"].join(expected["epochs"], on=key, suffix="_expected", how="inner")
    for name in METRICS:
        assert both[name].eq_missing(both[f"{name}_expected"]).all(), name
    if not all_of_them:
        return
    assert len(both) == len(expected["epochs"]) == len(found["epochs"])
    for name in ("layers", "tests", "classes"):
        lost = rows(expected[name], OURS) - rows(found[name], OURS)
        assert not lost, f"{name} lacks {lost}"
    columns = [
        "trial_id", "arm", "question", "outcome", "epochs", "best_val_accuracy", "best_epoch",
        "last_loss", "last_accuracy", "last_val_loss", "last_val_accuracy", "error_type", "reason", "parameters",
    ]  # fmt: skip
    ours, theirs = (last_ends(t["trials"]).select(columns) for t in (found, expected))
    assert ours.rows() == theirs.rows() or str(ours.rows()) == str(theirs.rows()), (ours.rows(), theirs.rows())
    last = found["plan"].sort("run").filter(pl.col("run") == found["runs"].sort("at")["run"][-1])
    phases = set(expected["trials"].filter(pl.col("question") == FIRST_PHASE)["trial_id"])  # not asked for without need
    assert set(last["trial_id"]) - phases == set(expected["plan"]["trial_id"]) - phases


def assert_same_decisions(found, expected):
    """Where events came in the same order, the scheduler decided the same."""
    columns = ["trial_id", "epoch", "decision", "rung", "cutoff"]
    assert rows(found["epochs"].select(columns)) == rows(expected["epochs"].select(columns))
    columns = ["trial_id", "outcome", "epochs", "rung", "cutoff", "reason"]
    assert last_ends(found["trials"]).select(columns).rows() == last_ends(expected["trials"]).select(columns).rows()


def assert_replayable(results, flags):
    """A fresh scheduler, fed with what is recorded in its order, decides all of it again."""
    present = plan(results, flags)
    trials = [t for t in present.trials if t.question != COMPARISON]
    seen = present.history.epochs_in_order(t.trial_id for t in trials)
    replayed = Asha(present.asha_settings).replay(trials, seen)
    for epoch in seen:
        recorded = epoch.decision
        action = recorded.action if recorded.action in ("continue", "stop") else "continue"
        expected = Decision(action=action, rung=recorded.rung, cutoff=recorded.cutoff)
        assert replayed[epoch.trial_id][epoch.epoch] == expected, epoch


def assert_done(results, flags, found):
    """The same command once more trains nothing, but what fails each time."""
    failing = "failed" in last_ends(found["trials"])["outcome"].to_list()
    assert failing or plan(results, flags).finished
    run(results, flags)
    after = tables(results)
    assert_durable(found, after)
    assert len(after["epochs"]) == len(found["epochs"])
    ends = last_ends(found["trials"]).select("trial_id", "outcome", "epochs", "rung", "cutoff").rows()
    assert last_ends(after["trials"]).select("trial_id", "outcome", "epochs", "rung", "cutoff").rows() == ends
    if not failing:
        assert len(after["trials"]) == len(found["trials"])


def say(words):
    if currently_in_test_context():
        note(words)


def follow(results, flags, commands, *, last=Command()):
    """Runs the commands, then a last one in peace with the final flags, which are returned."""
    before = {}
    for step in [*commands, last]:
        flags = wider(flags, step.more)
        failed = run(results, flags, step)
        after = tables(results)
        say(f"{flags}\n  {step}: {failed} failed, {len(after['epochs'])} epochs, {len(after['trials'])} ends")
        assert_durable(before, after)
        assert_sound(after)
        if failed is not None:
            assert_ended(after, flags, step)
        before = after
    assert_whole(after)
    return flags, after


# The sequences


faults = st.tuples(st.integers(0, 40), st.sampled_from(made_up_tune.FAULTS), st.integers(0, 60))
steps = st.builds(
    Command,
    more=st.just(()),
    order=st.lists(st.integers(0, 11), max_size=60).map(tuple),
    faults=st.lists(faults, max_size=4, unique_by=lambda f: f[0]).map(tuple),
    torn=st.none() | st.integers(0, 3),
)
extensions = st.lists(
    st.tuples(st.sampled_from(["epochs", "seeds", "arms", "candidates"]), st.integers(1, 2)), max_size=2
).map(tuple)
orders = st.builds(Command, order=st.lists(st.integers(0, 11), max_size=60).map(tuple))
flags = st.builds(
    Flags,
    epochs=st.integers(1, 4),
    seeds=st.integers(1, 2),
    arms=st.lists(st.integers(0, len(ARMS) - 1), min_size=1, max_size=4, unique=True).map(tuple),
    slots=st.integers(1, 3),
    retries=st.integers(0, 2),
    checkpoint_every=st.sampled_from([0.0, 1.0, float("inf")]),
)
halving = {"scheduler": st.sampled_from(["asha", "asha", "auto"]), "search": st.sampled_from(["grid", "random"])}
halved = flags.flatmap(
    lambda f: st.builds(
        functools.partial(replace, f),
        reduction=st.sampled_from([1.5, 2.0, 3.0]),
        epochs=st.integers(2, 6),
        candidates=st.integers(1, 3),
        **halving,
    )
)


def examples(number):
    """So many; `MORE_EXAMPLES=50` tries 50 times as many others, and leaves what fails as it is found.

    All of them: `MORE_EXAMPLES=50 uv run pytest -n 0 --timeout 0 -m "slow or not slow" <this file>`.
    """
    more = int(os.environ.get("MORE_EXAMPLES", "0"))
    return settings(
        max_examples=number * more or number,
        deadline=None,
        derandomize=not more,
        phases=[Phase.generate] if more else [Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )


def extended(step, by=extensions):
    return by.map(lambda more: replace(step, more=more))


@pytest.mark.slow
@examples(25)
@given(flags, st.lists(steps.flatmap(extended), max_size=3), orders.flatmap(extended))
def test_without_a_scheduler_the_records_are_those_of_an_undisturbed_run(flags, commands, last):
    with tempfile.TemporaryDirectory() as folder:
        flags, found = follow(Path(folder), flags, commands, last=last)
        assert_equal(found, undisturbed(flags), all_of_them=True)
        assert_done(Path(folder), flags, found)


@pytest.mark.slow
@examples(15)
@given(halved, st.lists(steps, max_size=3), orders)
def test_under_asha_what_is_decided_can_be_replayed(flags, commands, last):
    with tempfile.TemporaryDirectory() as folder:
        flags, found = follow(Path(folder), flags, commands, last=last)
        assert_equal(found, undisturbed(flags), all_of_them=False)
        assert_replayable(Path(folder), flags)
        assert_done(Path(folder), flags, found)


@examples(10)
@given(halved, st.lists(steps, max_size=3))
def test_with_one_slot_a_killed_run_decides_as_an_undisturbed_one(flags, commands):
    kills = [replace(c, faults=tuple(f for f in c.faults if f[1] not in ("kill child", "lose slot"))) for c in commands]
    with tempfile.TemporaryDirectory() as folder:
        flags, found = follow(Path(folder), replace(flags, slots=1), kills)
        assert_equal(found, undisturbed(flags), all_of_them=True)
        assert_same_decisions(found, undisturbed(flags))


@examples(15)
@given(halved)
def test_epochs_that_come_together_are_recorded_as_if_each_had_come_by_itself(flags):
    flags = replace(flags, slots=1, checkpoint_every=float("inf"))
    ways = ["at", "started_at", "ended_at", "run", "log", "traceback"]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("layersweep.tuning.worker.worker_actor.TOGETHER_SECONDS", -1.0)
        run(Path(folder), flags)
        alone = {name: rows(frame, ways) for name, frame in tables(Path(folder)).items() if name != "runs"}
    together = {name: rows(frame, ways) for name, frame in undisturbed(flags).items() if name != "runs"}
    assert together == alone


changes = st.lists(
    st.tuples(st.sampled_from(["epochs", "seeds", "arms", "candidates", "grace", "reduction"]), st.integers(1, 3)),
    max_size=2,
).map(tuple)


@pytest.mark.slow
@examples(15)
@given(
    halved,
    st.lists(steps.flatmap(functools.partial(extended, by=changes)), max_size=3),
    orders.flatmap(functools.partial(extended, by=changes)),
)
def test_under_asha_flags_may_change_and_stopped_trials_are_reopened(flags, commands, last):
    with tempfile.TemporaryDirectory() as folder:
        flags, found = follow(Path(folder), flags, commands, last=last)
        assert_equal(found, undisturbed(flags), all_of_them=False)
        assert_done(Path(folder), flags, found)


@examples(15)
@given(
    st.one_of(flags, halved),
    st.lists(
        steps.flatmap(extended).flatmap(lambda s: st.integers(0, 1).map(lambda h: replace(s, hardware=h))), max_size=3
    ),
    orders.flatmap(extended),
)
def test_on_other_hardware_an_attempt_is_kept_whole(flags, commands, last):
    with tempfile.TemporaryDirectory() as folder:
        follow(Path(folder), flags, commands, last=last)


def test_with_one_slot_children_of_a_recorded_first_phase_keep_their_place():
    """Found by `MORE_EXAMPLES=50`: a child overtook arms that an undisturbed run trains before it."""
    flags = Flags(epochs=5, arms=(8, 10, 6), scheduler="asha", reduction=1.5, slots=1, checkpoint_every=1.0)
    killed = Command(order=(4, 7, 0), faults=((8, "kill", 37), (6, "crash", 6), (27, "crash", 44)), torn=1)
    with tempfile.TemporaryDirectory() as folder:
        flags, found = follow(Path(folder), flags, [killed])
        assert_equal(found, undisturbed(flags), all_of_them=True)
        assert_same_decisions(found, undisturbed(flags))

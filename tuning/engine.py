"""Starts Ray, runs a plan through Tune, and stops cleanly when asked to."""

import gc
import logging
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from records.questions import COMPARISON, FIRST_PHASE
from records.write import Writer
from tuning import checkpoints, environment, metrics, weights
from tuning.display import Display
from tuning.errors import BrokenOffError, UsageError
from tuning.journal import Journal
from tuning.machine import default_slots
from tuning.plan import Plan, count
from tuning.ray_watch import RayWatch, cluster_alive, knock, local_ray_alive
from tuning.sweep import Sweep, Trial

if TYPE_CHECKING:
    from tuning.recorder import Recorder
    from tuning.scheduler import Scheduler
    from tuning.searcher import PlanSearcher

_OBJECT_STORE_BYTES: Final = 100 << 20
"""Trials speak through pipes and small results: a local Ray need not reserve a third of the memory."""
RAY_IS_GONE: Final = "Ray has died (killed, or out of memory); every finished epoch is kept; the same command goes on"


@dataclass(frozen=True, kw_only=True)
class Where:
    """The machine or cluster that a sweep runs on.

    Attributes:
        description: for people.
        slots: how many trials run at once.
        slots_on_a_machine: those that share a machine's memory.
        hosts: the names of its machines.
        alive: whether its Ray is still there.
    """

    description: str
    slots: int
    slots_on_a_machine: int
    hosts: tuple[str, ...]
    alive: Callable[[], bool] = lambda: True


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How trials are run.

    Attributes:
        checkpoint_every: seconds of training between two checkpoints of a trial.
        timeout: seconds after which a trial is killed; None for never.
        keep_hopeless: whether trials that diverged or are at chance run on.
        fail_fast: so many trials that end first, all of one error, end the sweep; 0 for never.
        time_budget: seconds after which the sweep ends; None for never.
        fork_server: the socket of a fork server on this machine.
        keep_weights: of which epoch each trial's weights are kept: none, best or last.
        lite: whether compared networks are converted by LiteRT at the end.
    """

    checkpoint_every: float = 60.0
    timeout: float | None = None
    keep_hopeless: bool = False
    fail_fast: int = 0
    time_budget: float | None = None
    fork_server: Path | None = None
    keep_weights: str = "none"
    lite: bool = False


@contextmanager
def ray_started(slots: int | None) -> Iterator[Where]:
    """A local Ray of that many slots, or the cluster that RAY_ADDRESS names; ended, or left, at the end.

    Raises:
        UsageError: if the cluster cannot be reached.
        BrokenOffError: if Ray did not start, or was not joined, in its time.
    """
    environment.settle()
    import ray

    address = os.environ.get("RAY_ADDRESS")
    if address:
        _reach(address)
    local: dict[str, Any] = {
        "address": "local",
        "num_cpus": slots or default_slots(),
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    try:
        _init(ray, {"address": address} if address else local)
        yield _where(ray, address, slots)
    finally:
        gc.collect()  # a reference that another thread frees while Ray shuts down ends this process, with code 1
        ray.shutdown()


def _init(ray: Any, options: Mapping[str, Any]) -> None:
    """Starts or joins Ray, which on a busy machine may give up waiting for its own processes.

    Raises:
        BrokenOffError: whatever Ray raised; it has no type for this.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's advice about defaults of later versions
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise BrokenOffError(
                f"Ray did not start ({said}); is the machine too busy, or its memory or /tmp full? Nothing is lost: "
                "the same command tries again"
            ) from error


def _reach(address: str) -> None:
    """Knocks at a cluster's door first: where nobody answers, Ray ends this process without a word to catch."""
    try:
        knock(address)
    except OSError as error:
        raise UsageError(f"RAY_ADDRESS={address} does not answer ({error}): unset it to run on this machine") from error


def _where(ray: Any, address: str | None, asked: int | None) -> Where:
    nodes = [n for n in ray.nodes() if n["Alive"]]
    on_each = [int(n["Resources"].get("CPU", 0)) for n in nodes]
    hosts = tuple(sorted(n["NodeManagerHostname"] for n in nodes))
    description = f"the cluster at {address} ({len(nodes)} nodes)" if address else "this machine"
    slots = min(asked or sum(on_each), sum(on_each))
    return Where(
        description=description,
        slots=slots,
        slots_on_a_machine=min(max(on_each), slots),
        hosts=hosts,
        alive=cluster_alive(address) if address else local_ray_alive(),
    )


def run(
    sweep: Sweep,
    plan: Plan,
    *,
    scheduler: "Scheduler",
    journal: Journal,
    writer: Writer,
    display: Display,
    results: Path,
    where: Where,
    conditions: Conditions,
) -> None:
    """Runs every trial of the plan, and those that it adds, to the end. Needs `ray_started`.

    Raises:
        KeyboardInterrupt: after SIGINT or SIGTERM, between two events: every finished epoch is with the writer.
        BudgetSpentError: when the time budget is spent, in the same way.
        BrokenOffError: when the first trials all failed of one error, or Ray has died or ended early.
        ResultsError: when the rows cannot be written.
    """
    from tuning.recorder import Limits, Recorder
    from tuning.searcher import PlanSearcher
    from tuning.slot import Ticket

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are rows and lines of ours
    budget = conditions.time_budget
    recorder = Recorder(
        journal=journal,
        writer=writer,
        plan=plan,
        scheduler=scheduler,
        display=display,
        limits=Limits(fail_fast=conditions.fail_fast, deadline=None if budget is None else time.monotonic() + budget),
        clock=time.monotonic,
        metrics=metrics.served(sweep=sweep.name, metric=sweep.metric, slots=where.slots),
    )
    folder = checkpoints.below(results)
    named, parents = weights.wanted(results, sweep.name)

    def ticket(trial: Trial) -> Ticket:
        start = _start(folder, trial, journal, display)
        return Ticket(
            trial=trial,
            train=sweep.train_of(sweep.family_of(trial.arm)),
            warm_up=sweep.warm_up,
            fork_server=conditions.fork_server,
            log=results / "logs" / f"{trial.trial_id}.log",
            slots=where.slots_on_a_machine,
            checkpoints=folder,
            checkpoint_every=conditions.checkpoint_every,
            start=start.path if start else None,
            start_epoch=start.epoch if start else 0,
            timeout=conditions.timeout,
            keep_hopeless=conditions.keep_hopeless,
            rungs=scheduler.rungs(trial),
            parent=weights.file(results, trial.parent.trial_id, trial.parent.epochs) if trial.parent else None,
            located=weights.located(trial.arm.stated, results),
            keep=_keep(trial, conditions),
            lite=conditions.lite and trial.question == COMPARISON,
            results=results,
            metric=sweep.metric,
            mode=sweep.mode,
            named=named,
            best=journal.past(trial.trial_id).at(next(weights.kept(results, trial.trial_id), None), sweep.metric),
        )

    searcher = PlanSearcher(plan, ticket, metric=sweep.metric, mode=sweep.mode)
    with _stopping(recorder):
        try:
            _tune(sweep.name, searcher, scheduler, recorder, where)
        finally:
            recorder.measure(over=True)
            recorder.flush()
    if conditions.keep_weights == "none" and plan.finished:
        for trial in plan.trials:
            if trial.question == FIRST_PHASE and trial.trial_id not in parents:
                weights.delete(results, trial.trial_id, but=[*weights.wanted(results, sweep.name)[0]])
    if not plan.finished:
        left = len({t.trial_id for t in plan.trials} - set(plan.endings))
        raise BrokenOffError(f"Ray Tune ended with {count(left, 'trial')} unfinished; the same command goes on")


def _keep(trial: Trial, conditions: Conditions) -> str:
    """Of which epoch a trial's weights are kept."""
    if trial.question == FIRST_PHASE:
        return "last"
    return conditions.keep_weights if trial.question == COMPARISON else "none"


def _tune(name: str, searcher: "PlanSearcher", scheduler: "Scheduler", recorder: "Recorder", where: Where) -> None:
    """Lets Tune run all that the searcher suggests."""
    from ray import tune

    from tuning.slot import Slot

    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(where.slots)  # else Tune starts its actors one after another
    with tempfile.TemporaryDirectory(prefix="layersweep-tune-") as storage:
        tuner = tune.Tuner(
            tune.with_resources(Slot, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                max_concurrent_trials=where.slots,
                search_alg=searcher,
                scheduler=scheduler,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=storage,
                callbacks=[recorder],
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                verbose=0,
            ),
        )
        watch = RayWatch(where.alive)
        try:
            with watch:
                tuner.fit()
        except KeyboardInterrupt:
            if watch.gone:
                raise BrokenOffError(RAY_IS_GONE) from None
            raise


def _start(folder: Path, trial: Trial, journal: Journal, display: Display) -> checkpoints.Checkpoint | None:
    """The checkpoint that a trial goes on from; what cannot be used is said and deleted."""
    recorded = journal.past(trial.trial_id).start(trial.epochs)
    start, problems = checkpoints.find(folder, trial.trial_id, recorded=recorded)
    for problem in problems:
        goes_on = f"it goes on after epoch {start.epoch}" if start else "it is trained again from epoch 1"
        display.warn(f"{trial.label}: the checkpoint {problem}; {goes_on}")
    checkpoints.delete(folder, trial.trial_id, but=[start.path] if start else ())
    return start


@contextmanager
def _stopping(recorder: Any) -> Iterator[None]:
    """While inside, the first SIGINT or SIGTERM asks the recorder to stop, the second interrupts at once."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        if recorder.stop_asked:
            raise KeyboardInterrupt
        recorder.stop_asked = True

    before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {
        number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

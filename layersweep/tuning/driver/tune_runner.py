"""Runs a plan through Ray Tune, and stops cleanly on Ctrl-C."""

import contextlib
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.formatting import count, first_line
from layersweep.records.questions import FIRST_PHASE
from layersweep.records.write import Writer
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.errors import BrokenOffError, StoppedOnRequestError
from layersweep.tuning.common.script_files import running_script
from layersweep.tuning.driver.person_requests import PersonRequests
from layersweep.tuning.driver.planner import SweepPlan
from layersweep.tuning.driver.progress import Display
from layersweep.tuning.driver.record_builder import RecordBuilder
from layersweep.tuning.runtime import metrics
from layersweep.tuning.runtime.ray_runtime import RayRuntime
from layersweep.tuning.runtime.ray_watch import RayWatch
from layersweep.tuning.runtime.stop_request import StopRequest, stopper
from layersweep.tuning.search.trial_queue import TrialQueue

if TYPE_CHECKING:
    from layersweep.tuning.driver.dispatcher import TrialDispatcher
    from layersweep.tuning.driver.tune_callback import TuneCallback
    from layersweep.tuning.driver.tune_scheduler import TuneScheduler
    from layersweep.tuning.driver.tune_searcher import TuneSearcher
    from layersweep.tuning.worker.file_transfer import DriverFiles

SLOT_RETRIES_ON_CLUSTERS: Final = 3
"""How often a trial on a cluster runs again when it loses its slot, perhaps with its node: that is normal there."""

RAY_HAS_DIED: Final = (
    "Ray has died (killed, or out of memory); every finished epoch is kept. To continue, run the same command"
)


@dataclass(frozen=True, kw_only=True)
class TuneRun:
    """A plan that is about to run, with all that takes part.

    Attributes:
        plan: what is to run.
        queue: the plan's queue.
        records: builds the rows.
        writer: writes them.
        display: shows how far the run is.
        where: where it runs.
        fork_server: the socket of the fork server that slots on this machine get their training processes from.
        folder: a private folder for the files of this command.
        requests: what people ask of the sweep while it runs.
        stop: a person's request to stop.
    """

    plan: SweepPlan
    queue: TrialQueue
    records: RecordBuilder
    writer: Writer
    display: Display
    where: RayRuntime
    fork_server: Path | None
    folder: Path
    requests: PersonRequests
    stop: StopRequest


@dataclass(frozen=True, kw_only=True)
class TuneParts:
    """What Ray Tune calls while it runs."""

    name: str
    searcher: "TuneSearcher"
    scheduler: "TuneScheduler"
    callback: "TuneCallback"


def run(tune_run: TuneRun) -> None:
    """Runs every trial of the plan, and those that it adds, to the end. Needs `started_ray`.

    Raises:
        KeyboardInterrupt: after SIGINT or SIGTERM, between two events: every finished epoch is with the writer.
        BudgetSpentError: when the time budget is spent, in the same way.
        StoppedOnRequestError: when a person let it end after its running trials, and others are left.
        BrokenOffError: when the first trials all failed of one error, or Ray has died or ended early.
        ResultsError: when the rows cannot be written.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are rows and lines of ours
    sweep, settings = tune_run.plan.request.sweep, tune_run.plan.request.settings
    deadline = None if settings.time_budget is None else time.monotonic() + settings.time_budget
    named_weights, parents_elsewhere = kept_weights.weights_in_use(settings.results, sweep.name)
    with _driver_files(tune_run) as driver_files:
        dispatcher = _dispatcher(tune_run, named_weights, driver_files)
        parts = _tune_parts(tune_run, dispatcher, deadline)
        try:
            with tune_run.stop.interruptible():
                fit(parts, tune_run)
            parts.callback.honour_requests()  # those since the last look
        finally:
            parts.callback.flush()
            parts.callback.measure(over=True)
            dispatcher.refresh_display()
    _check_finished(tune_run.queue)
    if settings.keep_weights == "none":
        _delete_first_phases(tune_run, parents_elsewhere)


@contextmanager
def _driver_files(tune_run: TuneRun) -> Iterator["DriverFiles | None"]:
    """Access to the driver's disk for slots on other machines; None if all slots are on this machine.

    Raises:
        UsageError: if the script cannot travel to the other machines.
    """
    if tune_run.where.nodes is None:
        yield None
        return
    from layersweep.tuning.worker.file_transfer import DriverFiles

    request = tune_run.plan.request
    files = DriverFiles(request.settings.results, request.sweep.name, script=running_script())
    with contextlib.closing(files) as driver_files:
        yield driver_files


def _dispatcher(
    tune_run: TuneRun, named_weights: frozenset[Path], driver_files: "DriverFiles | None"
) -> "TrialDispatcher":
    from layersweep.tuning.driver.dispatcher import TrialDispatcher

    return TrialDispatcher(
        request=tune_run.plan.request,
        asha=tune_run.plan.asha,
        queue=tune_run.queue,
        records=tune_run.records,
        display=tune_run.display,
        slots=tune_run.where.slots_on_a_machine,
        fork_server=tune_run.fork_server,
        named_weights=named_weights,
        driver_files=driver_files,
    )


def _tune_parts(tune_run: TuneRun, dispatcher: "TrialDispatcher", deadline: float | None) -> TuneParts:
    from layersweep.tuning.driver.fail_fast import FailFast
    from layersweep.tuning.driver.trial_events import TrialEvents
    from layersweep.tuning.driver.tune_callback import Surroundings, TuneCallback
    from layersweep.tuning.driver.tune_scheduler import TuneScheduler
    from layersweep.tuning.driver.tune_searcher import TuneSearcher

    sweep, where = tune_run.plan.request.sweep, tune_run.where
    events = TrialEvents(
        dispatcher,
        tune_run.writer,
        fail_fast=FailFast(tune_run.plan.request.settings.fail_fast),
        slots_lost=SLOT_RETRIES_ON_CLUSTERS if where.nodes else 0,
    )
    scheduler = TuneScheduler(tune_run.plan.asha, events)
    surroundings = Surroundings(
        clock=time.monotonic,
        deadline=deadline,
        stop=tune_run.stop,
        node_news=where.nodes.take_news if where.nodes else tuple,
        metrics=metrics.open_metrics(sweep=sweep.name, metric=sweep.metric, slots=lambda: where.slots_now),
        requests=tune_run.requests,
    )
    return TuneParts(
        name=sweep.name,
        searcher=TuneSearcher(dispatcher, slots=lambda: where.slots_now, metric=sweep.metric, mode=sweep.mode),
        scheduler=scheduler,
        callback=TuneCallback(events, scheduler, surroundings),
    )


def fit(parts: TuneParts, tune_run: TuneRun) -> None:
    """Lets Ray Tune run all that the searcher suggests; its own files are in a new folder below that of the command.

    Raises:
        BrokenOffError: if Ray has died, or Tune broke off.
    """
    from ray import tune

    from layersweep.tuning.worker.worker_actor import Slot

    with tempfile.TemporaryDirectory(prefix="tune-", dir=tune_run.folder) as storage:
        tuner = tune.Tuner(
            tune.with_resources(Slot, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=parts.searcher,
                scheduler=parts.scheduler,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name=parts.name,
                storage_path=storage,
                callbacks=[parts.callback],
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                verbose=0,
                progress_reporter=tune.CLIReporter(),  # silent; the one of notebooks clears the output of the cell
            ),
        )
        watch = RayWatch(tune_run.where.alive, stopper(tune_run.stop))
        try:
            with watch:
                tuner.fit()
        except KeyboardInterrupt:
            if watch.ray_has_died:
                raise BrokenOffError(RAY_HAS_DIED) from None
            raise
        except RuntimeError as error:  # Tune's answer to an error of Ray that it does not know
            raise BrokenOffError(
                f"Ray Tune broke off ({first_line(str(error.__cause__ or error))}); every finished epoch is kept. "
                "To continue, run the same command"
            ) from error


def _check_finished(queue: TrialQueue) -> None:
    if queue.closed and not queue.finished:
        raise StoppedOnRequestError
    if not queue.finished:
        unfinished = len({t.trial_id for t in queue.trials} - set(queue.endings))
        raise BrokenOffError(
            f"Ray Tune ended with {count(unfinished, 'trial')} unfinished. To continue, run the same command"
        )


def _delete_first_phases(tune_run: TuneRun, parents_elsewhere: frozenset[str]) -> None:
    """Deletes the weights that trials continued from, except those of trials that other sweeps name."""
    results, name = tune_run.plan.request.settings.results, tune_run.plan.request.sweep.name
    first_phases = [trial for trial in tune_run.queue.trials if trial.question == FIRST_PHASE]
    named_weights = (
        kept_weights.weights_in_use(results, name)[0] if first_phases else ()
    )  # another sweep may name more by now
    for trial in first_phases:
        if trial.trial_id not in parents_elsewhere:
            kept_weights.delete(results, trial.trial_id, but=[*named_weights])

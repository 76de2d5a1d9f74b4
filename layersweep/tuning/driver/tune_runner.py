"""Runs a plan through Tune, and stops cleanly when asked to."""

import contextlib
import logging
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from layersweep.records.questions import COMPARISON, FIRST_PHASE, TUNING
from layersweep.records.write import Writer
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.epoch_files import EpochFile
from layersweep.tuning.common.errors import BrokenOffError
from layersweep.tuning.driver.progress import Display
from layersweep.tuning.driver.record_builder import RecordBuilder
from layersweep.tuning.experiment.admission import SearchLimits
from layersweep.tuning.experiment.options import Settings
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.runtime import metrics
from layersweep.tuning.runtime.ray_runtime import Where
from layersweep.tuning.runtime.ray_watch import RayWatch
from layersweep.tuning.search.trial_queue import Plan
from layersweep.tuning.storage import checkpoints
from layersweep.words import count, first_line

if TYPE_CHECKING:
    from layersweep.tuning.driver.tune_callback import TuneCallback
    from layersweep.tuning.driver.tune_scheduler import TuneScheduler
    from layersweep.tuning.driver.tune_searcher import TuneSearcher

SLOTS_LOST: Final = 3
"""How often a trial on a cluster is tried again when it loses its slot, with its node perhaps: that is normal there."""


RAY_IS_GONE: Final = "Ray has died (killed, or out of memory); every finished epoch is kept; the same command goes on"


def run(
    sweep: Sweep,
    plan: Plan,
    *,
    settings: Settings,
    scheduler: "TuneScheduler",
    journal: RecordBuilder,
    writer: Writer,
    display: Display,
    where: Where,
    fork_server: Path | None,
) -> None:
    """Runs every trial of the plan, and those that it adds, to the end. Needs `ray_started`.

    Raises:
        KeyboardInterrupt: after SIGINT or SIGTERM, between two events: every finished epoch is with the writer.
        BudgetSpentError: when the time budget is spent, in the same way.
        BrokenOffError: when the first trials all failed of one error, or Ray has died or ended early.
        ResultsError: when the rows cannot be written.
    """
    from layersweep.tuning.driver.tune_callback import Limits, TuneCallback
    from layersweep.tuning.driver.tune_searcher import TuneSearcher
    from layersweep.tuning.worker.assignment import Assignment
    from layersweep.tuning.worker.file_transfer import DriverFiles

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are rows and lines of ours
    budget, results = settings.time_budget, settings.results
    recorder = TuneCallback(
        journal=journal,
        writer=writer,
        plan=plan,
        scheduler=scheduler,
        display=display,
        limits=Limits(
            fail_fast=settings.fail_fast,
            deadline=None if budget is None else time.monotonic() + budget,
            slots_lost=SLOTS_LOST if where.nodes else 0,
        ),
        clock=time.monotonic,
        news=where.nodes.take_news if where.nodes else tuple,
        metrics=metrics.served(sweep=sweep.name, metric=sweep.metric, slots=lambda: where.slots_now),
    )
    folder = checkpoints.below(results)
    named, parents = kept_weights.wanted(results, sweep.name)

    depot: DriverFiles | None = None

    def ticket(trial: Trial) -> Assignment:
        start = _start(folder, trial, journal, display)
        return Assignment(
            trial=trial,
            train=sweep.train_of(sweep.family_of(trial.arm)),
            warm_up=sweep.warm_up,
            fork_server=fork_server,
            log=results / "logs" / f"{trial.trial_id}.log",
            slots=where.slots_on_a_machine,
            checkpoints=folder,
            checkpoint_every=settings.checkpoint_every,
            start=start.path if start else None,
            start_epoch=start.epoch if start else 0,
            timeout=settings.trial_timeout,
            keep_hopeless=settings.keep_hopeless,
            rungs=scheduler.rungs(trial),
            parent=kept_weights.file(results, trial.parent.trial_id, trial.parent.epochs) if trial.parent else None,
            located=kept_weights.located(trial.arm.stated, results),
            keep=_keep(trial, settings),
            lite=settings.lite and trial.question == COMPARISON,
            limits=_limits(trial, plan, journal),
            depot=depot,
            results=results,
            metric=sweep.metric,
            mode=sweep.mode,
            named=named,
            best=journal.past(trial.trial_id).at(kept_weights.kept(results, trial.trial_id), sweep.metric),
        )

    searcher = TuneSearcher(plan, ticket, slots=lambda: where.slots_now, metric=sweep.metric, mode=sweep.mode)
    with _stopping(recorder), contextlib.ExitStack() as stack:
        if where.nodes is not None:
            depot = stack.enter_context(contextlib.closing(DriverFiles(results, sweep.name)))
        try:
            _tune(sweep.name, searcher, scheduler, recorder, where)
        finally:
            recorder.flush()
            recorder.measure(over=True)
    _check_finished(plan)
    if settings.keep_weights == "none":
        _delete_first_phases(plan, results, sweep.name, parents)


def _check_finished(plan: Plan) -> None:
    if not plan.finished:
        left = len({t.trial_id for t in plan.trials} - set(plan.endings))
        raise BrokenOffError(f"Ray Tune ended with {count(left, 'trial')} unfinished; the same command goes on")


def _delete_first_phases(plan: Plan, results: Path, sweep: str, parents: frozenset[str]) -> None:
    """Deletes the weights that trials went on from, but for those of trials that other sweeps name."""
    for trial in plan.trials:
        if trial.question == FIRST_PHASE and trial.trial_id not in parents:
            kept_weights.delete(results, trial.trial_id, but=[*kept_weights.wanted(results, sweep)[0]])


def _limits(trial: Trial, plan: Plan, journal: RecordBuilder) -> SearchLimits | None:
    """What a candidate of a search may take that begins; one that has trained an epoch is not refused any more."""
    if trial.question != TUNING or journal.past(trial.trial_id).last:
        return None
    return SearchLimits(seconds_left=plan.seconds_left(trial), flops_per_second=journal.flops_per_second)


def _keep(trial: Trial, settings: Settings) -> str:
    """Of which epoch a trial's weights are kept."""
    if trial.question == FIRST_PHASE:
        return "last"
    return settings.keep_weights if trial.question == COMPARISON else "none"


def _tune(
    name: str, searcher: "TuneSearcher", scheduler: "TuneScheduler", recorder: "TuneCallback", where: Where
) -> None:
    """Lets Tune run all that the searcher suggests."""
    from ray import tune

    from layersweep.tuning.worker.worker_actor import Slot

    with tempfile.TemporaryDirectory(prefix="layersweep-tune-") as storage:
        tuner = tune.Tuner(
            tune.with_resources(Slot, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                num_samples=-1,
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
        except RuntimeError as error:  # what Tune makes of an error of Ray that it does not know
            raise BrokenOffError(
                f"Ray Tune broke off ({first_line(str(error.__cause__ or error))}); every finished epoch is kept; "
                "the same command goes on"
            ) from error


def _start(folder: Path, trial: Trial, journal: RecordBuilder, display: Display) -> EpochFile | None:
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

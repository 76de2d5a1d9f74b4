"""The command that every file in sweeps/ is: flags in, a recorded sweep and its study out, an exit code at the end."""

import dataclasses
import inspect
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from records.errors import ResultsError
from records.lock import alone
from trainables.data import Data, prepare
from trainables.errors import DataError
from tuning import options as flags
from tuning.errors import BrokenOffError, UsageError
from tuning.options import Options, Settings
from tuning.sweep import Arm, Sweep, Trial, arms, trials

if TYPE_CHECKING:
    from rich.console import Console

    from tuning.plan import Ending, Plan

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
SCREENING_SEED: Final = 0


def main(sweep: Sweep, arguments: Sequence[str] | None = None) -> None:
    """Runs a sweep from the command line and exits.

    Exit codes: 0 all trials ended well; 1 some failed, or the sweep broke off (a full disk); 2 bad input, before any
    trial; 130 interrupted. One line on stderr says what was wrong.
    """
    from rich.console import Console

    given = sys.argv[1:] if arguments is None else list(arguments)
    description = inspect.cleandoc(getattr(sys.modules["__main__"], "__doc__", None) or sweep.name)
    console = Console(highlight=False, soft_wrap=True)
    try:
        code = run(sweep, flags.parse(sweep, given, description), console, given)
    except (UsageError, DataError, ResultsError, BrokenOffError) as error:
        sys.stderr.write(f"{sweep.name}.py: error: {error}\n")
        code = FAILED if isinstance(error, BrokenOffError) else BAD_INPUT
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def run(sweep: Sweep, options: Options, console: "Console", arguments: Sequence[str]) -> int:
    """Runs a sweep with these options; returns the exit code.

    Raises:
        UsageError, DataError, ResultsError: for bad input, before any trial starts.
        BrokenOffError: when records could not be written any more.
    """
    from records.write import check_writable

    settings = flags.resolve(sweep, options)
    compared = arms(sweep, flags.narrowed(sweep, options.set))
    if not settings.dry_run:
        check_writable(settings.results)
    data = prepare(sweep.dataset, folder=settings.data, images=settings.images, say=console.print)
    if settings.dry_run:
        _say_plan(console, sweep, settings, _plan(sweep, settings, compared, data))
        return OK
    with alone(settings.results, sweep.name):  # what is recorded is read inside: no other command adds to it now
        failed = _train(sweep, settings, _plan(sweep, settings, compared, data), console, arguments)
    if sweep.study is not None:
        sweep.study(settings.results, sweep.name)
    console.print(f"records  {settings.results}/*/{sweep.name}/*.parquet")
    return FAILED if failed else OK


def _plan(sweep: Sweep, settings: Settings, compared: Sequence[Arm], data: Data) -> "Plan":
    """What is to run: every arm with every seed, or a screening whose survivors are compared on fresh seeds."""
    from records.tables import COMPARISON, SCREENING
    from tuning.history import recorded
    from tuning.plan import Plan, survivors

    history = recorded(settings.results, sweep)

    def asked(arms: Sequence[Arm], question: str, seeds: Sequence[int]) -> list[Trial]:
        made = trials(
            sweep, arms, data, question=question, seeds=seeds, epochs=settings.epochs, precision=settings.precision
        )
        return [dataclasses.replace(t, attempt=history.next_attempt(t.trial_id)) for t in made]

    seeds = range(1, settings.seeds + 1)
    screening = len(compared) > flags.ALL_SEEDS_UP_TO if settings.screening is None else settings.screening
    if not screening:
        return Plan(asked(compared, COMPARISON, seeds), known=history.ending)
    screened = asked(compared, SCREENING, [SCREENING_SEED])

    def then(endings: "Mapping[str, Ending]") -> list[Trial]:
        kept = survivors(screened, endings, control=sweep.control, mode=sweep.mode)
        return asked([a for a in compared if a.name in kept], COMPARISON, seeds)

    return Plan(screened, known=history.ending, then=then)


def _train(sweep: Sweep, settings: Settings, plan: "Plan", console: "Console", arguments: Sequence[str]) -> int:
    """Runs what is not recorded yet; returns how many trials failed."""
    from tuning.session import Session

    session = Session.open(sweep, settings, arguments)
    if plan.finished:
        console.print(f"all {len(plan.trials)} trials are recorded already: nothing to run")
        session.nothing_to_run(plan)
        return 0
    session.journal.planned(plan.trials)
    session.writer.flush()
    _say_plan(console, sweep, settings, plan)
    try:
        session.run(plan, console)
    except KeyboardInterrupt:
        again = shlex.join(["python", sys.argv[0], *arguments])
        console.print(f"stopped; every finished epoch is kept. To go on: {again}", markup=False)
        raise
    except ResultsError as error:
        raise BrokenOffError(str(error)) from error
    return sum(ending.outcome == "failed" for ending in plan.endings.values())


def _say_plan(console: "Console", sweep: Sweep, settings: Settings, plan: "Plan") -> None:
    """What is to run, what is recorded already, and about how long it takes."""
    from records.tables import SCREENING
    from tuning.history import seconds_per_image
    from tuning.machine import default_slots
    from tuning.plan import count

    waiting, known = plan.waiting, len(plan.endings)
    names = ", ".join(sorted({t.arm.name for t in plan.trials}))
    data = plan.trials[0].data
    console.print(f"[bold]{sweep.name}[/bold]: {names}")
    console.print(
        f"{count(len(plan.trials), 'trial')} ({plan.describe()}), up to {count(settings.epochs, 'epoch')} each; "
        f"{known} recorded already\n"
        f"{data.name}: {data.train_images:,} images to train, {data.validation_images:,} to validate, "
        f"{data.test_images:,} to test"
    )
    if any(t.question == SCREENING for t in plan.trials):
        grace = flags.grace_epochs(settings, [int(t.arm.values["batch_size"]) for t in plan.trials], data.train_images)
        console.print(f"ASHA: grace period {count(grace, 'epoch')}, reduction {settings.reduction:g}")
        if grace >= settings.epochs:
            console.print(
                "ASHA cannot stop anything: its grace period is as long as a trial. Give more --epochs or --images, "
                "or a shorter --grace (with few steps, batch normalisation makes early accuracy rank noise)"
            )
    images = sum(t.epochs * t.data.train_images for t in waiting)
    rate = seconds_per_image(settings.results, sweep.family)
    if rate is None:
        console.print("time: not known before a first trial is recorded")
    elif waiting:
        slots = settings.slots or default_slots()
        console.print(
            f"time: at most about {images * rate / slots / 60:.0f} minutes for these on {count(slots, 'slot')}"
        )
    if settings.dry_run:
        for trial in waiting:
            console.print(f"  {trial.trial_id}  {trial.question}  {trial.arm.name}, seed {trial.seed}")

"""The command that every file in sweeps/ is: flags in, a recorded sweep and its study out, an exit code at the end."""

import inspect
import shlex
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from layersweep.records.errors import ResultsError
from layersweep.records.lock import alone
from layersweep.records.questions import SCREENING, TUNING
from layersweep.studies import study
from layersweep.tuning.common.errors import BrokenOffError, BudgetSpentError, UsageError
from layersweep.tuning.common.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, OK, UNFINISHED
from layersweep.tuning.experiment import options as flags
from layersweep.tuning.experiment.options import Options
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import check_weights
from layersweep.tuning.experiment.tuned_arms import sampled
from layersweep.tuning.runtime import environment, fork_server
from layersweep.words import count, duration, exact_duration
from trainables.errors import DataError
from trainables.meaning import MEANING
from trainables.precision import automatic

if TYPE_CHECKING:
    from rich.console import Console

    from layersweep.tuning.driver.planner import Agenda


def main(sweep: Sweep, arguments: Sequence[str] | None = None) -> None:
    """Runs a sweep from the command line and exits.

    Exit codes: 0 all trials ended well, or were refused by an estimate; 1 some failed, or the sweep broke off (a full
    disk, Ray's death); 2 bad input, before any trial; 3 the time budget was spent before the end; 130 interrupted. One
    line on stderr says what was wrong.
    """
    from rich.console import Console

    given = sys.argv[1:] if arguments is None else list(arguments)
    description = inspect.cleandoc(getattr(sys.modules["__main__"], "__doc__", None) or sweep.name)
    console = Console(highlight=False, soft_wrap=True)
    try:
        code = run(sweep, flags.parse(given, program=f"{sweep.name}.py", description=description), console, given)
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
        BrokenOffError: when records could not be written any more, or the first trials all failed of one error.
    """
    from layersweep.records.write import check_writable
    from layersweep.tuning.cluster import local_records
    from layersweep.tuning.driver.planner import Agenda, Asked, prepared

    def say(line: str) -> None:
        console.print(line, markup=False)

    environment.settle()
    settings = flags.resolve(sweep, options)
    if options.cluster is not None:
        from layersweep.tuning.cluster import cluster_command

        flags.narrowed(sweep, settings.set)  # what is wrong is refused here
        return cluster_command.run(sweep, options, arguments, console)
    if options.precision == "auto":
        console.print(f"precision: {settings.precision}; {automatic(flags.families_asked(sweep, settings.set))[1]}")
    asked = Asked.of(sweep, settings, say)
    if not settings.dry_run:
        check_writable(settings.results)
    data = prepared(sweep, settings, asked, say)
    if settings.dry_run:
        _say_plan(console, Agenda.make(sweep, settings, asked, data))
        return OK
    with alone(settings.results, sweep.name):  # what is recorded is read inside: no other command adds to it now
        local_records.disown(settings.results, sweep.name)
        code = _train(Agenda.make(sweep, settings, asked, data), console, arguments)
    if sweep.question:
        study.answer(settings.results, sweep.name)
    console.print(f"records  {settings.results}/*/{sweep.name}/*.parquet")
    return code


def _train(agenda: "Agenda", console: "Console", arguments: Sequence[str]) -> int:
    """Runs what is not recorded yet; returns the exit code."""
    from layersweep.tuning.driver.sweep_run import SweepRun

    plan = agenda.plan
    session = SweepRun.open(agenda.sweep, agenda.settings, agenda.history, arguments)
    for trial, row in agenda.closed:
        session.journal.closed(trial, row)
    if plan.finished:
        console.print(f"all {len(plan.trials)} trials are recorded already: nothing to run")
        session.nothing_to_run(plan)
        return OK
    arms = [*(trial.arm for trial in plan.waiting), *sampled(agenda.asked.tuned)]
    check_weights(agenda.sweep, arms, agenda.data, agenda.settings.results)
    session.journal.planned(plan.trials)
    session.writer.flush()
    _say_plan(console, agenda)
    again = shlex.join(["python", sys.argv[0], *arguments])
    if any(arm.oracle for arm in agenda.asked.tuned):
        agenda.oracles.start()
    try:
        with closing(agenda.oracles), fork_server.started(agenda.sweep.warm_up) as socket:  # both import meanwhile
            session.run(
                plan,
                agenda.scheduler,
                console,
                outlook=agenda.outlook.said,
                fork_server=socket,
                check=agenda.check_searches,
            )
    except KeyboardInterrupt:
        console.print(f"stopped; every finished epoch is kept. To go on: {again}", markup=False)
        raise
    except BudgetSpentError:
        console.print(f"the time budget is spent; every finished epoch is kept. To go on: {again}", markup=False)
        return UNFINISHED
    except ResultsError as error:
        raise BrokenOffError(str(error)) from error
    failed = (ending.outcome == "failed" and not ending.refused for ending in plan.endings.values())
    return FAILED if any(failed) else OK


def _say_plan(console: "Console", agenda: "Agenda") -> None:
    """What is to run, what is recorded already, and of a dry run about how long it would take on this machine."""
    from layersweep.tuning.runtime.machine import default_slots

    plan, settings = agenda.plan, agenda.settings
    known = sum(t.trial_id in plan.endings for t in plan.trials)
    names = ", ".join(sorted({t.arm.name for t in plan.trials} | {arm.name for arm in agenda.asked.tuned}))
    data = agenda.data
    console.print(f"[bold]{agenda.sweep.name}[/bold]: {names}")
    console.print(
        f"{count(len(plan.trials), 'trial')} ({plan.describe()}), up to {count(settings.epochs, 'epoch')} each; "
        f"{known} recorded already\n"
        f"{data.name}: {data.train_images:,} images to train, {data.validation_images:,} to validate, "
        f"{data.test_images:,} to test"
    )
    if agenda.asked.tuned:
        _say_searches(console, agenda)
    if old := agenda.other_meaning:
        console.print(
            f"the meaning of the training code has changed since this sweep was last run (from {old} to {MEANING}): "
            "these are new trials, and those recorded before stay apart",
            style="yellow",
        )
    arms = [*(trial.arm for trial in plan.waiting), *sampled(agenda.asked.tuned)]
    if uncached := sorted({arm.name for arm in arms if getattr(arm.config, "uncached", False)}):
        console.print(
            f"images are augmented at random, so the frozen base is run on each in each epoch: {', '.join(uncached)}; "
            "--set augmented_views=4 keeps four views of each image",
            markup=False,
        )
    halved = agenda.asked.tuned or {t.question for t in plan.trials} & {SCREENING, TUNING}
    if agenda.halving.questions and halved:
        _say_halving(console, agenda)
    if settings.dry_run:
        slots = settings.slots or default_slots()
        if time := agenda.outlook.said(slots):
            console.print(f"time on {count(slots, 'slot')} of this machine: {time}")
        for trial, row in agenda.closed:
            line = f"  {trial.trial_id}  {trial.question}  {trial.label}: stopped now, since {row['reason']}"
            console.print(line, markup=False)
        for trial, start in agenda.outlook.starts:
            console.print(f"  {agenda.describe(trial, start)}", markup=False)
        if any(plan.searching or ()):
            console.print("  and what the searches draw in their time")
        if plan.foreseen:
            console.print(f"  and what follows from how these end: up to {count(plan.foreseen, 'epoch')}")


def _say_searches(console: "Console", agenda: "Agenda") -> None:
    """How many searches there are, and what bounds each of them."""
    settings, times = agenda.settings, agenda.times
    bounds = [] if settings.search_time is None else [exact_duration(settings.search_time)]
    if settings.candidates is not None:
        bounds.append(count(settings.candidates * settings.epochs, "epoch"))
    console.print(
        f"tuning: {count(len(agenda.asked.tuned), 'arm')} by {settings.search} search, "
        f"{' and at most '.join(bounds)} each; then the best of each on fresh seeds"
    )
    spent = [f"{name} {duration(clock.before)}" for name, clock in times.items() if clock.before]
    if spent:
        console.print(f"time that the searches have spent: {', '.join(spent)}", markup=False)


def _say_halving(console: "Console", agenda: "Agenda") -> None:
    grace, epochs = agenda.halving.grace, agenda.settings.epochs
    console.print(f"ASHA: grace period {count(grace, 'epoch')}, reduction {agenda.halving.reduction:g}")
    if grace >= epochs:
        console.print(
            "ASHA cannot stop anything: its grace period is as long as a trial. Give more --epochs or --images, "
            "or a shorter --grace (with few steps, batch normalisation makes early accuracy rank noise)"
        )

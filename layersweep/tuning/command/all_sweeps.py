"""All sweeps of a folder: runs them one after another, or lists what each would do."""

import graphlib
import importlib
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from layersweep.escaping import terminal
from layersweep.exit_codes import BAD_INPUT, BROKEN_PIPE, FAILED, INTERRUPTED, OK
from layersweep.formatting import first_line
from layersweep.pipes import ends_with_its_reader
from layersweep.records.errors import ResultsError
from layersweep.terminal import Console
from layersweep.tuning.command.sweep_command import plan_of
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.options import Options, parse
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.runtime import environment
from trainables.errors import DataError

NOT_SWEEPS: Final = ("__init__", "all")
"""Files in a folder of sweeps that are no sweeps."""

_PROGRAM: Final = "all.py"
_WIDTH: Final = 120


@dataclass(frozen=True, kw_only=True)
class SweepOutline:
    """What a sweep would do.

    Attributes:
        arms: the number of arms that are compared.
        trials: the number of trials that are known by now.
        has_followers: whether more trials may follow from how those end.
        recorded_trials: the number of trials that need not run.
        epochs: the most epochs that are left, those of later trials included.
        time: about how long that takes, in words; empty if nothing is left.
    """

    arms: int
    trials: int
    has_followers: bool
    recorded_trials: int
    epochs: int
    time: str


def main(folder: Path, description: str | None, arguments: Sequence[str]) -> None:
    """Runs every sweep of the folder with these flags and exits; with `--dry-run` prints one table instead.

    Exit codes: 1 if some sweep failed, else that of the first that did not end well (see `sweep_command.main`), else 0;
    2 for flags that none can take; 130 if interrupted; 141 if nobody reads the output any more.
    """
    sys.exit(ends_with_its_reader(lambda: _exit_code(folder, description, arguments)))


def _exit_code(folder: Path, description: str | None, arguments: Sequence[str]) -> int:
    """Runs or lists the sweeps; returns the exit code."""
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem not in NOT_SWEEPS)
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH)
    try:
        options = parse(arguments, program=_PROGRAM, description=inspect.cleandoc(description or ""))
        if options.dry_run and options.cluster is None:
            _print_table([(name, *_question_and_outline(name, options)) for name in _in_order(names)], console)
            return OK
        codes = [_run(folder / f"{name}.py", arguments, console) for name in _in_order(names)]
        return FAILED if FAILED in codes else next((code for code in codes if code), OK)
    except (UsageError, DataError, ResultsError) as error:
        sys.stderr.write(terminal(f"{_PROGRAM}: error: {error}\n"))
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED


def _in_order(names: Sequence[str]) -> list[str]:
    """The sweeps, each after those whose records it reads."""
    predecessors = {name: [other for other in _predecessors(name) if other in names] for name in names}
    return list(graphlib.TopologicalSorter(predecessors).static_order())


def _predecessors(name: str) -> Sequence[str]:
    """The sweeps that a sweep must follow; none for a file that cannot be imported, which fails when it is run."""
    try:
        return _sweep(name).after
    except (ImportError, SyntaxError, AttributeError):
        return ()


def _sweep(name: str) -> Sweep:
    return cast("Sweep", importlib.import_module(f"sweeps.{name}").SWEEP)


def _question_and_outline(name: str, options: Options) -> tuple[str, SweepOutline | str]:
    """A sweep's question (the first line of its file), and what it would do, or why it cannot with these options."""
    module = importlib.import_module(f"sweeps.{name}")
    question = first_line(inspect.cleandoc(module.__doc__ or ""))
    try:
        return question, outline(_sweep(name), options)
    except UsageError as error:
        return question, str(error)


def outline(sweep: Sweep, options: Options) -> SweepOutline:
    """What a sweep would do with these options.

    Raises:
        UsageError, DataError, ResultsError: for bad input.
    """
    from layersweep.tuning.experiment.request import Request
    from layersweep.tuning.runtime.machine import default_slots

    def ignore(_line: str) -> None:
        """A table has no room for notes about input."""

    environment.set_defaults()
    settings = resolve(sweep, options)
    request = Request.of(sweep, settings, ignore)
    plan = plan_of(*request.prepared(ignore))
    return SweepOutline(
        arms=len(request.arms) + len(request.tuned_arms),
        trials=len(plan.trials),
        has_followers=plan.epochs_to_come > 0,
        recorded_trials=len(plan.trials) - len(plan.to_run),
        epochs=sum(each.epochs for each in plan.to_run) + plan.epochs_to_come,
        time=plan.estimate.text(settings.slots or default_slots()),
    )


def _print_table(sweeps: Sequence[tuple[str, str, SweepOutline | str]], console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("sweep", overflow="fold", min_width=30)
    for heading in ("arms", "trials", "recorded", "epochs\nleft"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, question, outline_or_error in sweeps:
        title = Text.assemble((terminal(name), "bold"), terminal(f"\n{question}"))
        if isinstance(outline_or_error, str):
            table.add_row(title.append(terminal(f"\n{outline_or_error}"), "yellow"), *[""] * 4)
            continue
        sweep_outline = outline_or_error
        if sweep_outline.time:
            title.append(f"\ntime: {sweep_outline.time}", "dim")
        trials = f"{sweep_outline.trials}{'+' if sweep_outline.has_followers else ''}"
        numbers = (str(sweep_outline.arms), trials, str(sweep_outline.recorded_trials), f"{sweep_outline.epochs:,}")
        table.add_row(title, *numbers)
    console.print(table)
    console.print("+: and trials that follow when these end", style="dim")


def _run(script: Path, arguments: Sequence[str], console: Console) -> int:
    """Runs a sweep's script to its end; returns its exit code. After Ctrl-C it waits until the script has ended.

    Raises:
        KeyboardInterrupt: if it was interrupted.
        SystemExit: if nobody reads the output any more.
    """
    console.rule(script.stem, align="left")
    process = subprocess.Popen([sys.executable, str(script), *arguments])
    interrupted = False
    while process.returncode is None:
        try:
            process.wait()
        except KeyboardInterrupt:  # the script gets it as well
            interrupted = True
    if interrupted or process.returncode in (INTERRUPTED, -signal.SIGINT):
        raise KeyboardInterrupt
    if process.returncode == BROKEN_PIPE:
        raise SystemExit(BROKEN_PIPE)
    return FAILED if process.returncode < 0 else process.returncode

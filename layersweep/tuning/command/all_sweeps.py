"""All sweeps of a folder: what each would do, or one after another."""

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

from rich.console import Console

from layersweep.records.errors import ResultsError
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.common.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, OK
from layersweep.tuning.experiment import options as flags
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.runtime import environment
from layersweep.words import first_line
from trainables.errors import DataError

NOT_SWEEPS: Final = ("__init__", "all")
"""Files of a folder of sweeps that are none."""

_PROGRAM: Final = "all.py"
_WIDTH: Final = 120


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What a sweep would do.

    Attributes:
        arms: how many are compared.
        trials: how many are asked for by now; more may follow from how they end.
        follows: whether more may.
        recorded: how many of them need not run.
        epochs: epochs that are left at most, those included that may follow.
        time: about how long that takes, in words; empty if nothing is left.
    """

    arms: int
    trials: int
    follows: bool
    recorded: int
    epochs: int
    time: str


def main(folder: Path, description: str | None, arguments: Sequence[str]) -> None:
    """Runs every sweep of the folder with these flags and exits; with `--dry-run` prints one table instead.

    Exit codes: 1 if some sweep failed, else that of the first that did not end well (see `sweep_command.main`), else 0;
    2 for flags that none can take; 130 if interrupted.
    """
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem not in NOT_SWEEPS)
    console = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH)
    try:
        options = flags.parse(arguments, program=_PROGRAM, description=inspect.cleandoc(description or ""))
        if options.dry_run and options.cluster is None:
            _show([(name, *_foreseen(name, options)) for name in _in_order(names)], console)
            code = OK
        else:
            codes = [_run(folder / f"{name}.py", arguments, console) for name in _in_order(names)]
            code = FAILED if FAILED in codes else next((code for code in codes if code), OK)
    except (UsageError, DataError, ResultsError) as error:
        sys.stderr.write(f"{_PROGRAM}: error: {error}\n")
        code = BAD_INPUT
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _in_order(names: Sequence[str]) -> list[str]:
    """The sweeps, each behind those whose records it reads; a file that is none of this project's needs no other."""
    after = {name: [other for other in _after(name) if other in names] for name in names}
    return list(graphlib.TopologicalSorter(after).static_order())


def _after(name: str) -> Sequence[str]:
    """The sweeps that one is to come behind; none of one that cannot be imported, which says so when it is run."""
    try:
        return _sweep(name).after
    except (ImportError, SyntaxError, AttributeError):
        return ()


def _sweep(name: str) -> Sweep:
    return cast("Sweep", importlib.import_module(f"sweeps.{name}").SWEEP)


def _foreseen(name: str, options: flags.Options) -> tuple[str, Foreseen | str]:
    """A sweep's question (the first line of its file), and what it would do; or why it cannot, with these options."""
    module = importlib.import_module(f"sweeps.{name}")
    question = first_line(inspect.cleandoc(module.__doc__ or ""))
    try:
        return question, foreseen(_sweep(name), options)
    except UsageError as error:
        return question, str(error)


def foreseen(sweep: Sweep, options: flags.Options) -> Foreseen:
    """What a sweep would do with these options.

    Raises:
        UsageError, DataError, ResultsError: for bad input.
    """
    from layersweep.tuning.driver.planner import Agenda, Asked, prepared
    from layersweep.tuning.runtime.machine import default_slots

    def unsaid(_line: str) -> None:
        """A table has no room for what a sweep says of its input."""

    environment.settle()
    settings = flags.resolve(sweep, options)
    asked = Asked.of(sweep, settings, unsaid)
    agenda = Agenda.make(sweep, settings, asked, prepared(sweep, settings, asked, unsaid))
    plan, starts = agenda.plan, agenda.outlook.starts
    return Foreseen(
        arms=len(asked.arms) + len(asked.tuned),
        trials=len(plan.trials),
        follows=plan.foreseen > 0,
        recorded=len(plan.trials) - len(starts),
        epochs=sum(trial.epochs - start for trial, start in starts) + plan.foreseen,
        time=agenda.outlook.said(settings.slots or default_slots()),
    )


def _show(found: Sequence[tuple[str, str, Foreseen | str]], console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("sweep", overflow="fold", min_width=30)
    for heading in ("arms", "trials", "recorded", "epochs\nleft"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, question, seen in found:
        title = Text.assemble((name, "bold"), f"\n{question}")
        if isinstance(seen, str):
            table.add_row(title.append(f"\n{seen}", "yellow"), *[""] * 4)
            continue
        if seen.time:
            title.append(f"\ntime: {seen.time}", "dim")
        trials = f"{seen.trials}{'+' if seen.follows else ''}"
        table.add_row(title, str(seen.arms), trials, str(seen.recorded), f"{seen.epochs:,}")
    console.print(table)
    console.print("+: and what follows from how these end", style="dim")


def _run(script: Path, arguments: Sequence[str], console: Console) -> int:
    """Runs a sweep's script to its end, which it comes to in order also after Ctrl-C; returns its exit code.

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    console.rule(script.stem, align="left")
    process = subprocess.Popen([sys.executable, str(script), *arguments])
    interrupted = False
    while process.returncode is None:
        try:
            process.wait()
        except KeyboardInterrupt:  # the sweep has heard it, too
            interrupted = True
    if interrupted or process.returncode in (INTERRUPTED, -signal.SIGINT):
        raise KeyboardInterrupt
    return FAILED if process.returncode < 0 else process.returncode

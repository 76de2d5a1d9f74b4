"""All sweeps of a folder: what each would do, or one after another."""

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from records.errors import ResultsError
from trainables.data import Data, prepare
from trainables.errors import DataError
from tuning import environment
from tuning import options as flags
from tuning.command import BAD_INPUT, INTERRUPTED, OK
from tuning.errors import UsageError
from tuning.sweep import Sweep, arms, check_images
from tuning.tuned import sampled, tuned_arms

if TYPE_CHECKING:
    from rich.console import Console

NOT_SWEEPS: Final = ("__init__", "all")
"""Files of a folder of sweeps that are none."""

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
        seconds: about how long that takes at most; None where no trial of these families is recorded.
    """

    arms: int
    trials: int
    follows: bool
    recorded: int
    epochs: int
    seconds: float | None


def main(folder: Path, description: str | None, arguments: Sequence[str]) -> None:
    """Runs every sweep of the folder with these flags and exits; with `--dry-run` prints one table instead.

    Exit codes: that of the worst sweep (see `tuning.command.main`); 130 if interrupted.
    """
    from rich.console import Console

    names = sorted(path.stem for path in folder.glob("*.py") if path.stem not in NOT_SWEEPS)
    console = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH)
    try:
        options = flags.parse(_any(names), arguments, inspect.cleandoc(description or ""))
        if options.dry_run:
            _show([(name, *_foreseen(name, arguments)) for name in names], console)
            code = OK
        else:
            code = max(_run(folder / f"{name}.py", arguments, console) for name in names)
    except (UsageError, DataError, ResultsError) as error:
        sys.stderr.write(f"all.py: error: {error}\n")
        code = BAD_INPUT
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _any(names: Sequence[str]) -> Sweep:
    """Some sweep: flags are the same for all."""
    return _sweep(names[0])[0]


def _sweep(name: str) -> tuple[Sweep, str]:
    """A sweep of the package `sweeps`, and its question: the first line of its file."""
    module = importlib.import_module(f"sweeps.{name}")
    return cast("Sweep", module.SWEEP), inspect.cleandoc(module.__doc__ or "").partition("\n")[0]


def _foreseen(name: str, arguments: Sequence[str]) -> tuple[str, Foreseen | str]:
    """A sweep's question, and what it would do; or why it cannot, with these flags."""
    sweep, question = _sweep(name)
    try:
        return question, foreseen(sweep, flags.parse(sweep, arguments, ""))
    except UsageError as error:
        return question, str(error)


def foreseen(sweep: Sweep, options: flags.Options) -> Foreseen:
    """What a sweep would do with these options.

    Raises:
        UsageError, DataError, ResultsError: for bad input.
    """
    from tuning.agenda import Agenda, Asked
    from tuning.machine import default_slots

    environment.settle()
    settings = flags.resolve(sweep, options)
    narrowed = flags.with_given(sweep, flags.narrowed(sweep, settings.set), settings.results)[0]
    asked = Asked(arms=arms(sweep, narrowed), tuned=[] if settings.search == "grid" else tuned_arms(sweep, narrowed))
    data: Data = prepare(settings.dataset, folder=settings.data, images=settings.images, strict=settings.strict)
    check_images(sweep, [*asked.arms, *sampled(asked.tuned)], data, folds=settings.folds)
    agenda = Agenda.make(sweep, settings, asked, data)
    starts = [(trial, agenda.start_epoch(trial)) for trial in agenda.plan.waiting]
    seconds = agenda.slot_seconds(starts)
    slots = settings.slots or default_slots()
    return Foreseen(
        arms=len(asked.arms) + len(asked.tuned),
        trials=len(agenda.plan.trials),
        follows=agenda.plan.foreseen > 0,
        recorded=len(agenda.plan.trials) - len(starts),
        epochs=sum(trial.epochs - start for trial, start in starts) + agenda.plan.foreseen,
        seconds=None if seconds is None else seconds / slots,
    )


def _show(found: Sequence[tuple[str, str, Foreseen | str]], console: "Console") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tuning.display import duration

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("sweep", overflow="fold", min_width=30)
    for heading in ("arms", "trials", "recorded", "epochs\nleft", "at most\nabout"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, question, seen in found:
        title = Text.assemble((name, "bold"), f"\n{question}")
        if isinstance(seen, str):
            table.add_row(title.append(f"\n{seen}", "yellow"), *[""] * 5)
            continue
        numbers = (
            f"{seen.arms}",
            f"{seen.trials}{'+' if seen.follows else ''}",
            f"{seen.recorded}",
            f"{seen.epochs:,}",
        )
        table.add_row(title, *numbers, "?" if seen.seconds is None else duration(seen.seconds))
    console.print(table)
    console.print("+: and what follows from how these end. ?: no trial of these families is recorded yet.", style="dim")


def _run(script: Path, arguments: Sequence[str], console: "Console") -> int:
    """Runs a sweep's script to its end; returns its exit code.

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    console.rule(script.stem, align="left")
    code = subprocess.run([sys.executable, str(script), *arguments], check=False).returncode
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return abs(code)

"""Looks after recorded sweeps: `layersweep records list | show | export | delete | prune`; each has its `--help`."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import tyro
from rich.console import Console

from layersweep.records.errors import ResultsError

if TYPE_CHECKING:
    import polars as pl

    from layersweep.records.overview import TrialStory
    from layersweep.records.upkeep import Waste

OK: Final = 0
NOT_DONE: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
_WIDTH: Final = 160

Results = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
Sweep = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SWEEP")]
Trial = Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="TRIAL")]


@dataclass(frozen=True, kw_only=True)
class List:
    """Every sweep: its trials by outcome, its epochs, its last run, its size on disk."""

    results: Results = Path("results")
    """The results folder."""

    def run(self, console: Console) -> int:
        """Prints a row a sweep."""
        from layersweep.records.overview import summaries
        from layersweep.records.tables import OUTCOMES

        found = summaries(self.results)
        if not found:
            console.print(f"no sweep is recorded in {self.results}")
            return OK
        shown = [outcome for outcome in OUTCOMES if any(outcome in s.outcomes for s in found)]
        rows = [
            [
                *(s.sweep, *(s.outcomes.get(outcome) for outcome in shown), s.unfinished, s.epochs),
                *(s.last_run, s.last_outcome, _size(s.size_bytes)),
            ]
            for s in found
        ]
        _table(console, ["sweep", *shown, "unfinished", "epochs", "last run (UTC)", "its end", "size"], rows)
        return OK


@dataclass(frozen=True, kw_only=True)
class Show:
    """A sweep's trials, or all about one of them: its ends, its epochs, its error, its log."""

    sweep: Sweep
    """The sweep, as `list` names it."""
    trial: Trial = None
    """A trial's id or its beginning."""
    results: Results = Path("results")
    """The results folder."""

    def run(self, console: Console) -> int:
        """Prints a row a trial, or the trial."""
        from layersweep.records import overview

        if self.trial is None:
            _frame(console, overview.trials(self.results, self.sweep))
        else:
            _story(console, overview.trial(self.results, self.sweep, self.trial), self.sweep)
        return OK


@dataclass(frozen=True, kw_only=True)
class Export:
    """Writes one table of a sweep as .csv, .parquet, .json or .ndjson."""

    sweep: Sweep
    """The sweep, as `list` names it."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """The file; its suffix says the format."""
    table: str = "trials"
    """plan, runs, trials, epochs, layers, tests or classes."""
    force: bool = False
    """Overwrite the file."""
    results: Results = Path("results")
    """The results folder."""

    def run(self, console: Console) -> int:
        """Writes the file and says how many rows it has."""
        from layersweep.records.export import export

        rows = export(self.results, self.sweep, self.table, self.out, force=self.force)
        console.print(f"{self.out}: {rows:,} rows of {self.table}", markup=False)
        return OK


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Deletes a sweep: its tables, and checkpoints and logs that no other sweep needs. Its studies stay."""

    sweep: Sweep
    """The sweep, as `list` names it."""
    yes: bool = False
    """Do not ask."""
    results: Results = Path("results")
    """The results folder."""

    def run(self, console: Console) -> int:
        """Says what would go, asks, and deletes it."""
        from layersweep.records.lock import alone
        from layersweep.records.overview import check_known
        from layersweep.records.upkeep import delete, doomed, shared

        check_known(self.results, self.sweep)
        with alone(self.results, self.sweep):
            _wastes(console, doomed(self.results, self.sweep))
            for other, trials in shared(self.results, self.sweep).items():
                lost = f"{trials:,} of its trials {'is' if trials == 1 else 'are'} asked for by {other} as well"
                console.print(f"{lost}, which would train them again", style="yellow", markup=False)
            console.print(f"what is in {self.results / 'studies'} stays", markup=False)
            if not self.yes and not _agreed(console, f"delete the sweep {self.sweep}?"):
                console.print("nothing was deleted")
                return NOT_DONE
            delete(self.results, self.sweep)
        console.print(f"deleted the sweep {self.sweep}", markup=False)
        return OK


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Frees what nobody needs: leftovers of killed commands, superseded parts, logs and checkpoints of ended trials."""

    damaged: bool = False
    """Damaged parts that were set aside go, too."""
    dry_run: bool = False
    """Say what would go, and stop."""
    results: Results = Path("results")
    """The results folder."""

    def run(self, console: Console) -> int:
        """Says what goes, and what was left alone."""
        from layersweep.records.upkeep import prune

        pruned = prune(self.results, damaged=self.damaged, dry_run=self.dry_run)
        for sweep in pruned.busy:
            console.print(f"left alone, as a command is running it: {sweep}", markup=False)
        if not pruned.found:
            console.print("nothing to free")
            return OK
        _wastes(console, pruned.found)
        freed = _size(sum(waste.size_bytes for waste in pruned.found))
        console.print(f"would free {freed}" if self.dry_run else f"freed {freed}")
        return OK


def main(arguments: Sequence[str]) -> int:
    """Runs a command; returns the exit code: 0 done, 1 not done as nobody agreed, 2 bad input (one line on stderr)."""
    command = tyro.cli(
        List | Show | Export | Delete | Prune,
        args=list(arguments),
        prog="layersweep records",
        description=__doc__,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    try:
        return command.run(console)
    except ResultsError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED


def _story(console: Console, story: "TrialStory", sweep: str) -> None:
    facts = f"trial {story.trial_id}: {story.arm}, seed {story.seed}, {story.question}"
    elsewhere = "" if story.trained_by in (sweep, None) else f"; trained by sweep {story.trained_by}"
    _line(console, facts + elsewhere)
    if not story.ends:
        _line(console, "it has no end: waiting, running, or killed")
    for end in story.ends:
        known = {name: value for name, value in end.items() if value is not None and name not in _TOLD}
        _line(console, f"\nattempt {end['attempt']}, end {end['continuation']}: {end['outcome']}")
        _table(console, ["", ""], [[name, _cell(value)] for name, value in known.items()], head=False)
        if end["traceback"] or end["error_message"]:
            _line(console, end["traceback"] or f"{end['error_type']}: {end['error_message']}")
    if story.epochs.height:
        _frame(console, story.epochs.select(_OF_EPOCHS))
    if story.log is not None:
        _line(console, f"log  {story.log}")


_TOLD: Final = {
    "sweep", "trial_id", "attempt", "continuation", "outcome", "arm", "seed", "question", "error_type",
    "error_message", "traceback", "log",
}  # fmt: skip
_OF_EPOCHS: Final = (
    "attempt", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "decision", "at",
)  # fmt: skip


def _wastes(console: Console, found: "Iterable[Waste]") -> None:
    rows = [[w.what, len(w.paths), _size(w.size_bytes)] for w in found]
    _table(console, ["what", "files or folders", "size"], rows)


def _agreed(console: Console, question: str) -> bool:
    if not sys.stdin.isatty():
        raise ResultsError("there is no terminal to ask on: give --yes")
    return console.input(f"{question} [y/N] ", markup=False).strip().lower() in ("y", "yes")


def _frame(console: Console, frame: "pl.DataFrame") -> None:
    filled = [name for name in frame.columns if frame[name].null_count() < frame.height]
    _table(console, [name.replace("_", " ") for name in filled], frame.select(filled).rows())


def _table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, head: bool = True) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if head else None, pad_edge=False, show_header=head)
    contents = [list(row) for row in rows]
    for number, name in enumerate(columns):
        numeric = any(isinstance(row[number], int | float) for row in contents)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in contents:
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"

"""Looks after recorded sweeps: `layersweep records list | show | export | delete | prune`; each has its `--help`."""

import sys
from collections.abc import Iterable, Sequence
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

_RESULTS: Final = Path("results")

Results = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
File = Annotated[Path, tyro.conf.arg(metavar="FILE")]
Sweep = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SWEEP")]
Trial = Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="TRIAL")]


def list_(*, results: Results = _RESULTS) -> int:
    """Every sweep: its trials by outcome, its epochs, its last run, its size on disk.

    Args:
        results: The results folder.
    """
    from layersweep.records.overview import summaries
    from layersweep.records.tables import OUTCOMES

    found = summaries(results)
    if not found:
        _line(f"no sweep is recorded in {results}")
        return OK
    shown = [outcome for outcome in OUTCOMES if any(outcome in s.outcomes for s in found)]
    rows = [
        [
            *(s.sweep, *(s.outcomes.get(outcome) for outcome in shown), s.unfinished, s.epochs),
            *(s.last_run, s.last_outcome, _size(s.size_bytes)),
        ]
        for s in found
    ]
    _table(["sweep", *shown, "unfinished", "epochs", "last run (UTC)", "its end", "size"], rows)
    return OK


def show(sweep: Sweep, trial: Trial = None, *, results: Results = _RESULTS) -> int:
    """A sweep's trials, or all about one of them: its ends, its epochs, its error, its log.

    Args:
        sweep: The sweep, as `list` names it.
        trial: A trial's id or its beginning.
        results: The results folder.
    """
    from layersweep.records import overview

    if trial is None:
        _frame(overview.trials(results, sweep))
    else:
        _story(overview.trial(results, sweep, trial), sweep)
    return OK


def export(sweep: Sweep, *, out: File, table: str = "trials", force: bool = False, results: Results = _RESULTS) -> int:
    """Writes one table of a sweep as .csv, .parquet, .json or .ndjson.

    Args:
        sweep: The sweep, as `list` names it.
        out: The file; its suffix says the format.
        table: plan, runs, trials, epochs, layers, tests or classes.
        force: Overwrite the file.
        results: The results folder.
    """
    from layersweep.records.export import export as write

    rows = write(results, sweep, table, out, force=force)
    _line(f"{out}: {rows:,} rows of {table}")
    return OK


def delete(sweep: Sweep, *, yes: bool = False, results: Results = _RESULTS) -> int:
    """Deletes a sweep: its tables, and checkpoints and logs that no other sweep needs. Its studies stay.

    Args:
        sweep: The sweep, as `list` names it.
        yes: Do not ask.
        results: The results folder.
    """
    from layersweep.records import upkeep
    from layersweep.records.lock import alone
    from layersweep.records.overview import check_known

    check_known(results, sweep)
    with alone(results, sweep):
        _wastes(upkeep.doomed(results, sweep))
        for other, trials in upkeep.shared(results, sweep).items():
            lost = f"{trials:,} of its trials {'is' if trials == 1 else 'are'} asked for by {other} as well"
            _line(f"{lost}, which would train them again", style="yellow")
        _line(f"what is in {results / 'studies'} stays")
        if not yes and not _agreed(f"delete the sweep {sweep}?"):
            _line("nothing was deleted")
            return NOT_DONE
        upkeep.delete(results, sweep)
    _line(f"deleted the sweep {sweep}")
    return OK


def prune(*, damaged: bool = False, dry_run: bool = False, results: Results = _RESULTS) -> int:
    """Frees what nobody needs: leftovers of killed commands, superseded parts, logs and checkpoints of ended trials.

    Args:
        damaged: Damaged parts that were set aside go, too.
        dry_run: Say what would go, and stop.
        results: The results folder.
    """
    from layersweep.records import upkeep

    pruned = upkeep.prune(results, damaged=damaged, dry_run=dry_run)
    for sweep in pruned.busy:
        _line(f"left alone, as a command is running it: {sweep}")
    if not pruned.found:
        _line("nothing to free")
        return OK
    _wastes(pruned.found)
    freed = _size(sum(waste.size_bytes for waste in pruned.found))
    _line(f"would free {freed}" if dry_run else f"freed {freed}")
    return OK


def main(arguments: Sequence[str]) -> int:
    """Runs a command; returns the exit code: 0 done, 1 not done as nobody agreed, 2 bad input (one line on stderr)."""
    try:
        code: int = tyro.extras.subcommand_cli_from_dict(
            {"list": list_, "show": show, "export": export, "delete": delete, "prune": prune},
            prog="layersweep records",
            description=__doc__,
            args=list(arguments),
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except ResultsError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def _story(story: "TrialStory", sweep: str) -> None:
    named = f"trial {story.trial_id}: {story.arm}, seed {story.seed}, {story.question}"
    elsewhere = "" if story.trained_by in (sweep, None) else f"; trained by sweep {story.trained_by}"
    _line(named + elsewhere)
    if not story.ends:
        _line("it has no end: waiting, running, or killed")
    for end in story.ends:
        facts = [[name, _cell(value)] for name, value in end.items() if value is not None and name not in _TOLD]
        _line(f"\nattempt {end['attempt']}, end {end['continuation']}: {end['outcome']}")
        _table(["", ""], facts, head=False)
        if end["traceback"] or end["error_message"]:
            _line(end["traceback"] or f"{end['error_type']}: {end['error_message']}")
    if story.epochs.height:
        _frame(story.epochs.select(_OF_EPOCHS))
    if story.log is not None:
        _line(f"log  {story.log}")


_TOLD: Final = {
    "sweep", "trial_id", "attempt", "continuation", "outcome", "arm", "seed", "question", "error_type",
    "error_message", "traceback", "log",
}  # fmt: skip
_OF_EPOCHS: Final = (
    "attempt", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "decision", "at",
)  # fmt: skip


def _wastes(found: "Iterable[Waste]") -> None:
    rows = [[w.what, len(w.paths), _size(w.size_bytes)] for w in found]
    _table(["what", "files or folders", "size"], rows)


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ResultsError("there is no terminal to ask on: give --yes")
    return _console().input(f"{question} [y/N] ", markup=False).strip().lower() in ("y", "yes")


def _frame(frame: "pl.DataFrame") -> None:
    filled = [name for name in frame.columns if frame[name].null_count() < frame.height]
    _table([name.replace("_", " ") for name in filled], frame.select(filled).rows())


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, head: bool = True) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if head else None, pad_edge=False, show_header=head)
    for number, name in enumerate(columns):
        numeric = any(isinstance(row[number], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    _console().print(table)


def _line(text: str, style: str | None = None) -> None:
    _console().print(text, style=style, markup=False, soft_wrap=True)


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

"""Manages recorded sweeps: `layersweep records list | show | export | merge | delete | prune`; each has a `--help`."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import tyro

from layersweep.escaping import terminal
from layersweep.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, OK
from layersweep.records.errors import ResultsError
from layersweep.terminal import Console

if TYPE_CHECKING:
    import polars as pl

    from layersweep.records.maintenance import FileGroup
    from layersweep.records.overview import TrialDetails

_WIDTH: Final = 160

_RESULTS: Final = Path("results")

Results = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
File = Annotated[Path, tyro.conf.arg(metavar="FILE")]
Sweep = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SWEEP")]
Sources = Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FOLDER")]
Trial = Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="TRIAL")]


def list_(*, results: Results = _RESULTS) -> int:
    """Lists all sweeps: trials by outcome, epochs, last run, size on disk.

    Args:
        results: The results folder.
    """
    from layersweep.records.overview import summaries
    from layersweep.records.tables import OUTCOMES

    sweeps = summaries(results)
    if not sweeps:
        _line(f"no sweep is recorded in {results}")
        return OK
    outcomes = [outcome for outcome in OUTCOMES if any(outcome in s.outcomes for s in sweeps)]
    rows = [
        [
            *(s.sweep, *(s.outcomes.get(outcome) for outcome in outcomes), s.unfinished, s.epochs),
            *(s.last_run, s.last_outcome, _size(s.size_bytes)),
        ]
        for s in sweeps
    ]
    _table(["sweep", *outcomes, "unfinished", "epochs", "last run (UTC)", "its outcome", "size"], rows)
    return OK


def show(sweep: Sweep, trial: Trial = None, *, results: Results = _RESULTS) -> int:
    """Shows the trials of a sweep, or one trial in full: its ends, epochs, error and log.

    Args:
        sweep: The sweep, as `list` names it.
        trial: The id of a trial, or the first characters of it.
        results: The results folder.
    """
    from layersweep.records import overview
    from layersweep.records.metrics import ACCURACY
    from layersweep.records.study_question import StudyQuestion

    if trial is None:
        question = StudyQuestion.last(results, sweep)
        _frame(overview.trials(results, sweep, metric=question.metric if question else ACCURACY))
    else:
        _print_trial(overview.trial(results, sweep, trial), sweep)
    return OK


def export(sweep: Sweep, *, out: File, table: str = "trials", force: bool = False, results: Results = _RESULTS) -> int:
    """Writes one table of a sweep as .csv, .parquet, .json or .ndjson.

    Args:
        sweep: The sweep, as `list` names it.
        out: The file to write; its suffix selects the format.
        table: plan, runs, trials, epochs, layers, tests, classes, exports or results.
        force: Overwrite the file.
        results: The results folder.
    """
    from layersweep.records.export import export as write

    rows = write(results, sweep, table, out, force=force)
    _line(f"{out}: {rows:,} rows of {table}")
    return OK


def merge(sources: Sources, *, into: Results) -> int:
    """Makes the results of several machines one: each epoch of a trial once; trainings that differ are kept apart.

    Args:
        sources: Results folders; they stay as they are.
        into: The results folder that gets their records; it may have records itself. Its name may be new.
    """
    from layersweep.formatting import count
    from layersweep.records.merging.merge import merge as add

    result = add(sources, into)
    for sweep, rows in result.rows.items():
        added = ", ".join(f"{number:,} rows of {table}" for table, number in rows.items() if number)
        _line(f"{sweep}: {added or 'nothing that was not there'}")
    if result.files:
        _line(f"{count(result.files, 'file')} of weights, checkpoints and logs")
    if result.renumbered_attempts:
        _line(
            f"{count(result.renumbered_attempts, 'attempt')} renumbered: other machines trained the same trials "
            "otherwise; of each trial the one that got furthest counts"
        )
    _line(f"layersweep study SWEEP --results {into} answers a sweep from all of them")
    return OK


def delete(sweep: Sweep, *, yes: bool = False, results: Results = _RESULTS) -> int:
    """Deletes a sweep: its tables, and the checkpoints and logs that no other sweep needs. Its studies stay.

    Args:
        sweep: The sweep, as `list` names it.
        yes: Delete without asking.
        results: The results folder.
    """
    from layersweep.formatting import count
    from layersweep.records import maintenance
    from layersweep.records.lock import sweep_lock
    from layersweep.records.overview import check_recorded

    check_recorded(results, sweep)
    with sweep_lock(results, sweep):
        _print_sizes(maintenance.deletable_files(results, sweep))
        for other, trials in maintenance.trials_to_repeat(results, sweep).items():
            _line(f"sweep {other} also uses {count(trials, 'trial')} of it and would train them again", style="yellow")
        _line(f"the files in {results / 'studies'} stay")
        if not yes and not _confirm(f"delete the sweep {sweep}?"):
            _line("nothing was deleted")
            return FAILED
        maintenance.delete(results, sweep)
    _line(f"deleted the sweep {sweep}")
    return OK


def prune(*, damaged: bool = False, missing: bool = False, dry_run: bool = False, results: Results = _RESULTS) -> int:
    """Deletes files that are no longer needed: leftovers of killed commands, merged parts, old logs and checkpoints.

    Args:
        damaged: Also delete the damaged parts that were set aside.
        missing: Also delete the parts that were set aside because they are missing on a cluster's head.
        dry_run: Only print what would be deleted.
        results: The results folder.
    """
    from layersweep.records import maintenance

    result = maintenance.prune(results, damaged=damaged, missing=missing, dry_run=dry_run)
    for sweep in result.busy_sweeps:
        _line(f"skipped, because a command is running it: {sweep}")
    if not result.groups:
        _line("nothing to delete")
        return OK
    _print_sizes(result.groups)
    size = _size(sum(group.size_bytes for group in result.groups))
    _line(f"would free {size}" if dry_run else f"freed {size}")
    return OK


def main(arguments: Sequence[str]) -> int:
    """Runs a command; returns the exit code: 0 success, 1 not confirmed, 2 bad input (one line on stderr)."""
    try:
        code: int = tyro.extras.subcommand_cli_from_dict(
            {"list": list_, "show": show, "export": export, "merge": merge, "delete": delete, "prune": prune},
            prog="layersweep records",
            description=__doc__,
            args=list(arguments),
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except ResultsError as error:
        sys.stderr.write(terminal(f"error: {error}\n"))
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def _print_trial(trial: "TrialDetails", sweep: str) -> None:
    title = f"trial {trial.trial_id}: {trial.arm}, seed {trial.seed}, {trial.question}"
    trainer = "" if trial.trained_by in (sweep, None) else f"; trained by sweep {trial.trained_by}"
    _line(title + trainer)
    if not trial.ends:
        _line("it has not ended: waiting, running or killed")
    for end in trial.ends:
        facts = [[name, _cell(value)] for name, value in end.items() if value is not None and name not in _IN_HEADING]
        _line(f"\nattempt {end['attempt']}, end {end['continuation']}: {end['outcome']}")
        _table(["", ""], facts, show_header=False)
        if end["traceback"] or end["error_message"]:
            _line(end["traceback"] or f"{end['error_type']}: {end['error_message']}")
    if trial.epochs.height:
        _frame(trial.epochs.select(_EPOCH_COLUMNS))
    if trial.log is not None:
        _line(f"log  {trial.log}")


_IN_HEADING: Final = {
    "sweep", "trial_id", "attempt", "continuation", "outcome", "arm", "seed", "question", "error_type",
    "error_message", "traceback", "log",
}  # fmt: skip
_EPOCH_COLUMNS: Final = (
    "attempt", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy",
    "val_macro_f1", "learning_rate", "decision", "at",
)  # fmt: skip


def _print_sizes(groups: "Iterable[FileGroup]") -> None:
    rows = [[group.name, len(group.paths), _size(group.size_bytes)] for group in groups]
    _table(["what", "files or folders", "size"], rows)


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ResultsError("cannot ask for confirmation without a terminal: give --yes")
    return _console().input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _frame(frame: "pl.DataFrame") -> None:
    columns = [name for name in frame.columns if frame[name].null_count() < frame.height]
    _table([name.replace("_", " ") for name in columns], frame.select(columns).rows())


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, show_header: bool = True) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD if show_header else None, pad_edge=False, show_header=show_header)
    for number, name in enumerate(columns):
        numeric = any(isinstance(row[number], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    _console().print(table)


def _line(text: str, style: str | None = None) -> None:
    _console().print(text, style=style, soft_wrap=True)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"

"""What a results folder has of each attempt, epoch and run, read piece by piece: little memory for each row."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from layersweep.records.errors import ResultsError
from layersweep.records.merging.attempts import Attempt, End
from layersweep.records.read import map_part, parts, sweeps
from layersweep.records.tables import TABLES

EPOCH_KEY: Final = ("trial_id", "attempt", "epoch")
_METRICS: Final = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
"""Two runs of an epoch are the same if they agree in every digit of these."""
_END: Final = ("trial_id", "attempt", "continuation", "outcome", "epochs", "error_type", "ended_at")


def part_files(results: Path, table: str, sweep: str | None = None) -> Iterator[Path]:
    """The parts of a table, of one sweep or of all."""
    for name in sweeps(results, table) if sweep is None else [sweep]:
        yield from parts(results / table / name)


def keys(results: Path, table: str, columns: Sequence[str], sweep: str | None = None) -> pl.DataFrame:
    """Some columns of all rows of a table.

    Raises:
        ResultsError: if a part is damaged, or of a newer schema.
    """
    return _frames(results, table, columns, lambda frame: frame, sweep)


def epoch_counts(results: Path, table: str, sweep: str | None = None) -> pl.DataFrame:
    """The number of rows of each epoch of each attempt, as `rows`."""
    counts = _frames(results, table, EPOCH_KEY, lambda frame: frame.group_by(EPOCH_KEY).len("rows"), sweep)
    return counts.group_by(EPOCH_KEY).agg(pl.col("rows").sum())


class RecordedAttempts:
    """The attempts of all trials of a results folder, whichever sweep recorded them.

    Args:
        results: the folder; it may not exist.

    Raises:
        ResultsError: if a part is damaged, or of a newer schema.
    """

    def __init__(self, results: Path) -> None:
        digest = pl.struct(pl.col(_METRICS).fill_nan(None)).hash(seed=1).alias("digest")
        self._epochs = _frames(
            results, "epochs", (*EPOCH_KEY, *_METRICS), lambda frame: frame.select(*EPOCH_KEY, digest)
        ).unique(EPOCH_KEY, keep="first", maintain_order=True)
        self._ends = _frames(results, "trials", _END, lambda frame: frame)

    @property
    def trial_ids(self) -> set[str]:
        """The trials that have epochs or an end."""
        return {*self._epochs["trial_id"].unique(), *self._ends["trial_id"].unique()}

    def of(self, trial_ids: Iterable[str]) -> dict[str, dict[int, Attempt]]:
        """The attempts of these trials, by their numbers; none of a trial without a row."""
        selection = pl.col("trial_id").is_in([*trial_ids])
        grouped = self._epochs.filter(selection).group_by("trial_id", "attempt").agg("epoch", "digest")
        epochs = {(t, a): dict(zip(es, ds, strict=True)) for t, a, es, ds in grouped.iter_rows()}
        ends: dict[tuple[str, int], list[End]] = {}
        for row in self._ends.filter(selection).sort("attempt", pl.col("continuation").fill_null(0)).to_dicts():
            end = End(
                outcome=row["outcome"] or "",
                reached=row["epochs"] or 0,
                error_type=row["error_type"],
                at=row["ended_at"],
            )
            ends.setdefault((row["trial_id"], row["attempt"]), []).append(end)
        attempts: dict[str, dict[int, Attempt]] = {}
        for trial_id, number in sorted(epochs.keys() | ends.keys()):
            attempt = Attempt(epochs=epochs.get((trial_id, number), {}), ends=(*ends.get((trial_id, number), ()),))
            attempts.setdefault(trial_id, {})[number] = attempt
        return attempts


def sequence_ends(results: Path, sweep: str) -> tuple[dict[str, int], int]:
    """The first sequence number of each command of a sweep, and the first number behind all epochs and commands."""
    runs = keys(results, "runs", ("run", "event", "first_sequence"), sweep)
    starts = runs.filter(pl.col("event") == "start").drop_nulls("first_sequence")
    first = dict(starts.select("run", "first_sequence").iter_rows())
    last = _frames(results, "epochs", ("sequence",), lambda frame: frame.select(pl.col("sequence").max()), sweep)
    highest = last["sequence"].max()
    return first, max(-1 if highest is None else int(str(highest)), max(first.values(), default=0) - 1) + 1


def first_run_at(results: Path, sweep: str) -> float:
    """When the first command of a sweep started, in Unix time; 0 if that is not recorded."""
    at = keys(results, "runs", ("at",), sweep)["at"].drop_nulls().dt.timestamp("us")
    return float(str(at.min() or 0))


def _frames(
    results: Path,
    table: str,
    columns: Sequence[str],
    function: Callable[[pl.DataFrame], pl.DataFrame],
    sweep: str | None = None,
) -> pl.DataFrame:
    frames = []
    for path in part_files(results, table, sweep):
        pieces = map_part(path, results, lambda _, frame: function(frame), columns=columns)
        if pieces is None:
            raise damaged(path)
        frames += pieces
    if frames:
        return pl.concat(frames, how="vertical_relaxed")
    schema = TABLES[table].schema
    empty = pl.DataFrame(pl.from_arrow(schema.empty_table())).with_columns(pl.col(pl.Categorical).cast(pl.String))
    return function(empty.select(columns))


def damaged(path: Path) -> ResultsError:
    """The error for a damaged part: a merge would leave out its rows."""
    return ResultsError(
        f"{path} is damaged, and its rows would be missing after the merge: run the sweep's command there once, which "
        "sets it aside and trains again what it had, or move it away"
    )

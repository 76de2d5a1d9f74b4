"""What the recorded epochs of a sweep come to: a row for each trial.

Each part of `epochs` is read once, piece by piece. So the follower of 100,000 trials keeps one row for each in memory,
not millions of epochs, and a look at the job costs the parts that are new.
"""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from layersweep.records.read import map_part, part_range, parts
from layersweep.records.recorded_times import EPOCH_TIMES, TIME_COLUMNS
from layersweep.tuning.experiment.trials import sign

_COLUMNS: Final = (*TIME_COLUMNS, "rung", "cutoff", "loss", "val_loss")

_EMPTY: Final = pl.DataFrame(
    schema={
        "trial_id": pl.String,
        "attempt": pl.Int32,
        "epoch": pl.Int32,
        "at": pl.Datetime("us", "UTC"),
        "rung": pl.Int32,
        "cutoff": pl.Float64,
        "value": pl.Float64,
        "first_at": pl.Datetime("us", "UTC"),
        "recorded": pl.Int64,
        "seconds": pl.Float64,
        "other_seconds": pl.Float64,
        "order": pl.Int64,
        "best": pl.Float64,
        "best_epoch": pl.Int32,
        "best_order": pl.Int64,
    }
)
"""The columns of `JobEpochs.by_trial`."""


class JobEpochs:
    """The epochs of a sweep that were recorded since a time.

    Attributes:
        results: the results folder.
        sweep: the sweep's name.
        metric: the column that is compared.
        mode: `max` or `min`, whether larger or smaller is better.
    """

    def __init__(self, results: Path, sweep: str, *, metric: str, mode: str) -> None:
        self.results, self.sweep, self.metric, self.mode = results, sweep, metric, mode
        self._selection: pl.Expr = pl.lit(value=True)
        self._start: tuple[datetime, int | None] | None = None
        self._parts: dict[str, pl.DataFrame] = {}

    def by_trial(self, since: datetime, first_sequence: int | None) -> pl.DataFrame:
        """A row for each trial with an epoch since then, in the order of their first epochs.

        Which epochs count follows from their number in the sequence, because a clock may be set back meanwhile; from
        the time only if `first_sequence`, the number of the first one, was not recorded.

        The columns are `trial_id`; `recorded`, `first_at`, `seconds` and `other_seconds` as `epoch_times` makes them;
        `attempt`, `epoch`, `at` and `value` of its last epoch; `rung` and `cutoff` of its last rung; `best` and
        `best_epoch`, its best value. Epochs whose loss or metric is not finite do not count for the best. `order` and
        `best_order` rise as rows were recorded.

        Raises:
            ResultsError: if the records cannot be read.
        """
        if self._start != (since, first_sequence):
            self._start, self._parts = (since, first_sequence), {}
            is_later = pl.col("at") >= since
            self._selection = is_later if first_sequence is None else pl.col("sequence") >= first_sequence
        files = {path.name: path for path in parts(self.results / "epochs" / self.sweep)}
        self._parts = {name: self._parts[name] if name in self._parts else self._part(files[name]) for name in files}
        return _combined(pl.concat([_EMPTY, *self._parts.values()]), self.mode)

    def _part(self, path: Path) -> pl.DataFrame:
        """The rows of one part."""
        span = part_range(path)
        first_order = 0 if span is None else span[0] << 32
        columns = [*dict.fromkeys((*_COLUMNS, self.metric))]
        rows = map_part(path, self.results, partial(self._piece, first_order), columns=columns)
        return _combined(pl.concat([_EMPTY, *(rows or ())]), self.mode)

    def _piece(self, first_order: int, first_row: int, epochs: pl.DataFrame) -> pl.DataFrame:
        """The rows of a piece of a part, which begins at `first_row`."""
        finite = pl.all_horizontal(
            pl.col(name).is_finite().fill_null(value=True) for name in {self.metric, "loss", "val_loss"}
        )
        is_candidate = finite & pl.col(self.metric).is_not_null()
        order = pl.int_range(pl.len(), dtype=pl.Int64) + first_order + first_row
        rows = epochs.filter(self._selection).select(
            *("trial_id", "attempt", "epoch", "at", "rung", "cutoff"),
            value=pl.col(self.metric),
            first_at=pl.col("at"),
            recorded=pl.lit(1, dtype=pl.Int64),
            **EPOCH_TIMES,
            order=order,
            best=pl.when(is_candidate).then(self.metric),
            best_epoch=pl.when(is_candidate).then("epoch"),
            best_order=pl.when(is_candidate).then(order),
        )
        return _combined(rows.select(_EMPTY.columns), self.mode)


def _combined(rows: pl.DataFrame, mode: str) -> pl.DataFrame:
    """Rows of trials, of which each may have several, as one row for each trial."""
    best = pl.col("best").max() if sign(mode) > 0 else pl.col("best").min()
    return (
        rows.sort("attempt", "epoch", maintain_order=True)
        .group_by("trial_id")
        .agg(
            pl.col("attempt", "epoch", "at").last(),
            pl.col("rung", "cutoff").filter(pl.col("rung").is_not_null()).last(),
            pl.col("value").last(),
            pl.col("first_at").first(),
            pl.col("recorded", "seconds", "other_seconds").sum(),
            pl.col("order").min(),
            best,
            pl.col("best_epoch", "best_order").filter(pl.col("best") == best).first(),
        )
        .sort("order")
        .select(rows.columns)
    )

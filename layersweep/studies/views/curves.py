"""The learning curve of each trial; of many trials, the best."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from layersweep.formatting import count
from layersweep.studies.views.json_values import digits, tenths
from layersweep.studies.views.trial_table import RUNNING, TrialTable

MOST_EPOCHS: Final = 60_000
"""The page's limit: with more, it would be slow, and the report large. Of many trials, it is lower."""
_FEWEST_EPOCHS: Final = 20_000
_EPOCHS_OF_TRIAL: Final = 4
"""A row of a trial takes as much space as so many epochs."""

Curve = dict[str, Any]

_MARK: Final = ("trial_id", "attempt", "points", "first_epoch", "epoch", "sequence")
"""What changes with the epochs of a trial."""


class Curves:
    """The curves of a sweep, made anew only for trials with new epochs."""

    def __init__(self) -> None:
        self._curves: dict[str, tuple[tuple[Any, ...], Curve]] = {}

    def of(self, table: TrialTable, rows: pl.DataFrame, *, higher: bool) -> tuple[dict[str, Curve], str]:
        """The curve of each trial by its id, and a note if there are too many for the page.

        A curve has its first epoch, the metric of each epoch (v), the seconds since the start of the sweep (t) and the
        seconds that the trial has spent (s). The curve of a trial without new epochs is the same object as before.

        Args:
            table: the trials.
            rows: its rows.
            higher: whether a higher value is better.
        """
        trained = rows.filter(pl.col("epoch") > 0)
        selected = _selection(trained, higher=higher)
        marks = {row[0]: row for row in selected.select(_MARK).iter_rows()}
        changed = [name for name, mark in marks.items() if name not in self._curves or self._curves[name][0] != mark]
        fresh = _curves(table.points(changed)) if changed else {}
        self._curves = {
            name: (mark, fresh[name]) if name in fresh else self._curves[name] for name, mark in marks.items()
        }
        total = trained.height
        note = f"the curves of the best {len(marks):,} of {count(total, 'trial')}" if len(marks) < total else ""
        return {name: curve for name, (_, curve) in self._curves.items()}, note


def _curves(epochs: pl.DataFrame) -> dict[str, Curve]:
    columns = digits(pl.col("value")).alias("v"), tenths(pl.col("t")).alias("t"), tenths(pl.col("s")).alias("s")
    lists = (
        epochs.select("trial_id", "epoch", *columns)
        .group_by("trial_id")
        .agg("epoch", "v", "t", "s")
        .select(
            "trial_id",
            pl.col("epoch").list.first().alias("first"),
            pl.col("epoch").list.last().alias("last"),
            "epoch",
            "v",
            "t",
            "s",
        )
    )
    return {row["trial_id"]: _curve(row) for row in lists.iter_rows(named=True)}


def _curve(row: Mapping[str, Any]) -> Curve:
    """A curve without gaps: an epoch whose part is damaged has no value."""
    first, epochs = row["first"], row["epoch"]
    if row["last"] - first + 1 == len(epochs):
        return {"first": first, "v": row["v"], "t": row["t"], "s": row["s"]}
    places = {epoch: place for place, epoch in enumerate(epochs)}
    order = [places.get(epoch) for epoch in range(first, row["last"] + 1)]
    return {"first": first} | {
        name: [None if place is None else row[name][place] for place in order] for name in ("v", "t", "s")
    }


def _selection(trained: pl.DataFrame, *, higher: bool) -> pl.DataFrame:
    """The trials whose curves are shown: those that run, the best of each arm, the best of all."""
    most = min(MOST_EPOCHS, max(_FEWEST_EPOCHS, MOST_EPOCHS - _EPOCHS_OF_TRIAL * trained.height))
    if int(trained["points"].sum()) <= most:
        return trained
    best = (pl.col("best") if higher else -pl.col("best")).fill_null(-float("inf"))
    ranked = trained.with_columns(best.alias("score"))
    is_best_of_arm = pl.col("score") == pl.col("score").max().over("arm")
    ranked = ranked.sort(pl.col("state") != RUNNING, ~is_best_of_arm, -pl.col("score"), maintain_order=True)
    return ranked.filter(pl.col("points").cum_sum() <= most)

"""The learning curve of each trial; of many trials, the best."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from layersweep.formatting import count
from layersweep.studies.views.json_values import digits, tenths
from layersweep.studies.views.trial_table import RUNNING, TrialTable

MOST_EPOCHS: Final = 60_000
"""The page's limit: with more, it would be slow, and the report large."""

Curve = dict[str, Any]


class Curves:
    """The curves of a sweep, made anew only for trials with new epochs."""

    def __init__(self) -> None:
        self._curves: dict[str, tuple[tuple[Any, ...], Curve]] = {}

    def of(self, table: TrialTable, *, higher: bool) -> tuple[dict[str, Curve], str]:
        """The curve of each trial by its id, and a note if there are too many for the page.

        A curve has its first epoch, the metric of each epoch (v), the seconds since the start of the sweep (t) and the
        seconds that the trial has spent (s).
        """
        ids = _selection(table.rows, higher=higher)
        state = table.epochs.filter(pl.col("trial_id").is_in(ids)) if ids is not None else table.epochs
        marks = {
            row[0]: row
            for row in state.group_by("trial_id")
            .agg(
                pl.col("attempt").last(),
                pl.len(),
                pl.col("epoch").first(),
                pl.col("epoch").last().alias("last"),
                pl.col("sequence").max(),
            )
            .iter_rows()
        }
        changed = [name for name, mark in marks.items() if name not in self._curves or self._curves[name][0] != mark]
        part = state if len(changed) == len(marks) else state.filter(pl.col("trial_id").is_in(changed))
        fresh = _curves(part)
        self._curves = {
            name: (mark, fresh[name]) if name in fresh else self._curves[name] for name, mark in marks.items()
        }
        total = int((table.rows["epoch"] > 0).sum())
        note = f"the curves of the best {len(marks):,} of {count(total, 'trial')}" if len(marks) < total else ""
        return {name: self._curves[name][1] for name in marks}, note


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


def _selection(rows: pl.DataFrame, *, higher: bool) -> list[str] | None:
    """The trials whose curves are shown: those that run, the best of each arm, the best of all; None for all."""
    if int(rows["epoch"].sum()) <= MOST_EPOCHS:
        return None
    best = pl.col("best") if higher else -pl.col("best")
    ranked = rows.filter(pl.col("epoch") > 0).with_columns(best.fill_null(-float("inf")).alias("score"))
    is_best_of_arm = pl.col("score") == pl.col("score").max().over("arm")
    ranked = ranked.sort(
        pl.col("state") != RUNNING, ~is_best_of_arm, -pl.col("score"), maintain_order=True
    )  # fmt: skip
    return ranked.filter(pl.col("epoch").cum_sum() <= MOST_EPOCHS)["trial_id"].to_list()

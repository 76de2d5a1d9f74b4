"""The table of arms: verdicts of the last finished look, and before it what each arm has reached so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from layersweep.records.questions import TUNING
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.latest_names import with_latest_names
from layersweep.studies.statistics.short_names import shorten_names
from layersweep.studies.views.json_values import number
from layersweep.studies.wording.arm_columns import arm_columns
from layersweep.studies.wording.number_formats import share


@dataclass(frozen=True, kw_only=True)
class ArmTable:
    """The table of arms.

    Attributes:
        columns: name, heading, is_text and shown (at first) of each column.
        rows: arm, verdict, cells (texts) and values (to sort by) of each arm.
    """

    columns: Sequence[Mapping[str, Any]]
    rows: Sequence[Mapping[str, Any]]

    def with_others(self, trials: pl.DataFrame) -> "ArmTable":
        """The table with the arms that it does not have at its end: they joined later, and nothing is compared yet.

        Args:
            trials: all trials: arm, state.
        """
        others = trials.filter(~pl.col("arm").is_in([row["arm"] for row in self.rows]))
        rows = []
        for arm, states in _states(others).items():
            texts = {"arm": arm, "verdict": states}
            cells = [texts.get(column["name"], "") for column in self.columns]
            rows.append({"arm": arm, "verdict": "", "cells": cells, "values": [cell or None for cell in cells]})
        return replace(self, rows=[*self.rows, *rows]) if rows else self


def arm_names(rows: pl.DataFrame, plan: pl.DataFrame, trials: pl.DataFrame, comparison: Comparison | None) -> list[str]:
    """The name of each trial's arm as a study writes it: the latest one, without what all arms share.

    The names of a comparison stay, so that its table is about the same arms; it may be older than the plan.
    """
    latest = with_latest_names(rows, trials)["arm"].to_list()
    by_run = [part["arm"].to_list() for _, part in plan.group_by("run", maintain_order=True)]
    short_names = shorten_names([*dict.fromkeys(latest)], by_run)
    if comparison is not None:
        frames = (comparison.replicates.rows, comparison.replicates.candidates)
        compared = dict(pl.concat([frame.select("trial_id", "arm") for frame in frames]).rows())
        ids = rows["trial_id"].to_list()
        short_names |= {name: compared[i] for name, i in zip(latest, ids, strict=True) if i in compared}
    return [short_names[name] for name in latest]


def compared_table(comparison: Comparison) -> ArmTable:
    """The table of a comparison."""
    columns = arm_columns(comparison)
    rows = [
        {
            "arm": row["arm"],
            "verdict": row["verdict"],
            "cells": [column.text(row) for column in columns],
            "values": [_plain(column.value(row)) for column in columns],
            "difference": [number(row[name]) for name in ("difference", "difference_low", "difference_high")],
        }
        for row in comparison.arms.to_dicts()
    ]
    heads = [{"name": c.name, "heading": c.heading, "is_text": c.is_text, "shown": c.is_in_terminal} for c in columns]
    return ArmTable(columns=heads, rows=rows)


def table_so_far(rows: pl.DataFrame, *, higher: bool) -> ArmTable:
    """The arms before the first look, best first: the mean of the last values, which are of different epochs.

    Args:
        rows: the trials: arm, question, state, epoch, value.
        higher: whether a higher value is better.
    """
    finite = pl.col("value").filter(pl.col("value").is_finite() & (pl.col("question") != TUNING).fill_null(value=True))
    candidates = pl.col("value").filter(pl.col("value").is_finite())
    means = rows.group_by("arm", maintain_order=True).agg(
        finite.mean().alias("mean"),
        (candidates.max() if higher else candidates.min()).alias("best"),
        finite.len().alias("n"),
        pl.col("epoch").sum(),
    )
    order = pl.col("mean").fill_null(pl.col("best"))
    means = means.sort(order if not higher else -order, nulls_last=True, maintain_order=True)
    states = _states(rows)
    heads = [
        {"name": name, "heading": heading, "is_text": is_text, "shown": True}
        for name, heading, is_text in (
            ("arm", "arm", True), ("so_far", "so far", False), ("n", "n", False), ("epochs", "epochs", False),
            ("state", "state", True),
        )
    ]  # fmt: skip
    return ArmTable(
        columns=heads,
        rows=[
            {
                "arm": row["arm"],
                "verdict": "",
                "cells": [row["arm"], "" if row["mean"] is None else share(row["mean"]), str(row["n"] or ""),
                          f"{row['epoch']:,}", states[row["arm"]]],
                "values": [row["arm"], number(row["mean"]), row["n"], row["epoch"], states[row["arm"]]],
            }
            for row in means.to_dicts()
        ],
    )  # fmt: skip


def _states(rows: pl.DataFrame) -> dict[str, str]:
    """The states of the trials of each arm: `2 completed, 1 running`."""
    counts = rows.group_by("arm", "state", maintain_order=True).len()
    texts = (
        counts.select("arm", text=pl.format("{} {}", "len", "state")).group_by("arm", maintain_order=True).agg("text")
    )
    return {arm: ", ".join(parts) for arm, parts in texts.rows()}


def _plain(value: Any) -> Any:
    return number(value) if isinstance(value, float) else value

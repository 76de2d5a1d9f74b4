"""What is counted and summed for each arm: outcomes, values, epochs, seconds, sizes, reasons of failures."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Final

import numpy as np
import polars as pl

from layersweep.records.questions import SCREENING
from layersweep.records.tables import STOPPED_ON_REQUEST
from layersweep.studies.statistics.chance_level import learned_shares
from layersweep.studies.statistics.failure_reasons import failure_reasons, warning_counts
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES

NEVER_LEARNED: Final = "never learned"
STATUSES: Final = (
    "compared", "screened out", STOPPED_ON_REQUEST, "unfinished", NEVER_LEARNED, "diverged", "hopeless", "failed",
)  # fmt: skip
"""What can be said of an arm before any comparison, in the order in which arms are shown."""
_OUTCOMES: Final = ("completed", "stopped", STOPPED_ON_REQUEST, *EXCLUDED_OUTCOMES, "unfinished", SCREENING)
_UNKNOWN: Final = (
    "low", "high", "difference", "difference_low", "difference_high", "new_training", "tuning_epochs", "tuning_seconds",
)  # fmt: skip
_STOP: Final = ("rung", "cutoff", "stop_accuracy")
_IS_EXCLUDED: Final = pl.col("outcome").is_in(EXCLUDED_OUTCOMES)

Row = dict[str, Any]


def arm_rows(replicates: pl.DataFrame, flags: pl.DataFrame) -> dict[str, Row]:
    """A row for each arm by its name, without verdicts.

    Args:
        replicates: as `Replicates.rows`.
        flags: as made by `learning_flags`, in the same order.
    """
    values = replicates.with_columns(flags["learned"].fill_null(value=False))
    sums = values.group_by("arm", maintain_order=True).agg(*_sums())
    shares = {row["arm"]: row for row in learned_shares(flags).to_dicts()}
    stops, reasons, notes = _first_stops(values), _texts(values, _IS_EXCLUDED), _texts(values, pl.col("warning") != "")
    rows = {}
    for row in sums.to_dicts():
        arm, trainings, share = row["arm"], row.pop("values"), shares[row["arm"]]
        row["status"] = row["verdict"] = _status(row, has_learned=bool(trainings))
        rows[arm] = {
            **row,
            **mean_and_sd(trainings if row["status"] == "compared" else []),
            **dict.fromkeys(_UNKNOWN),
            **{name: share[name] for name in ("learned", "ended")},
            "learned_low": share["low"],
            "learned_high": share["high"],
            **(stops.get(arm) or dict.fromkeys((*_STOP, "rung_last"))),
            "reasons": failure_reasons(reasons[arm]) if arm in reasons else "",
            "notes": warning_counts(notes[arm]) if arm in notes else "",
        }
    return rows


def row_without_trainings(arm: str) -> Row:
    """The row of an arm of which only its tuning is recorded."""
    return {
        "arm": arm,
        "status": "unfinished",
        **dict.fromkeys((*_OUTCOMES, "replicates", "learned", "ended", "epochs", "latency_n"), 0),
        **mean_and_sd([]),
        "seconds": 0.0,
        "seconds_training": 0.0,
        "reasons": "",
        "notes": "",
        **dict.fromkeys((*_UNKNOWN, *_STOP, "rung_last", "learned_low", "learned_high", "parameters", "flops")),
        **dict.fromkeys(("size_bytes", "latency", "latency_unit", "latency_low", "latency_high")),
        **dict.fromkeys(("latency_busy_low", "latency_busy_high")),
    }


def mean_and_sd(values: Sequence[float], prefix: str = "") -> Row:
    """The columns n, mean and, for two values or more, sd (standard deviation)."""
    return {
        f"{prefix}n": len(values),
        f"{prefix}mean": fmean(values) if values else None,
        f"{prefix}sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }


def _sums() -> list[pl.Expr]:
    """The columns that are counted or summed over the replicates of an arm."""
    return [
        *((pl.col("outcome") == name).sum().cast(pl.Int64).alias(name) for name in _OUTCOMES),
        (pl.col("outcome") != SCREENING).sum().cast(pl.Int64).alias("replicates"),
        pl.col("accuracy").filter(pl.col("learned") & pl.col("accuracy").is_not_null()).alias("values"),
        pl.col("epochs_spent").sum().cast(pl.Int64).alias("epochs"),
        pl.col("seconds", "seconds_training").sum(),
        pl.col("parameters", "flops", "size_bytes").max(),
        pl.col("latency").median(),
        pl.col("latency_unit").first(),
        pl.col("latency").min().alias("latency_low"),
        pl.col("latency").max().alias("latency_high"),
        pl.col("latency").count().alias("latency_n"),
        pl.col("latency_busy_slots").min().alias("latency_busy_low"),
        pl.col("latency_busy_slots").max().alias("latency_busy_high"),
    ]


def _first_stops(values: pl.DataFrame) -> dict[str, Row]:
    """The first stop of each arm that was stopped, and the rung of the last one."""
    stops = values.filter(pl.col("outcome") == "stopped").sort("rung", "stop_accuracy", nulls_last=True)
    first = [pl.col(name).first() for name in _STOP]
    by_arm = stops.group_by("arm").agg(*first, pl.col("rung").last().alias("rung_last"))
    return {row.pop("arm"): row for row in by_arm.to_dicts()}


def _texts(values: pl.DataFrame, condition: pl.Expr) -> dict[str, pl.DataFrame]:
    """The replicates of each arm that has one with this condition; few arms have."""
    arms = values.filter(condition)["arm"].unique().to_list()
    parts = values.filter(pl.col("arm").is_in(arms)).group_by("arm")
    return {str(arm): part for (arm,), part in parts}


def _status(counts: Mapping[str, Any], *, has_learned: bool) -> str:
    if counts["stopped"]:
        return "screened out"
    if counts[STOPPED_ON_REQUEST]:
        return STOPPED_ON_REQUEST
    if counts["completed"]:
        return "compared" if has_learned else NEVER_LEARNED
    if counts["hopeless"] and not counts["diverged"] and not counts["failed"]:
        return "hopeless"
    if counts["unfinished"]:
        return "unfinished"
    return next((name for name in EXCLUDED_OUTCOMES if counts[name]), "unfinished")

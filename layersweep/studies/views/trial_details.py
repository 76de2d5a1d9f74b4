"""What the page says of one trial: its configuration, its attempts, its layers, its log."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from layersweep.records.read import read
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import SECONDS, configuration
from layersweep.studies.views.json_values import number

_LOG_BYTES: Final = 4096
_LAYER_COLUMNS: Final = (
    "name", "kind", "parameters", "activation_mean", "dead_share", "weight_norm", "gradient_norm",
)  # fmt: skip
_END_COLUMNS: Final = ("log", "traceback")


def trial_details(
    results: Path, ids: Sequence[str], configs: Mapping[str, str | None], leader_config: str | None, *, log_bytes: int
) -> dict[str, Any]:
    """The details of trials, by id.

    Args:
        results: the results folder.
        ids: the trials.
        configs: the configuration of each, as recorded.
        leader_config: that of the leading arm; None if no arm leads.
        log_bytes: how many bytes all logs may have together.
    """
    is_selected = pl.col("trial_id").is_in(list(ids))
    ends = read(results, "trials").filter(is_selected).sort("attempt", "continuation")
    layers = read(results, "layers", columns=("trial_id", "attempt", "epoch", "index", *_LAYER_COLUMNS))
    layers = layers.filter(is_selected)
    last = layers.sort("attempt", "epoch").unique("trial_id", keep="last").select("trial_id", "attempt", "epoch")
    layers = layers.join(last, on=["trial_id", "attempt", "epoch"]).sort("index")
    layers = layers.unique(["trial_id", "index"], keep="last", maintain_order=True)
    by_trial = {str(name): part for (name,), part in layers.group_by("trial_id", maintain_order=True)}
    rows_by_trial: dict[str, list[dict[str, Any]]] = {}
    for row in ends.to_dicts():
        rows_by_trial.setdefault(row["trial_id"], []).append(row)
    details = {}
    leader = configuration(leader_config)
    for name in ids:
        rows = rows_by_trial.get(name, [])
        log = _log(results, name, rows)[-max(0, min(_LOG_BYTES, log_bytes)) :] if log_bytes > 0 else ""
        log_bytes -= len(log.encode())
        details[name] = {
            "config": _config(configs.get(name), leader),
            "attempts": [_attempt(row) for row in rows],
            "layers": _layers(by_trial.get(name)),
            "log": log,
            "traceback": next((row["traceback"] for row in reversed(rows) if row["traceback"]), ""),
        }
    return details


def leading_config(comparison: Comparison | None) -> str | None:
    """The configuration of the leading arm, as recorded; None if no arm leads."""
    if comparison is None or not comparison.compared_arms:
        return None
    rows = comparison.replicates.rows.filter(pl.col("arm") == comparison.leader["arm"])
    return next(iter(rows["config_json"].drop_nulls()), None)


def _config(text: str | None, leader: Mapping[str, Any]) -> list[list[Any]]:
    """The configuration: key, value, the value of the leading arm; what differs from the leader's comes first."""
    config = configuration(text)
    pairs = [[key, _text(config.get(key)), _text(leader.get(key)) if leader else ""] for key in {**config, **leader}]
    return sorted(pairs, key=lambda pair: not leader or pair[1] == pair[2])


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _attempt(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "attempt": row["attempt"],
        "continuation": row["continuation"],
        "outcome": row["outcome"],
        "reason": row["reason"] or "",
        "error": row["error_type"] or "",
        "host": row["host"] or "",
        "seconds": number(sum(row[name] or 0.0 for name in SECONDS)),
        "epochs": row["epochs"],
    }


def _layers(part: pl.DataFrame | None) -> dict[str, Any] | None:
    if part is None:
        return None
    rows = part.select(_LAYER_COLUMNS).rows()
    return {
        "epoch": part["epoch"][0],
        "rows": [[number(value) if isinstance(value, float) else value for value in row] for row in rows],
    }


def _log(results: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The end of a trial's log: of its file, or as it was recorded with a failure; "" if there is none."""
    path = results / "logs" / f"{name}.log"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES), os.SEEK_SET)
            return file.read(_LOG_BYTES).decode(errors="replace")
    except (OSError, ValueError):  # a name that no file can have
        recorded = [row["log"] for row in rows if row["log"]]
        return str(recorded[-1]) if recorded else ""

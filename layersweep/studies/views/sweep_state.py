"""What a sweep is doing, in a sentence and in numbers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from layersweep.formatting import count, duration
from layersweep.records.overview import UNFINISHED
from layersweep.studies.views.json_values import number
from layersweep.studies.views.trial_table import RUNNING, WAITING, Clock

NOT_ENDED: Final = (RUNNING, WAITING, UNFINISHED)


def sweep_state(
    rows: pl.DataFrame, runs: pl.DataFrame, clock: Clock, *, slot_seconds: float, look: str
) -> dict[str, Any]:
    """The state of a sweep.

    Args:
        rows: the trials.
        runs: the rows of `runs` of this sweep.
        clock: the times of the sweep.
        slot_seconds: the time of all slots so far.
        look: which look the verdicts are of.
    """
    is_running = clock.run is not None
    slots = _slots(runs, clock.run)
    seconds_left = _seconds_left(rows, slots) if is_running else None
    return {
        "running": is_running,
        "sentence": _running(rows, seconds_left) if is_running else _ended(rows, runs),
        "seconds_left": number(seconds_left),
        "slots": slots,
        "slot_hours": number(slot_seconds / 3600),
        "look": look,
    }


def _slots(runs: pl.DataFrame, run: str | None) -> int | None:
    own = runs if run is None else runs.filter(pl.col("run") == run)
    slots = own["slots"].drop_nulls()
    return int(slots[-1]) if slots.len() else None


def _seconds_left(rows: pl.DataFrame, slots: int | None) -> float | None:
    """The epochs to come times the mean seconds of an epoch so far, on all slots; None before the first epoch."""
    epochs = int(rows["epoch"].sum())
    if not epochs or not slots:
        return None
    to_come = rows.filter(pl.col("state").is_in([RUNNING, WAITING])).select(
        (pl.col("epochs").fill_null(0) - pl.col("epoch")).clip(lower_bound=0).sum()
    )
    return float(to_come.item() or 0) * float(rows["seconds"].sum()) / epochs / slots


def _running(rows: pl.DataFrame, seconds_left: float | None) -> str:
    running = rows.filter(pl.col("state") == RUNNING).height
    ended = rows.filter(~pl.col("state").is_in(NOT_ENDED)).height
    verbs = "has" if ended == 1 else "have", "runs" if running == 1 else "run"
    left = "" if seconds_left is None else f"; about {duration(seconds_left)} left"
    return f"{ended:,} of {count(rows.height, 'trial')} {verbs[0]} ended, {running:,} {verbs[1]}{left}"


def _ended(rows: pl.DataFrame, runs: pl.DataFrame) -> str:
    starts = runs.filter(pl.col("event") == "start")
    trials = count(rows.height, "trial")
    if starts.is_empty():
        return f"not running: {trials}"
    start: Mapping[str, Any] = starts.row(-1, named=True)
    ends = runs.filter(pl.col("event") == "end", pl.col("run") == start["run"])
    unfinished = rows.filter(pl.col("state") == UNFINISHED).height
    rest = f"; {unfinished:,} of {trials} unfinished" if unfinished else f": {trials}"
    if ends.is_empty():
        return f"killed or interrupted; the last command started {_minute(start['at'])}{rest}"
    end: Mapping[str, Any] = ends.row(-1, named=True)
    outcome = "ended" if end["outcome"] in (None, "completed") else end["outcome"]
    spent = end["seconds_wall"]
    if spent is None and None not in (start["at"], end["at"]):
        spent = max(0.0, (end["at"] - start["at"]).total_seconds())
    time = "" if spent is None else f" in {duration(spent)}"
    return f"{outcome} {_minute(end['at'])}{rest}{time if not unfinished else ''}"


def _minute(at: datetime | None) -> str:
    return "at an unknown time" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def look_sentence(comparison_is_there: bool, *, is_running: bool, rows: pl.DataFrame) -> str:
    """Which look the verdicts are of."""
    if not comparison_is_there:
        return "No look has ended yet: means so far are of different epochs and decide nothing." if is_running else ""
    if not is_running:
        return ""
    new = rows.filter(pl.col("state").is_in([RUNNING, WAITING])).height
    return f"The verdicts are those of the last finished look; {count(new, 'trial')} of the present one have not ended."

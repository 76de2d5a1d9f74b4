"""What a sweep is doing, in a sentence and in numbers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from layersweep.formatting import count, duration
from layersweep.records.overview import UNFINISHED
from layersweep.records.recorded_times import CommandTimes, options_of
from layersweep.studies.views.json_values import number
from layersweep.studies.views.trial_table import RUNNING, WAITING, Clock

NOT_ENDED: Final = (RUNNING, WAITING, UNFINISHED)


def sweep_state(
    rows: pl.DataFrame,
    runs: pl.DataFrame,
    clock: Clock,
    *,
    left: float | None,
    slot_seconds: float,
    is_starting: bool = False,
) -> dict[str, Any]:
    """The state of a sweep.

    Args:
        rows: the trials.
        runs: the rows of `runs` of this sweep.
        clock: the times of the sweep.
        left: the seconds that the command still takes; None if that is unknown.
        slot_seconds: the time of all slots so far.
        is_starting: whether a command is at work whose run is not recorded yet.
    """
    is_running = clock.run is not None
    slots = _slots(runs, clock.run)
    return {
        "running": is_running or is_starting,
        "sentence": _running(rows, left) if is_running else _starting(rows) if is_starting else _ended(rows, runs),
        "seconds_left": number(left),
        "slots": slots,
        "slot_hours": number(slot_seconds / 3600),
    }


def _slots(runs: pl.DataFrame, run: str | None) -> int | None:
    own = runs if run is None else runs.filter(pl.col("run") == run)
    slots = own["slots"].drop_nulls()
    return int(slots[-1]) if slots.len() else None


def seconds_left(
    tables: Mapping[str, pl.DataFrame], rows: pl.DataFrame, times: pl.DataFrame, clock: Clock, now: datetime
) -> float | None:
    """About how long the command that runs still takes; None if none does, or as long as that cannot be told.

    Args:
        tables: plan, runs, trials and epochs.
        rows: the trials.
        times: what their epochs took in this command.
        clock: the times of the sweep.
        now: the time.
    """
    if clock.run is None:
        return None
    is_of_command = pl.col("run") == clock.run
    (start,) = tables["runs"].filter(is_of_command, pl.col("event") == "start").tail(1).to_dicts()
    has_ended = ~pl.col("state").is_in(NOT_ENDED)
    due = rows.filter(is_of_command.fill_null(value=False), ~has_ended | (pl.col("end_run") == clock.run))
    ended = due.filter(has_ended).select("trial_id")
    ends = tables["trials"].filter(is_of_command).join(ended, on="trial_id", how="semi")
    command = CommandTimes(
        options=options_of(start),
        due=due.select("trial_id", "arm", "question", "epochs"),
        epochs=times,
        ends=ends.unique("trial_id", keep="last", maintain_order=True),
        slots=start["slots"] or 1,
    )
    return command.seconds_left(now)


def _running(rows: pl.DataFrame, left: float | None) -> str:
    running = rows.filter(pl.col("state") == RUNNING).height
    ended = rows.filter(~pl.col("state").is_in(NOT_ENDED)).height
    verbs = "has" if ended == 1 else "have", "runs" if running == 1 else "run"
    rest = "" if left is None else f"; about {duration(left)} left"
    return f"{ended:,} of {count(rows.height, 'trial')} {verbs[0]} ended, {running:,} {verbs[1]}{rest}"


def _starting(rows: pl.DataFrame) -> str:
    ended = rows.filter(~pl.col("state").is_in(NOT_ENDED)).height
    verb = "has" if ended == 1 else "have"
    return f"starting; {ended:,} of {count(rows.height, 'trial')} {verb} ended"


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
    verb = "has" if new == 1 else "have"
    return f"The verdicts are those of the last finished look; {count(new, 'trial')} of this one {verb} not ended."

"""Prepares the values of every view of a sweep, again and again while it runs; what did not change is not made anew."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl

from layersweep.formatting import count
from layersweep.records.lock import lists_locks
from layersweep.records.metrics import METRICS
from layersweep.records.read import read
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.recorded_comparison import ArmGroup, training_runs
from layersweep.studies.statistics.arm_comparison import RUN_AGAIN, Comparison
from layersweep.studies.views.arm_table import ArmTable, arm_names, compared_table, table_so_far
from layersweep.studies.views.comparison_views import NO_COMPARISON, comparison_views
from layersweep.studies.views.configuration_keys import configuration_keys, keys_and_values
from layersweep.studies.views.curves import Curves
from layersweep.studies.views.importance import importance
from layersweep.studies.views.json_values import digits, tenths
from layersweep.studies.views.slot_times import SlotTimes
from layersweep.studies.views.sweep_state import NOT_ENDED, look_sentence, seconds_left, sweep_state
from layersweep.studies.views.trial_table import RUNNING, Clock, TrialTable

MOST_TRIALS: Final = 10_000
"""The page's limit; of more trials, those that were planned last are shown."""

_ESTIMATED_TRIALS: Final = 1_000
"""The time left is estimated at most once for so many trials in a second."""

_Value = TypeVar("_Value")


class ViewPreparer:
    """The views of one sweep, or of one group of its arms.

    Args:
        results: the results folder.
        sweep: the name of the sweep.
        question: what the sweep asks.
        group: the arms to show; None for all.
    """

    def __init__(self, results: Path, sweep: str, question: StudyQuestion, *, group: ArmGroup | None = None) -> None:
        self._results, self._sweep, self._question, self._group = results, sweep, question, group
        self._table, self._curves, self._slots = TrialTable(sweep, metric=question.metric), Curves(), SlotTimes(sweep)
        self._recent: dict[str, tuple[Hashable, Any]] = {}
        self._comparison: Comparison | None = None
        self._look = 0

    def prepare(
        self,
        tables: Mapping[str, pl.DataFrame],
        comparison: Comparison | None = None,
        *,
        now: datetime | None = None,
        is_running: bool = False,
        changed: Collection[str] | None = None,
        notes: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The payload of the page, without details of trials. Parts that have not changed are often the same objects.

        Args:
            tables: plan, runs, trials and epochs, as `LiveRecords.tables`.
            comparison: that of the last finished look; None before it. It is read only when it is another object.
            now: the time; by default that of the clock.
            is_running: whether a command runs the sweep.
            changed: the trials with other rows than at the last call (`LiveRecords.take_changes`); None: any may have.
            notes: sentences about the records: damaged parts, for example.
        """
        if comparison is not self._comparison:
            self._comparison, self._look = comparison, self._look + 1
        clock = Clock.of(tables, self._sweep, is_running=is_running)
        all_rows = self._rows(tables, clock, comparison, changed)
        rows = all_rows.tail(MOST_TRIALS)
        if rows.height < all_rows.height:
            notes = [*notes, f"The page shows the last {rows.height:,} of {count(all_rows.height, 'trial')}."]
        now = now or datetime.now(UTC)
        left = self._seconds_left(tables, rows, clock, now)
        slots, slot_seconds = self._slots.of(tables, clock, _seconds(clock, now), _last_epochs(all_rows))
        look = look_sentence(comparison is not None, is_running=clock.run is not None, rows=rows)
        curves, curves_note = self._curves.of(self._table, rows, higher=self._higher)
        is_starting = is_running and clock.run is None and lists_locks()
        state = sweep_state(rows, tables["runs"], clock, left=left, slot_seconds=slot_seconds, is_starting=is_starting)
        payload = {
            "sweep": self._sweep,
            "question": self._title,
            "metric": self._question.metric,
            "higher": self._higher,
            "epochs": _planned_epochs(rows),
            "state": state | {"look": look},
            **self._arms_and_comparison(tables, rows, comparison, notes, is_running=state["running"]),
            **self._keys_and_importance(rows, tables["trials"]),
            "curves": curves,
            "curves_note": curves_note,
            "slots": slots,
            "details": {},
        }
        payload["trials"]["config"] = payload.pop("config")
        return payload

    @property
    def _title(self) -> str:
        return f"{self._question.text} ({self._group.key} {self._group.value})" if self._group else self._question.text

    @property
    def _higher(self) -> bool:
        return METRICS[self._question.metric].is_higher_better

    def _cached(self, name: str, mark: Hashable, make: Callable[[], _Value]) -> _Value:
        """A value that depends on the mark alone."""
        if name not in self._recent or self._recent[name][0] != mark:
            self._recent[name] = mark, make()
        value: _Value = self._recent[name][1]
        return value

    def _seconds_left(
        self, tables: Mapping[str, pl.DataFrame], rows: pl.DataFrame, clock: Clock, now: datetime
    ) -> float | None:
        """The time left. Of many trials, it is estimated less often than every refresh, and counts down in between."""
        mark = clock, int(now.timestamp() * _ESTIMATED_TRIALS) // max(1, rows.height)
        make = partial(seconds_left, tables, rows, self._table.times, clock, now)
        at, value = self._cached("left", mark, lambda: (now, make()))
        age = (now - at).total_seconds()
        return None if value is None else max(0.0, value - age)

    def _rows(
        self,
        tables: Mapping[str, pl.DataFrame],
        clock: Clock,
        comparison: Comparison | None,
        changed: Collection[str] | None,
    ) -> pl.DataFrame:
        """The trials, with the names of their arms in a study."""
        rows = self._table.update(tables, clock, changed)
        if self._group is not None:
            rows = rows.filter(pl.Series(map(self._group.contains, rows["config_json"]), dtype=pl.Boolean))
        mark = rows.height, tables["plan"].height, tables["trials"].height, self._look
        names = self._cached("names", mark, lambda: arm_names(rows, tables["plan"], tables["trials"], comparison))
        return rows.with_columns(pl.Series("arm", names, pl.String))

    def _arms_and_comparison(
        self,
        tables: Mapping[str, pl.DataFrame],
        rows: pl.DataFrame,
        comparison: Comparison | None,
        notes: Sequence[str],
        *,
        is_running: bool,
    ) -> dict[str, Any]:
        """What the arms have reached, and all that names an arm by its place."""
        arms, names = self._arms(rows, comparison)
        places = {name: place for place, name in enumerate(names)}
        views = self._cached("comparison", self._look, lambda: self._comparison_views(comparison, tables["trials"]))
        known = [note for note in views["notes"] if not (is_running and RUN_AGAIN in note)]
        return {
            **views,
            "notes": [*notes, *known],
            "arms": {"columns": arms.columns, "rows": arms.rows},
            "arm_names": names,
            "trials": _trials(rows, places),
            "rungs": _rungs(self._table.rungs, rows, places),
            "pareto": [{**one, "arm": [places[arm] for arm in one["arm"]]} for one in views["pareto"]],
            "confusion": [{**one, "arm": places[one["arm"]]} for one in views["confusion"]],
        }

    def _comparison_views(self, comparison: Comparison | None, trials: pl.DataFrame) -> Mapping[str, Any]:
        if comparison is None:
            return NO_COMPARISON
        runs = training_runs(comparison, read(self._results, "runs"), trials, self._sweep)
        return comparison_views(comparison, self._results, runs, self._question)

    def _arms(self, rows: pl.DataFrame, comparison: Comparison | None) -> tuple[ArmTable, list[str]]:
        """The table, and the names of all arms: those of the table in its order, then those of first phases."""
        own = rows.filter(~pl.col("is_first_phase"))
        if comparison is None or comparison.arms.is_empty():
            table = table_so_far(own, higher=self._higher)
        else:
            compared = self._cached("arms", self._look, lambda: compared_table(comparison))
            table = compared.with_others(own)
        return table, [*dict.fromkeys([*(row["arm"] for row in table.rows), *rows["arm"].unique(maintain_order=True)])]

    def _keys_and_importance(self, rows: pl.DataFrame, trials: pl.DataFrame) -> dict[str, Any]:
        keys = self._cached("keys", (rows.height, trials.height), lambda: configuration_keys(rows, trials))
        heads, values = keys_and_values(keys)
        ended = rows.select(pl.when(~pl.col("state").is_in(NOT_ENDED)).then("value")).to_series()
        mark = rows.height, trials.height, ended.count()
        shares, note = self._cached("importance", mark, lambda: importance(keys, ended.to_list()))
        return {"keys": heads, "config": values, "importance": shares, "importance_note": note}


def _seconds(clock: Clock, now: datetime) -> float | None:
    """The seconds since the start of the sweep, if a command runs."""
    return None if clock.start is None or clock.run is None else max(0.0, (now - clock.start).total_seconds())


def _last_epochs(rows: pl.DataFrame) -> list[float]:
    """When the last epoch of each trial ended that runs."""
    return rows.filter(pl.col("state") == RUNNING)["last_t"].drop_nulls().to_list()


def _planned_epochs(rows: pl.DataFrame) -> int:
    """The planned epochs of most trials; the greater number of two."""
    counts = rows.drop_nulls("epochs").group_by("epochs").len().sort("len", "epochs", descending=True)
    return int(counts["epochs"][0]) if counts.height else 0


def _trials(rows: pl.DataFrame, places: Mapping[str, int]) -> dict[str, Any]:
    columns = rows.select(
        pl.col("trial_id").alias("id"),
        pl.col("arm").replace_strict(places, return_dtype=pl.Int32).alias("arm"),
        "question", "seed", "fold", "state", "epoch", "epochs",
        digits(pl.col("value")).alias("value"), digits(pl.col("best")).alias("best"),
        *(tenths(pl.col(name)).alias(name) for name in ("seconds", "start", "end")),
        "host", "rung", digits(pl.col("cutoff")).alias("cutoff"), "attempts", "reason",
    )  # fmt: skip
    return {name: columns[name].to_list() for name in columns.columns}


def _rungs(rungs: pl.DataFrame, rows: pl.DataFrame, places: Mapping[str, int]) -> dict[str, Any]:
    """Each decision of the scheduler at a rung."""
    own = rungs.join(rows.select("trial_id", "arm"), on="trial_id").sort("trial_id", "epoch")
    columns = own.select(
        pl.col("trial_id").alias("id"),
        pl.col("arm").replace_strict(places, return_dtype=pl.Int32).alias("arm"),
        "rung", digits(pl.col("value")).alias("value"), digits(pl.col("cutoff")).alias("cutoff"),
        (pl.col("decision") == "stop").fill_null(value=False).alias("stopped"),
    )  # fmt: skip
    return {name: columns[name].to_list() for name in columns.columns}

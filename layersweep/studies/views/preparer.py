"""Prepares the values of every view of a sweep, again and again while it runs; what did not change is not made anew."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from layersweep.records.study_question import StudyQuestion
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.views.arm_table import ArmTable, arm_names, compared_table, table_so_far
from layersweep.studies.views.comparison_views import comparison_views
from layersweep.studies.views.configuration_keys import Key, configuration_keys, keys_and_values
from layersweep.studies.views.curves import Curves
from layersweep.studies.views.importance import importance
from layersweep.studies.views.json_values import digits, tenths
from layersweep.studies.views.slot_times import run_spans, slot_times
from layersweep.studies.views.sweep_state import look_sentence, sweep_state
from layersweep.studies.views.trial_table import Clock, TrialTable, trial_table

_NO_COMPARISON: Final[Mapping[str, Any]] = {
    "answer": "", "sentences": [], "cautions": [], "notes": [], "effects": [],
    "pareto": [], "confusion": [], "provenance": [],
}  # fmt: skip
_MOST_TRIALS: Final = 10_000


class ViewPreparer:
    """The views of one sweep.

    Args:
        results: the results folder.
        sweep: the name of the sweep.
        question: what the sweep asks.
    """

    def __init__(self, results: Path, sweep: str, question: StudyQuestion) -> None:
        self._results, self._sweep, self._question = results, sweep, question
        self._curves = Curves()
        self._compared: tuple[Comparison | None, dict[str, Any]] = (None, dict(_NO_COMPARISON))
        self._keys: tuple[Any, list[Key]] = ((), [])

    def prepare(
        self,
        tables: Mapping[str, pl.DataFrame],
        comparison: Comparison | None = None,
        *,
        now: datetime | None = None,
        is_running: bool = False,
        notes: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The payload of the page, without details of trials.

        Args:
            tables: plan, runs, trials and epochs, as `LiveRecords.tables`.
            comparison: that of the last finished look; None before it.
            now: the time; by default that of the clock.
            is_running: whether a command runs the sweep.
            notes: sentences about the records: damaged parts, for example.
        """
        metric, sweep = self._question.metric, self._sweep
        higher = metric != "val_loss"
        clock = Clock.of(tables, sweep, is_running=is_running)
        table = trial_table(tables, sweep, clock, metric=metric)
        named = pl.Series("arm", arm_names(table.rows, tables["plan"], tables["trials"], comparison), pl.String)
        table = TrialTable(rows=table.rows.with_columns(named), epochs=table.epochs)
        runs = tables["runs"].filter(pl.col("sweep") == sweep)
        seconds_now = _seconds(clock, now or datetime.now(UTC)) if clock.run else None
        arms, names = _arms(table.rows, comparison, higher=higher)
        places = {name: place for place, name in enumerate(names)}
        keys = self._configuration_keys(table.rows, tables["trials"])
        heads, values = keys_and_values(keys)
        shares, note = importance(keys, table.rows["value"].to_list())
        curves, curves_note = self._curves.of(table, higher=higher)
        compared = self._comparison_views(comparison, runs)
        return {
            "sweep": sweep,
            "question": self._question.text,
            "metric": metric,
            "higher": higher,
            "epochs": _planned_epochs(table.rows),
            "state": sweep_state(
                table.rows,
                runs,
                clock,
                slot_seconds=_slot_seconds(tables, sweep, clock, seconds_now),
                look=look_sentence(comparison is not None, is_running=clock.run is not None, rows=table.rows),
            ),
            **compared,
            "notes": [*notes, *compared["notes"]],
            "arms": {"columns": arms.columns, "rows": arms.rows},
            "arm_names": names,
            "keys": heads,
            "trials": _trials(table.rows, places, values),
            "curves": curves,
            "curves_note": curves_note,
            "rungs": _rungs(table, places),
            "slots": slot_times(tables, sweep, clock, seconds_now),
            "importance": shares,
            "importance_note": note,
            "pareto": [{**one, "arm": [places[arm] for arm in one["arm"]]} for one in compared["pareto"]],
            "confusion": [{**one, "arm": places[one["arm"]]} for one in compared["confusion"]],
            "details": {},
        }

    def _comparison_views(self, comparison: Comparison | None, runs: pl.DataFrame) -> dict[str, Any]:
        if self._compared[0] is not comparison:
            views = comparison_views(comparison, self._results, runs) if comparison else dict(_NO_COMPARISON)
            self._compared = comparison, views
        return self._compared[1]

    def _configuration_keys(self, rows: pl.DataFrame, trials: pl.DataFrame) -> list[Key]:
        mark = rows.height, trials.height
        if self._keys[0] != mark:
            self._keys = mark, configuration_keys(rows, trials)
        return self._keys[1]


def _seconds(clock: Clock, now: datetime) -> float | None:
    return None if clock.start is None else max(0.0, (now - clock.start).total_seconds())


def _slot_seconds(tables: Mapping[str, pl.DataFrame], sweep: str, clock: Clock, now: float | None) -> float:
    if clock.start is None:
        return 0.0
    spans = run_spans(tables, sweep, clock, now)
    return float(((spans.ends - spans.starts) * spans.weights).sum())


def _arms(rows: pl.DataFrame, comparison: Comparison | None, *, higher: bool) -> tuple[ArmTable, list[str]]:
    """The table, and the names of all arms: those of the table in its order, then those of first phases."""
    own = rows.filter(~pl.col("is_first_phase"))
    if comparison is None or comparison.arms.is_empty():
        table = table_so_far(own, higher=higher)
    else:
        compared = comparison.arms["arm"].to_list()
        table = compared_table(comparison, own.filter(~pl.col("arm").is_in(compared)))
    return table, [*dict.fromkeys([*(row["arm"] for row in table.rows), *rows["arm"]])]


def _planned_epochs(rows: pl.DataFrame) -> int:
    """The planned epochs of most trials; the greater number of two."""
    counts = rows.drop_nulls("epochs").group_by("epochs").len().sort("len", "epochs", descending=True)
    return int(counts["epochs"][0]) if counts.height else 0


def _trials(rows: pl.DataFrame, places: Mapping[str, int], values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    columns = rows.select(
        pl.col("trial_id").alias("id"),
        pl.col("arm").replace_strict(places, return_dtype=pl.Int32).alias("arm"),
        "question", "seed", "fold", "state", "epoch", "epochs",
        digits(pl.col("value")).alias("value"), digits(pl.col("best")).alias("best"),
        *(tenths(pl.col(name)).alias(name) for name in ("seconds", "start", "end")),
        "host", "rung", digits(pl.col("cutoff")).alias("cutoff"), "attempts", "reason",
    )  # fmt: skip
    return {name: columns[name].to_list() for name in columns.columns} | {"config": dict(values)}


def _rungs(table: TrialTable, places: Mapping[str, int]) -> dict[str, Any]:
    """Each decision of the scheduler at a rung."""
    rows = table.epochs.filter(pl.col("rung").is_not_null()).join(
        table.rows.select("trial_id", "arm"), on="trial_id", maintain_order="left"
    )
    columns = rows.select(
        pl.col("trial_id").alias("id"),
        pl.col("arm").replace_strict(places, return_dtype=pl.Int32).alias("arm"),
        "rung", digits(pl.col("value")).alias("value"), digits(pl.col("cutoff")).alias("cutoff"),
        (pl.col("decision") == "stop").fill_null(value=False).alias("stopped"),
    )  # fmt: skip
    return {name: columns[name].to_list() for name in columns.columns}

"""The comparison of a recorded sweep: of all that is recorded, or of its last finished look while it runs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from layersweep.records.errors import ResultsError
from layersweep.records.metrics import ACCURACY

if TYPE_CHECKING:
    import polars as pl

    from layersweep.studies.statistics.arm_comparison import Comparison, Tables
    from layersweep.studies.statistics.judgement import Criteria


class ArmGroup(NamedTuple):
    """The arms with this value of a configuration key; `default` is the value of arms without the key."""

    key: str
    value: str
    default: str

    @classmethod
    def all_of(cls, key: str, default: str, configs: Iterable[str | None]) -> list[Self]:
        """The groups of arms by the values that recorded configurations have."""
        values = dict.fromkeys(_value(config, key, default) for config in configs)
        return [cls(key, value, default) for value in values]

    def contains(self, config_json: str | None) -> bool:
        """Whether a configuration belongs to the group."""
        return _value(config_json, self.key, self.default) == self.value


def load(
    results: Path, sweep: str, group: ArmGroup | None = None, criteria: "Criteria | None" = None
) -> "tuple[Comparison, pl.DataFrame]":
    """The comparison of the arms of a sweep, or of a group of them; and the rows of `runs` that trained them.

    A trial that several sweeps plan is trained only once. Its rows can be in the folders of any of these sweeps.
    Without criteria, the sweep is judged by its own metric.

    Raises:
        ResultsError: if the sweep is not recorded.
    """
    from layersweep.records.lock import is_busy, is_own
    from layersweep.records.overview import has_open_run
    from layersweep.records.read import read

    runs = read(results, "runs")
    is_running = has_open_run(runs, sweep) and is_busy(results, sweep) and not is_own(results, sweep)
    criteria = criteria or _own_criteria(results, sweep)
    tables = tables_of(results, sweep, group, metric=criteria.metric)
    return _compare(replace(tables, is_running=is_running), runs, sweep, criteria)


def comparisons_of(
    results: Path, sweep: str, criteria: "Criteria"
) -> "Iterator[tuple[ArmGroup | None, Comparison, pl.DataFrame]]":
    """The comparison of a sweep's arms with the rows of `runs`; one for each group if the question splits the arms.

    Raises:
        ResultsError: if the sweep is not recorded.
    """
    from layersweep.records.read import read
    from layersweep.studies.earlier_records import question_of

    apart = question_of(results, sweep).apart
    configs = read(results, "plan", sweep, columns=("config_json",))["config_json"] if apart else ()
    groups: list[ArmGroup | None] = [
        group for key, default in apart.items() for group in ArmGroup.all_of(key, default, configs)
    ]
    for group in groups or [None]:
        yield group, *load(results, sweep, group, criteria)


def load_last_look(
    results: Path, sweep: str, group: ArmGroup | None = None, criteria: "Criteria | None" = None
) -> "tuple[Comparison, pl.DataFrame] | None":
    """As `load`, of what was recorded when the last command ended that has ended; None if none has.

    Raises:
        ResultsError: if the sweep is not recorded.
    """
    from layersweep.records.read import read

    runs = read(results, "runs")
    criteria = criteria or _own_criteria(results, sweep)
    tables = last_look(tables_of(results, sweep, group, metric=criteria.metric), runs, sweep)
    return None if tables is None else _compare(tables, runs, sweep, criteria)


def _own_criteria(results: Path, sweep: str) -> "Criteria":
    """The metric of the sweep, and the usual margin."""
    from layersweep.studies.earlier_records import question_of
    from layersweep.studies.statistics.judgement import Criteria

    return Criteria(metric=question_of(results, sweep).metric)


def _compare(
    tables: "Tables", runs: "pl.DataFrame", sweep: str, criteria: "Criteria"
) -> "tuple[Comparison, pl.DataFrame]":
    from layersweep.studies.statistics.arm_comparison import compare

    comparison = compare(tables, criteria)
    return comparison, training_runs(comparison, runs, tables.trials, sweep)


def training_runs(comparison: "Comparison", runs: "pl.DataFrame", trials: "pl.DataFrame", sweep: str) -> "pl.DataFrame":
    """The rows of `runs`, which has those of all sweeps, that trained what is compared; the sweep's own ones last."""
    import polars as pl

    from layersweep.studies.wording.provenance import runs_of

    rows = runs_of(comparison, runs, trials)
    return rows.sort(pl.col("sweep") == sweep, maintain_order=True)  # the last command is one of this sweep


def tables_of(results: Path, sweep: str, group: ArmGroup | None = None, *, metric: str = ACCURACY) -> "Tables":
    """The tables that a comparison by a metric reads, with the rows of trials that other sweeps have trained.

    Raises:
        ResultsError: if the sweep is not recorded.
    """
    import polars as pl

    from layersweep.records.read import read, sweeps
    from layersweep.studies.statistics.arm_comparison import Tables
    from layersweep.studies.statistics.classes.class_counts import CLASS_COLUMNS, NEED_PREDICTIONS, PREDICTIONS
    from layersweep.studies.statistics.replicates import EPOCH_COLUMNS
    from layersweep.studies.statistics.warm_up import LAYER_COLUMNS

    columns = {
        "epochs": (*EPOCH_COLUMNS, "sweep", "sequence"),
        "classes": (*CLASS_COLUMNS, *([PREDICTIONS] if metric in NEED_PREDICTIONS else []), "attempt", "epoch"),
        "layers": (*LAYER_COLUMNS, "attempt", "epoch"),
    }
    of_trials = ("trials", "epochs", "tests", "classes", "layers")

    def rows(table: str, sweep: str | None) -> pl.DataFrame:
        return read(results, table, sweep, columns=columns.get(table))

    plan = rows("plan", sweep)
    tables = {name: rows(name, sweep) for name in of_trials}
    if not plan.height and not tables["trials"].height:
        names = sorted({*sweeps(results, "plan"), *sweeps(results, "trials")})
        valid = f"recorded sweeps: {', '.join(names)}" if names else "no sweep is recorded there"
        raise ResultsError(f"no results of sweep {sweep!r} in {results.absolute()}; {valid}")
    if {*sweeps(results, "trials"), *sweeps(results, "epochs")} - {sweep}:
        ids = (plan if plan.height else tables["trials"])["trial_id"].unique().to_list()
        tables = {name: rows(name, None).filter(pl.col("trial_id").is_in(ids)) for name in of_trials}
    if group is not None:
        plan = plan.filter(pl.Series([group.contains(text) for text in plan["config_json"]], dtype=pl.Boolean))
    return Tables(plan=plan, is_running=False, **tables)


def last_look(tables: "Tables", runs: "pl.DataFrame", sweep: str) -> "Tables | None":
    """What was recorded when the last command ended that has ended; None if none has, or nothing was recorded then.

    The rows of later commands are taken out: of the one that runs, and of those that were killed before it. What
    another sweep has trained stays.

    Args:
        tables: the tables as they are now.
        runs: the table of that name.
        sweep: the name of the sweep.
    """
    import polars as pl

    own = runs.filter(pl.col("sweep") == sweep)
    starts = own.filter(pl.col("event") == "start")
    ended = own.filter(pl.col("event") == "end")["run"].to_list()
    last = max((n for n, run in enumerate(starts["run"]) if run in ended), default=None)
    if last is None:
        return None
    later = starts.slice(last + 1)
    if later.is_empty():
        return tables
    is_later = (pl.col("sweep") == sweep) & pl.col("run").is_in(later["run"].to_list()).fill_null(value=False)
    first_sequence = pl.lit(later["first_sequence"].min(), pl.Int64)  # null if it was not recorded yet
    is_later_epoch = (pl.col("sweep") == sweep) & (pl.col("sequence") >= first_sequence)
    epochs = tables.epochs.filter(~is_later_epoch.fill_null(value=False))
    plan = tables.plan.filter(~is_later)
    if plan.is_empty() and tables.plan.height:
        return None
    recorded = epochs.select("trial_id", "attempt", "epoch").unique()

    def of_epochs(table: pl.DataFrame) -> pl.DataFrame:
        return table.join(recorded, on=["trial_id", "attempt", "epoch"], how="semi", maintain_order="left")

    return replace(
        tables,
        plan=plan,
        trials=tables.trials.filter(~is_later),
        epochs=epochs,
        tests=of_epochs(tables.tests),
        classes=of_epochs(tables.classes),
        layers=of_epochs(tables.layers),
    )


def _value(config_json: str | None, key: str, default: str) -> str:
    """The value of a configuration key, as text."""
    from layersweep.studies.statistics.replicates import configuration

    return str(configuration(config_json).get(key, default))

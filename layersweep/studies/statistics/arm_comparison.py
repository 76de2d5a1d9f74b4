"""Compares arms at equal epochs by their validation metric; the test set is read only for the leading arms.

An arm has two outcomes: how often it learned, and what it reaches when it does. What is compared, by which rules, and
why: docs/statistics.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from layersweep.formatting import count
from layersweep.records.metrics import ACCURACY
from layersweep.records.questions import SCREENING
from layersweep.studies.statistics import comparability, warm_up
from layersweep.studies.statistics.arm_rows import (
    STATUSES,
    Row,
    arm_rows,
    mean_and_sd,
    row_without_trainings,
)
from layersweep.studies.statistics.chance_level import (
    counts_of_rows,
    few_images_note,
    flags_by_counts,
    unknown_chance_note,
    untested_note,
)
from layersweep.studies.statistics.classes.class_counts import ClassCounts
from layersweep.studies.statistics.classes.class_notes import class_names_notes, majority_caution, names_by_classes
from layersweep.studies.statistics.judgement import LEADING, ONLY_ARM, WORSE, Criteria, Judgement, judge_arms
from layersweep.studies.statistics.looks import look_of
from layersweep.studies.statistics.replicates import (
    EXCLUDED_OUTCOMES,
    REPLICATE,
    Replicates,
    collect_replicates,
    configurations,
)
from layersweep.studies.statistics.tuning_candidates import Tuning, tunings

RUN_AGAIN: Final = "run the sweep again to complete"
"""The advice in the warning about unfinished trials: nobody needs it while the sweep runs."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables of one sweep that a comparison reads; `classes` and `layers` may be empty.

    `is_running` tells whether a command runs the sweep now.
    """

    plan: pl.DataFrame
    trials: pl.DataFrame
    epochs: pl.DataFrame
    tests: pl.DataFrame
    classes: pl.DataFrame
    layers: pl.DataFrame
    is_running: bool = False


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The answer to a sweep's question.

    Attributes:
        epoch: the equal epochs of the arms that ran to the end.
        common_epoch: the last epoch that all replicates reached, except diverged, hopeless and failed ones; of the
            screening if there was one. None if it is `epoch`, or no trial has an epoch.
        common_basis: "screening seed" if the common epoch is that of the screening, in which all arms took part; "" if
            it is that of all seeds.
        arms: one row per arm, best first: arm, status, verdict, counts of outcomes, learned, ended, learned_low and
            learned_high (of the share that learns), n, mean (fitted), sd, low, high, difference, difference_low,
            difference_high, new_training (see `Judgement.columns`), common_n, common_mean, common_sd, epochs, seconds,
            seconds_training (and validating), rung, cutoff, stop_accuracy (of the first stop), rung_last, reasons (of
            failures), notes (the warnings of trials), test_n, test_mean, test_sd, tuning_epochs, tuning_seconds, and
            the trials' sizes.
        configurations: the configuration of each arm.
        tunings: the tunings of tuned arms; of these numbers, only `tuning_epochs` and `tuning_seconds` depend on them.
        replicates: the rows that the comparison was computed from.
        averaged_rows: those of them that enter the means: they completed and beat chance, and their arm is compared.
        tests: the rows of the table of that name that are looked at: of the leading arms, at the epoch; with `arm`.
        criteria: what the arms are judged by.
        judgement: the model and the verdicts on the compared arms; None if no training has learned.
        chance: the chance level of the metric; None if it is unknown, or not the same for all arms.
        at_chance: the completed trials that do not beat their chance level.
        cautions: sentences that a reader must know before the table: warm-up, unlike data.
        warnings: sentences that a reader should know when reading the table.
    """

    epoch: int
    common_epoch: int | None
    common_basis: str
    arms: pl.DataFrame
    configurations: Mapping[str, Mapping[str, Any]]
    tunings: tuple[Tuning, ...]
    replicates: Replicates
    averaged_rows: pl.DataFrame
    tests: pl.DataFrame
    criteria: Criteria
    judgement: Judgement | None
    chance: float | None
    at_chance: tuple[str, ...]
    cautions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def compared_arms(self) -> list[Row]:
        """The rows of the arms that ran to the end and learned at least once, best first."""
        return self.arms.filter(pl.col("status") == "compared").to_dicts()

    @property
    def leading_arms(self) -> list[Row]:
        """The rows of the leading arm and of the arms that are not shown to be worse."""
        return _leading_arms(self.compared_arms)

    @property
    def leader(self) -> Row:
        """The row of the leading arm; another arm may be above it that has not learned in all its trainings.

        Raises:
            IndexError: if no arm was compared.
        """
        return next((row for row in self.compared_arms if row["verdict"] in LEADING), self.compared_arms[0])

    def is_better(self, first: str, second: str) -> bool:
        """Whether the first arm is shown to be better than the second one; both are compared."""
        return self.judgement is not None and self.judgement.is_better(first, second)


def compare(tables: Tables, criteria: Criteria | None = None) -> Comparison:
    """Compares the arms of a sweep.

    A stopped arm is "screened out", never "worse": if any replicate of an arm was stopped, the arm has no mean at the
    end, because its other replicates would flatter it. Failed, diverged and hopeless replicates, and those that do not
    beat chance, are counted, but left out of the means.

    Raises:
        ResultsError: if the metric is not recorded.
    """
    criteria = criteria or Criteria()
    replicates = collect_replicates(tables.plan, tables.trials, tables.epochs, metric=criteria.metric)
    counts = counts_of_rows(replicates.rows, tables.classes)
    flags = flags_by_counts(replicates.rows, counts, metric=criteria.metric)
    rows = arm_rows(replicates.rows, flags)
    all_tunings = tunings(replicates)
    for tuning in all_tunings:
        row = rows.setdefault(tuning.arm, row_without_trainings(tuning.arm) | _tuning_verdict(tuning))
        row.update(tuning_epochs=tuning.epochs, tuning_seconds=tuning.seconds)
    screening = replicates.rows.filter(pl.col("question") == SCREENING)
    basis = screening if screening.height else replicates.rows
    common_epoch = _common_epoch(basis, rows)
    _add_common_means(rows, basis, replicates.curves, common_epoch or 0)
    resolution = max((one.resolution for one in counts if one is not None), default=None)
    averaged_rows = _averaged_rows(replicates, flags, rows)
    judgement = _add_verdicts(averaged_rows, rows, criteria, look=look_of(tables.plan), resolution=resolution)
    sorted_rows = sorted(rows.values(), key=lambda row: _rank(row, criteria.sign))
    tests = _add_test_values(sorted_rows, replicates, tables.tests, criteria.described_metric.test_column)
    levels = flags["chance"].drop_nulls().unique()
    return Comparison(
        epoch=replicates.epoch,
        common_epoch=common_epoch if common_epoch is not None and common_epoch < replicates.epoch else None,
        common_basis=f"screening seed{'s' * (basis['seed'].n_unique() > 1)}" if screening.height else "",
        arms=pl.DataFrame(sorted_rows, infer_schema_length=None),
        configurations=configurations(replicates.rows),
        tunings=all_tunings,
        replicates=replicates,
        averaged_rows=averaged_rows,
        tests=tests,
        criteria=criteria,
        judgement=judgement,
        chance=float(levels[0]) if levels.len() == 1 else None,
        at_chance=_at_chance(replicates, flags),
        cautions=_cautions(replicates, tables, flags, counts, criteria.metric),
        warnings=(
            *replicates.exclusions,
            *class_names_notes(replicates.rows, counts),
            *_warnings(replicates, sorted_rows, all_tunings, is_running=tables.is_running),
        ),
    )


def _leading_arms(compared_arms: Sequence[Row]) -> list[Row]:
    return [row for row in compared_arms if row["verdict"] != WORSE]


def _tuning_verdict(tuning: Tuning) -> Row:
    n = len(tuning.candidates)
    return {"verdict": f"being tuned: {n - tuning.unfinished} of {n} candidates have ended"}


def _common_epoch(basis: pl.DataFrame, rows: Mapping[str, Row]) -> int | None:
    arms = [arm for arm, row in rows.items() if row["status"] not in EXCLUDED_OUTCOMES]
    is_included = ~pl.col("outcome").is_in(EXCLUDED_OUTCOMES)
    reached = basis.filter(pl.col("arm").is_in(arms) & is_included & (pl.col("epochs_reached") > 0))["epochs_reached"]
    return min(reached.to_list(), default=None)


def _add_common_means(rows: dict[str, Row], basis: pl.DataFrame, curves: pl.DataFrame, epoch: int) -> None:
    included = basis.filter(~pl.col("outcome").is_in(EXCLUDED_OUTCOMES))
    points = curves.filter(pl.col("epoch") == epoch).join(
        included, on=[*REPLICATE, "trial_id"], how="semi", nulls_equal=True
    )
    values = dict(points.group_by("arm").agg("val_accuracy").rows())
    for arm, row in rows.items():
        row.update(mean_and_sd(values.get(arm, []), "common_"))


def _averaged_rows(replicates: Replicates, flags: pl.DataFrame, rows: dict[str, Row]) -> pl.DataFrame:
    """The replicates of compared arms that have a value and beat chance."""
    compared = [arm for arm, row in rows.items() if row["status"] == "compared"]
    return replicates.rows.filter(
        flags["learned"].fill_null(value=False) & pl.col("arm").is_in(compared) & pl.col("accuracy").is_not_null()
    )


def _add_verdicts(
    averaged_rows: pl.DataFrame, rows: dict[str, Row], criteria: Criteria, **facts: Any
) -> Judgement | None:
    """Adds verdicts, fitted means and intervals to the rows of compared arms."""
    unreliable = {arm for arm, row in rows.items() if row["status"] == "compared" and row["learned"] < row["ended"]}
    judgement = judge_arms(averaged_rows, criteria, unreliable=unreliable, **facts)
    if judgement is None:
        return None
    for arm, columns in judgement.columns().items():
        rows[arm].update(columns)
    if len(judgement.arms) == 1:
        rows[judgement.arms[0]]["verdict"] = ONLY_ARM
    return judgement


def _rank(row: Row, sign: float) -> tuple[int, float, float, str]:
    """The sorting key, best first: status, rung of a screened-out arm, fitted mean, name."""
    value = row["mean"] if row["mean"] is not None else row["stop_accuracy"]
    return STATUSES.index(row["status"]), -(row["rung"] or 0), -sign * (value or 0.0), row["arm"]


def _at_chance(replicates: Replicates, flags: pl.DataFrame) -> tuple[str, ...]:
    is_completed = (replicates.rows["outcome"] == "completed") & replicates.rows["accuracy"].is_not_null()
    beaten = flags.filter(is_completed & (flags["learned"] == False))  # noqa: E712 (null is neither)
    return tuple(beaten["trial_id"].to_list())


def _add_test_values(sorted_rows: list[Row], replicates: Replicates, tests: pl.DataFrame, column: str) -> pl.DataFrame:
    """Adds the metric of the test set to the rows of the leading arms: of completed trials, at the equal epochs.

    Returns these rows of the table `tests`.
    """
    compared_rows = [row for row in sorted_rows if row["status"] == "compared"]
    leading_arms = [row["arm"] for row in _leading_arms(compared_rows)]
    completed = replicates.rows.filter(pl.col("arm").is_in(leading_arms) & (pl.col("outcome") == "completed"))
    test_rows = (
        tests.filter(pl.col("epoch") == replicates.epoch)
        .unique(["trial_id", "attempt"], keep="last")
        .join(completed.select("arm", "trial_id", "attempt"), on=["trial_id", "attempt"])
    )
    has_column = column in test_rows.columns  # an older version's tables may come without
    values = dict(test_rows.drop_nulls(column).group_by("arm").agg(column).rows()) if has_column else {}
    for row in sorted_rows:
        row.update(mean_and_sd(values.get(row["arm"], []), "test_"))
    return test_rows


def _cautions(
    replicates: Replicates,
    tables: Tables,
    flags: pl.DataFrame,
    counts: Sequence[ClassCounts | None],
    metric: str,
) -> tuple[str, ...]:
    """What a reader must know before everything else: a frequent class, warm-up, unlike data, an unknown chance."""
    warming = warm_up.warm_up(replicates.rows, tables.layers)
    names = names_by_classes(replicates.rows, counts)
    unlike = comparability.data_differences(replicates.rows, replicates.epoch, names)
    texts = (
        majority_caution(replicates.rows, counts) if metric == ACCURACY else "",
        warming.sentence if warming else "",
        *(one.sentence for one in unlike),
        unknown_chance_note(flags),
        untested_note(flags, metric),
        few_images_note(replicates.rows, flags, metric),
    )
    return tuple(filter(None, texts))


def _warnings(
    replicates: Replicates, rows: Sequence[Row], all_tunings: Sequence[Tuning], *, is_running: bool
) -> list[str]:
    texts = []
    for row in rows:
        texts += [f"{row['arm']}: {text}" for text in (row["reasons"], row["notes"]) if text]
    texts += [f"{tuning.arm}, tuning: {tuning.notes}" for tuning in all_tunings if tuning.notes]
    if unfinished := sum(row["unfinished"] for row in rows) + sum(tuning.unfinished for tuning in all_tunings):
        verb, pronoun = ("is", "it") if unfinished == 1 else ("are", "them")
        state = "still running or waiting" if is_running else f"unfinished: {RUN_AGAIN} {pronoun}"
        texts.append(f"{count(unfinished, 'trial')} {verb} {state}.")
    for name in ("host", "device"):
        values = replicates.rows[name].drop_nulls().unique().sort().to_list()
        if len(values) > 1:
            texts.append(f"Trials ran on different {name}s: {', '.join(values)}. Do not compare times between them.")
    return texts

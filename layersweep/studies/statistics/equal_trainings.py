"""The trainings of all arms at the same epoch, even if a scheduler has stopped some arms."""

from dataclasses import dataclass

import polars as pl

from layersweep.formatting import count
from layersweep.records.questions import SCREENING
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.chance_level import MACHINE_ERRORS
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES, REPLICATE, configuration


@dataclass(frozen=True, kw_only=True)
class EqualTrainings:
    """The trainings of all arms at one epoch.

    Attributes:
        epoch: the last epoch that all of these trainings reached.
        is_last_epoch: whether that is the last epoch of a training.
        is_screening: whether these are the trainings of the screening, because only there all arms have one.
        rows: the trainings, as in `Replicates.rows`, with `accuracy_at_epoch`: their validation accuracy at the epoch.
        excluded_rows: trainings that diverged, failed or stayed at chance, as in `Replicates.rows`.
        machine_failures: the number of those that failed by a fault of the machine, which say nothing about a choice.
    """

    epoch: int
    is_last_epoch: bool
    is_screening: bool
    rows: pl.DataFrame
    excluded_rows: pl.DataFrame
    machine_failures: int = 0

    @property
    def where(self) -> str:
        """The epoch and the seeds in words: `at epoch 3 on 2 seeds`."""
        has_folds = self.rows["fold"].drop_nulls().len() > 0
        replicates = count(self.rows.select("seed", "fold").n_unique(), "fold" if has_folds else "seed")
        early = "" if self.is_last_epoch else " (not the last epoch)"
        return f"at epoch {self.epoch}{early} on {'the screening of ' * self.is_screening}{replicates}"


def equal_trainings(comparison: Comparison) -> EqualTrainings:
    """The trainings of the comparison if every arm completed one; otherwise those of the screening of all arms.

    The epoch is one that every arm reached. At later epochs only good arms are left, so any choice that they share
    would look good.
    """
    rows = comparison.replicates.rows
    screening = rows.filter(pl.col("question") == SCREENING)
    compared = rows.filter(pl.col("question") != SCREENING)
    completed = compared.filter(pl.col("outcome") == "completed")
    all_completed = set(screening["arm"]) <= set(completed["arm"])
    trainings = compared if not screening.height else completed if all_completed else screening
    is_excluded = pl.col("outcome").is_in(EXCLUDED_OUTCOMES) | pl.col("trial_id").is_in(comparison.at_chance)
    is_machine = (pl.col("outcome") == "failed") & pl.col("error_type").is_in(MACHINE_ERRORS).fill_null(value=False)
    included = trainings.filter(~is_excluded & pl.col("config_json").is_not_null())
    reached = included.filter(pl.col("epochs_reached") > 0)["epochs_reached"].to_list()
    epoch = min(reached, default=comparison.epoch)
    points = comparison.replicates.curves.filter(pl.col("epoch") == epoch)
    accuracy = pl.col("val_accuracy").alias("accuracy_at_epoch")
    accuracies = points.select("trial_id", "arm", accuracy).unique(["trial_id", "arm"])
    rows_at_epoch = included.join(accuracies, on=["trial_id", "arm"]).unique(REPLICATE, keep="last").sort(REPLICATE)
    return EqualTrainings(
        epoch=epoch,
        is_last_epoch=epoch >= comparison.epoch,
        is_screening=trainings is screening,
        rows=rows_at_epoch,
        excluded_rows=trainings.filter(is_excluded & ~is_machine),
        machine_failures=trainings.filter(is_machine).height,
    )


def grid_keys(rows: pl.DataFrame) -> list[str]:
    """The configuration keys in which these trainings differ, sorted by name."""
    keys = {key for text in rows["config_json"] for key in configuration(text)}
    return sorted(key for key in keys if len({*values_of(rows, key)}) > 1)


def values_of(rows: pl.DataFrame, key: str) -> list[str]:
    """The value of a configuration key in each row, as text; its default if the configuration does not contain it."""
    column = rows[key].to_list() if key in rows.columns else [None] * rows.height
    values = [configuration(text).get(key) for text in rows["config_json"]]
    return [str(default if value is None else value) for value, default in zip(values, column, strict=True)]

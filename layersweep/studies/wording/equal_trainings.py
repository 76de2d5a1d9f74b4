"""The trainings by which all arms of a sweep can be seen alike, whatever a scheduler has stopped."""

from collections import Counter
from dataclasses import dataclass

import polars as pl

from layersweep.records.questions import SCREENING
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import BAD_ENDS, REPLICATE, configuration
from layersweep.words import count


@dataclass(frozen=True, kw_only=True)
class Even:
    """Trainings of all arms at one epoch.

    Attributes:
        epoch: the last epoch that all of them reached which came to no bad end.
        whole: whether that is the end of a training.
        screening: whether they are the screening's, of which alone all arms have one.
        rows: the trainings, as in `Replicates.rows`, with `at`: their validation accuracy at the epoch.
        lost: trainings that came to a bad end, as in `Replicates.rows`.
    """

    epoch: int
    whole: bool
    screening: bool
    rows: pl.DataFrame
    lost: pl.DataFrame

    @property
    def where(self) -> str:
        """At which epoch, and on what."""
        folded = self.rows["fold"].drop_nulls().len() > 0
        replicates = count(self.rows.select("seed", "fold").n_unique(), "fold" if folded else "seed")
        early = "" if self.whole else ", which is not the end,"
        return f"at epoch {self.epoch}{early} on {'the screening of ' * self.screening}{replicates}"


def even(found: Comparison) -> Even:
    """The trainings of the comparison where every arm came to its end there, else those that screened all arms.

    Of later epochs than every arm reached only those arms are known that did well before: they would flatter whatever
    was chosen for them.
    """
    rows = found.replicates.rows
    screened = rows.filter(pl.col("question") == SCREENING)
    compared = rows.filter(pl.col("question") != SCREENING)
    completed = compared.filter(pl.col("outcome") == "completed")
    whole = set(screened["arm"]) <= set(completed["arm"])
    like = compared if not screened.height else completed if whole else screened
    lost = pl.col("outcome").is_in(BAD_ENDS)
    good = like.filter(~lost & pl.col("config_json").is_not_null())
    reached = good.filter(pl.col("done") > 0)["done"].to_list()
    epoch = min(reached, default=found.epoch)
    at = found.replicates.curves.filter(pl.col("epoch") == epoch)
    values = at.select("trial_id", "arm", pl.col("val_accuracy").alias("at")).unique(["trial_id", "arm"])
    seen = good.join(values, on=["trial_id", "arm"]).unique(REPLICATE, keep="last").sort(REPLICATE)
    return Even(
        epoch=epoch,
        whole=epoch >= found.epoch,
        screening=like is screened,
        rows=seen,
        lost=like.filter(lost),
    )


def grid_keys(rows: pl.DataFrame) -> list[str]:
    """The keys of the configurations in which these trainings differ, by name."""
    stated = {key for text in rows["config_json"] for key in configuration(text)}
    return sorted(key for key in stated if len({*values_of(rows, key)}) > 1)


def values_of(rows: pl.DataFrame, key: str) -> list[str]:
    """The value of a configuration's key in each row, as text; its default where the configuration leaves it out."""
    column = rows[key].to_list() if key in rows.columns else [None] * rows.height
    stated = [configuration(text).get(key) for text in rows["config_json"]]
    return [str(default if value is None else value) for value, default in zip(stated, column, strict=True)]


def counted(values: list[str]) -> str:
    """`elu 20, relu 1`: each value with how often it occurs, the most frequent first."""
    return ", ".join(f"{value} {n}" for value, n in Counter(values).most_common())

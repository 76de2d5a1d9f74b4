"""From a comparison to the rows of the table `results`: the epochs of the trainings that enter its means.

The selection is the study's own (`Comparison.averaged_rows`): no second rule can disagree with it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.records.errors import ResultsError
from layersweep.records.metrics import METRICS
from layersweep.studies.recorded_comparison import ArmGroup, comparisons_of

if TYPE_CHECKING:
    import polars as pl

    from layersweep.studies.statistics.arm_comparison import Comparison

_KEY: Final = ("trial_id", "attempt", "epoch")
_EPOCH: Final = (*_KEY, "loss", "accuracy", *METRICS)
_TRIAL: Final = (
    "arm", "seed", "fold", "trial_id", "attempt", "family", "dataset", "precision", "train_images", "parameters",
    "flops", "size_bytes", "config_json",
)  # fmt: skip
_TEST: Final = ("accuracy", "balanced_accuracy", "macro_f1")


def update_results(
    results: Path, sweep: str, comparisons: "Sequence[tuple[ArmGroup | None, Comparison]] | None" = None
) -> str:
    """Writes the table `results` of a sweep; "", or why it cannot be written (a read-only folder).

    A comparison by another metric than the sweep's own leaves the table as it is.

    Args:
        results: the results folder.
        sweep: the name of the sweep.
        comparisons: its comparisons, if the caller has them.

    Raises:
        ResultsError: if the results cannot be read.
    """
    import polars as pl

    from layersweep.records.derived.results_table import write_results
    from layersweep.studies.earlier_records import question_of
    from layersweep.studies.statistics.judgement import Criteria

    criteria = Criteria(metric=question_of(results, sweep).metric)
    if comparisons is None:
        comparisons = [(group, comparison) for group, comparison, _ in comparisons_of(results, sweep, criteria)]
    if any(comparison.criteria.metric != criteria.metric for _, comparison in comparisons):
        return ""
    rows = pl.concat([compared_results(results, comparison, group) for group, comparison in comparisons])
    try:
        write_results(results, sweep, rows)
    except ResultsError as error:
        return f"the table 'results' is as it was: {error}"
    return ""


def compared_results(results: Path, comparison: "Comparison", group: "ArmGroup | None") -> "pl.DataFrame":
    """The rows of a sweep, or of one group of its arms: each training until the epoch of the comparison.

    Accuracies on the test set are those that the study looks at: of the leading arms, at that epoch.

    Raises:
        ResultsError: if the results cannot be read.
    """
    import polars as pl

    from layersweep.records.read import read

    trials = comparison.averaged_rows.select(_TRIAL)
    ids = trials["trial_id"].unique().to_list()
    is_one_of_them = pl.col("trial_id").is_in(ids)
    epochs = read(results, "epochs", columns=_EPOCH).filter(is_one_of_them).unique(_KEY, keep="last")
    tests = comparison.tests.select("arm", *_KEY, *(pl.col(name).alias(f"test_{name}") for name in _TEST))
    seconds = comparison.replicates.curves.filter(is_one_of_them).select("arm", "trial_id", "epoch", "seconds")
    rows = trials.join(seconds, on=["arm", "trial_id"]).join(epochs, on=_KEY).join(tests, on=["arm", *_KEY], how="left")
    names = [row["arm"] for row in comparison.compared_arms]
    counts = {name: [row[name] for row in comparison.compared_arms] for name in ("learned", "ended")}
    return rows.with_columns(
        pl.lit(f"{group.key} {group.value}" if group else None, pl.String).alias("arm_group"),
        *(pl.col("arm").replace_strict(names, counts[name], return_dtype=pl.Int32).alias(name) for name in counts),
        pl.lit(comparison.criteria.metric).alias("metric"),
        (pl.col("epoch") == comparison.epoch).alias("is_last"),
    ).sort("arm", "seed", "fold", "epoch")

"""Kept weights: `results/weights/<trial_id>-<epoch>.keras`, a trial's network after an epoch.

Arms of other sweeps start from them, by the trial's id or `best:SWEEP`, and so do trials that have a first phase.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from layersweep.tuning.common import epoch_files
from layersweep.tuning.common.epoch_files import EpochFile
from layersweep.tuning.common.errors import UsageError

KEY: Final = "weights"
"""The key of a configuration that names the weights from which a network starts."""

BEST_OF: Final = "best:"

_TRIAL: Final = re.compile(r"(?P<trial_id>[0-9a-f]{16})(@(?P<epoch>\d+))?")


def folder_of(results: Path) -> Path:
    """The folder of all trials' weights."""
    return results / "weights"


def file(results: Path, trial_id: str, epoch: int) -> Path:
    """The file of a trial's weights after an epoch, whether it exists or not."""
    return folder_of(results) / epoch_files.name(trial_id, epoch)


def weights_of(results: Path, trial_id: str) -> list[EpochFile]:
    """A trial's weights, the last epoch first."""
    return epoch_files.files(folder_of(results), trial_id)


def delete(results: Path, trial_id: str, *, but: Sequence[Path] = ()) -> None:
    """Deletes a trial's weights, except the files `but`, and the unfinished files of a killed writer."""
    epoch_files.delete(folder_of(results), trial_id, but=but)


def match_trial(value: object) -> re.Match[str] | None:
    """The trial id, and the epoch if any, in a value of the key `weights`; None if it does not name a trial."""
    return _TRIAL.fullmatch(value) if isinstance(value, str) else None


def weights_in_use(results: Path, sweep: str) -> tuple[frozenset[Path], frozenset[str]]:
    """The files from which arms of recorded plans start, and the trials from which trials of other sweeps go on."""
    import polars as pl

    from layersweep.records.overview import planned_weights
    from layersweep.records.read import read

    plan = read(results, "plan", columns=("sweep", "parent"))
    others = plan.filter(pl.col("sweep").cast(pl.String) != sweep)["parent"].drop_nulls()
    files = (folder_of(results) / name for name in planned_weights(results))
    return frozenset(files), frozenset(map(str, others.unique()))


def resolve(value: Any, results: Path) -> Any:
    """A value of the key `weights` that names a trial or is `best:SWEEP`, as `<trial_id>@<epoch>`; others unchanged.

    Raises:
        UsageError: if no such trial is recorded, or it has no such weights; the message says how to make them.
    """
    if isinstance(value, str) and value.startswith(BEST_OF):
        return _with_weights(_best(results, value.removeprefix(BEST_OF)), None, results, value)
    match = match_trial(value)
    return value if match is None else _with_weights(match["trial_id"], match["epoch"], results, value)


def _with_weights(trial_id: str, epoch: str | None, results: Path, value: str) -> str:
    import polars as pl

    from layersweep.records.read import read

    ends = read(results, "trials", columns=("sweep", "trial_id")).filter(pl.col("trial_id") == trial_id)
    if ends.is_empty():  # one that runs may still replace its weights
        raise UsageError(f"{KEY}={value}: no trial {trial_id} is recorded below {results}, or it has not ended yet")
    files = weights_of(results, trial_id)
    for file_of_epoch in files:
        if epoch in (None, str(file_of_epoch.epoch)):
            return str(file_of_epoch)
    if files:
        raise UsageError(
            f"{KEY}={value}: trial {trial_id} has no weights of epoch {epoch}; valid: {', '.join(map(str, files))}"
        )
    raise UsageError(
        f"{KEY}={value}: trial {trial_id} of sweep {ends['sweep'][0]!r} has no weights; its command makes them with "
        "--keep-weights best (or last)"
    )


def _best(results: Path, sweep: str) -> str:
    """The best trial of the best arm, both by the sweep's metric, among the completed trials with the most epochs.

    Raises:
        UsageError: if no trial completed, or there is no such sweep.
    """
    import polars as pl

    from layersweep.records.metrics import ACCURACY, METRICS
    from layersweep.records.questions import COMPARISON
    from layersweep.records.read import read, sweeps
    from layersweep.records.study_question import StudyQuestion

    question = StudyQuestion.last(results, sweep)
    metric = METRICS.get(question.metric, METRICS[ACCURACY]) if question else METRICS[ACCURACY]
    value = pl.col(f"last_{metric.column}")
    columns = ("trial_id", "attempt", "continuation", "arm", "question", "outcome", "epochs", f"last_{metric.column}")
    rows = read(results, "trials", sweep, columns=columns).sort("attempt", "continuation")
    rows = rows.filter(pl.col("question").cast(pl.String) == COMPARISON).unique("trial_id", keep="last")
    completed = rows.filter(pl.col("outcome").cast(pl.String) == "completed")
    completed = completed.filter(pl.col("epochs") == pl.col("epochs").max())
    if completed.is_empty():
        names = ", ".join(sorted(sweeps(results, "trials"))) or "none"
        raise UsageError(f"{KEY}={BEST_OF}{sweep}: no trial of that sweep has completed; sweeps there: {names}")
    is_higher = metric.is_higher_better
    best = completed.sort(
        value.mean().over("arm"), value, "trial_id", descending=[is_higher, is_higher, False], nulls_last=True
    )
    return str(best["trial_id"][0])


def weight_files(config: Mapping[str, Any], results: Path) -> dict[str, str]:
    """The key `weights` of a configuration as a training gets it, a file in place of a trial; empty without a trial."""
    match = match_trial(config.get(KEY))
    return {KEY: str(file(results, match["trial_id"], int(match["epoch"])))} if match and match["epoch"] else {}

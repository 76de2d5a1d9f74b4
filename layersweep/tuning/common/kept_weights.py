"""Weights that are kept: `results/weights/<trial_id>-<epoch>.keras`, networks as they were after an epoch.

They are an arm's beginning in other sweeps, named by the trial's id or as `best:SWEEP`, and what trials with a first
phase of their own go on from.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from layersweep.tuning.common import epoch_files
from layersweep.tuning.common.epoch_files import EpochFile
from layersweep.tuning.common.errors import UsageError

KEY: Final = "weights"
"""The key of a configuration that says where a network's weights come from."""

BEST_OF: Final = "best:"

_TRIAL: Final = re.compile(r"(?P<trial_id>[0-9a-f]{16})(@(?P<epoch>\d+))?")


def below(results: Path) -> Path:
    """Where the weights of all trials are."""
    return results / "weights"


def file(results: Path, trial_id: str, epoch: int) -> Path:
    """Where a trial's weights after an epoch are, or would be."""
    return below(results) / epoch_files.name(trial_id, epoch)


def kept(results: Path, trial_id: str) -> list[EpochFile]:
    """What there is of a trial's weights, of the last epoch first."""
    return epoch_files.files(below(results), trial_id)


def delete(results: Path, trial_id: str, *, but: Sequence[Path] = ()) -> None:
    """Deletes a trial's weights, but for those that are still wanted, and what a killed writer left of them."""
    epoch_files.delete(below(results), trial_id, but=but)


def named(value: object) -> re.Match[str] | None:
    """A value of the key `weights` that names a trial, with its epoch where it does."""
    return _TRIAL.fullmatch(value) if isinstance(value, str) else None


def wanted(results: Path, sweep: str) -> tuple[frozenset[Path], frozenset[str]]:
    """The files that recorded plans name as what their arms begin with, and the trials that other sweeps go on from."""
    import polars as pl

    from layersweep.records.overview import named_weights
    from layersweep.records.read import read

    plan = read(results, "plan", columns=("sweep", "parent"))
    others = plan.filter(pl.col("sweep").cast(pl.String) != sweep)["parent"].drop_nulls()
    files = (below(results) / name for name in named_weights(results))
    return frozenset(files), frozenset(map(str, others.unique()))


def resolved(value: Any, results: Path) -> Any:
    """A value of the key `weights` that names a trial, or is `best:SWEEP`, as `<trial_id>@<epoch>`; others as they are.

    Raises:
        UsageError: if no such trial is recorded, or it has no such weights; says how to make them.
    """
    if isinstance(value, str) and value.startswith(BEST_OF):
        return _with_weights(_best(results, value.removeprefix(BEST_OF)), None, results, value)
    match = named(value)
    return value if match is None else _with_weights(match["trial_id"], match["epoch"], results, value)


def _with_weights(trial_id: str, epoch: str | None, results: Path, value: str) -> str:
    import polars as pl

    from layersweep.records.read import read

    ended = read(results, "trials", columns=("sweep", "trial_id")).filter(pl.col("trial_id") == trial_id)
    if ended.is_empty():  # one that runs may still replace its weights
        raise UsageError(f"{KEY}={value}: no trial {trial_id} is recorded below {results}, or it has not ended yet")
    there = kept(results, trial_id)
    for found in there:
        if epoch in (None, str(found.epoch)):
            return str(found)
    if there:
        raise UsageError(f"{KEY}={value}: valid: {', '.join(map(str, there))}")
    raise UsageError(
        f"{KEY}={value}: trial {trial_id} of sweep {ended['sweep'][0]!r} has no weights; its command makes them with "
        "--keep-weights best (or last)"
    )


def _best(results: Path, sweep: str) -> str:
    """The trial of the arm with the highest mean validation accuracy whose own is highest, of those that completed.

    Raises:
        UsageError: if none has, or there is no such sweep.
    """
    import polars as pl

    from layersweep.records.questions import COMPARISON
    from layersweep.records.read import read, sweeps

    columns = ("trial_id", "attempt", "continuation", "arm", "question", "outcome", "epochs", "last_val_accuracy")
    rows = read(results, "trials", sweep, columns=columns).sort("attempt", "continuation")
    rows = rows.filter(pl.col("question").cast(pl.String) == COMPARISON).unique("trial_id", keep="last")
    done = rows.filter(pl.col("outcome").cast(pl.String) == "completed")
    done = done.filter(pl.col("epochs") == pl.col("epochs").max())
    if not done.height:
        there = ", ".join(sorted(sweeps(results, "trials"))) or "none"
        raise UsageError(f"{KEY}={BEST_OF}{sweep}: no trial of that sweep has completed; sweeps there: {there}")
    mean = pl.col("last_val_accuracy").mean().over("arm")
    best = done.sort(mean, "last_val_accuracy", "trial_id", descending=[True, True, False])
    return str(best["trial_id"][0])


def located(config: Mapping[str, Any], results: Path) -> dict[str, str]:
    """What of a configuration a training is given otherwise: a file in place of the trial that it is of."""
    match = named(config.get(KEY))
    return {KEY: str(file(results, match["trial_id"], int(match["epoch"])))} if match and match["epoch"] else {}

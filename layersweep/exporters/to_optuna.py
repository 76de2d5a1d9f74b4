"""Writes a sweep for Optuna: a journal with a study, or with one for each group of arms that are compared.

Optuna changes no trial that has ended, and a verdict may change with every seed. So the file is written anew if any
trial has changed, and replaces the earlier one in one step. First phases belong to no arm, and are left out.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from layersweep.exporters.sweep_values import Changes, SweepValues, Trial, Value
from layersweep.formatting import first_line
from layersweep.records.errors import ResultsError
from layersweep.records.questions import FIRST_PHASE

_FINGERPRINT: Final = "layersweep fingerprint"
_STATES: Final = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "hopeless": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
}
"""Any other trial is running."""
_LONGEST_NAME: Final = 500
_LOGARITHMIC: Final = 100
"""A positive key whose largest value is this many times its smallest is shown on a logarithmic axis."""


def write(values: SweepValues, out: Path, progress: Callable[[Iterable[Trial]], Iterable[Trial]]) -> Changes:
    """Writes the studies to a file in `out` with the name of the sweep.

    Raises:
        ResultsError: if the earlier file has trials of others, or Optuna refuses.
        OSError: if a file cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = out / f"{values.folder}.log"
    temporary = file.with_name(f".{file.name}.tmp")
    trials = [trial for trial in values.trials if trial.question != FIRST_PHASE]
    try:
        changes = _changes(trials, _fingerprints(file) if file.exists() else {}, file)
        if changes.added or changes.changed or changes.removed:
            temporary.unlink(missing_ok=True)
            _write_studies(values, trials, temporary, progress)
            temporary.replace(file)
    except (optuna.exceptions.OptunaError, ValueError) as error:
        raise ResultsError(f"Optuna cannot write {file}: {first_line(str(error))}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return changes


def _changes(trials: Sequence[Trial], fingerprints: Mapping[str, str], file: Path) -> Changes:
    earlier = [fingerprints.get(trial.trial_id) for trial in trials]
    unchanged = sum(text == trial.fingerprint for text, trial in zip(earlier, trials, strict=True))
    return Changes(
        place=file,
        added=earlier.count(None),
        changed=len(trials) - earlier.count(None) - unchanged,
        unchanged=unchanged,
        removed=len(fingerprints) - (len(trials) - earlier.count(None)),
    )


def _fingerprints(file: Path) -> dict[str, str]:
    """The trials that an earlier export wrote, with the fingerprints of their records.

    Raises:
        ResultsError: if the file has a trial of another origin: it would be lost.
    """
    fingerprints = {}
    storage = JournalStorage(JournalFileBackend(str(file)))
    for name in optuna.get_all_study_names(storage):
        for trial in optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False):
            if _FINGERPRINT not in trial.user_attrs:
                raise ResultsError(f"{file} has trials that no export wrote: give another --out, or move it away")
            fingerprints[trial.user_attrs["trial_id"]] = trial.user_attrs[_FINGERPRINT]
    return fingerprints


def _write_studies(
    values: SweepValues,
    trials: Sequence[Trial],
    file: Path,
    progress: Callable[[Iterable[Trial]], Iterable[Trial]],
) -> None:
    storage = JournalStorage(JournalFileBackend(str(file)))
    groups = dict.fromkeys(trial.group for trial in trials)
    studies = {group: _study(values, group, storage) for group in groups}
    distributions = {group: _distributions([trial for trial in trials if trial.group == group]) for group in groups}
    for trial in progress(trials):
        studies[trial.group].add_trial(_frozen_trial(trial, values.metric, distributions[trial.group]))


def _study(values: SweepValues, group: str, storage: JournalStorage) -> optuna.Study:
    study = optuna.create_study(
        storage=storage,
        study_name=f"{values.sweep} {group}".strip()[:_LONGEST_NAME],
        direction="minimize" if values.is_loss else "maximize",
    )
    study.set_user_attr("question", values.question)
    return study


def _distributions(trials: Sequence[Trial]) -> dict[str, BaseDistribution]:
    """The range of each key over these trials."""
    values: dict[str, list[Value]] = {}
    for trial in trials:
        for key, value in trial.config.items():
            values.setdefault(key, []).append(value)
    return {key: _distribution(column) for key, column in values.items()}


def _distribution(values: Sequence[Value]) -> BaseDistribution:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values) or not all(map(math.isfinite, numbers)):
        return CategoricalDistribution([*dict.fromkeys(values)])
    low, high = min(numbers), max(numbers)
    log = 0 < low <= high / _LOGARITHMIC
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _frozen_trial(trial: Trial, metric: str, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    curve = {epoch.number: epoch.values[metric] for epoch in trial.epochs if metric in epoch.values}
    last = next(reversed(curve.values()), math.nan)
    state = _STATES.get(trial.state, TrialState.RUNNING)
    if state == TrialState.COMPLETE and not math.isfinite(last):  # Optuna's own rule
        state = TrialState.FAIL
    return FrozenTrial(
        number=-1,  # the study counts
        trial_id=-1,
        state=state,
        value=last if state == TrialState.COMPLETE else None,
        datetime_start=_local(trial.started_at),
        datetime_complete=_local(trial.ended_at) if state.is_finished() else None,
        params=dict(trial.config),
        distributions={key: distributions[key] for key in trial.config},
        user_attrs={**trial.labels, **trial.replicate, _FINGERPRINT: trial.fingerprint},
        system_attrs={},
        intermediate_values=curve,
    )


def _local(time: datetime) -> datetime:
    """The time as Optuna keeps it: that of this machine, without a zone."""
    return time.astimezone().replace(tzinfo=None)

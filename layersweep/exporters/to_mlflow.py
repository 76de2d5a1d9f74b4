"""Writes a sweep for MLflow: an experiment in a SQLite file, with one run a trial.

A run carries the trial's id and the fingerprint of its records as tags. A repeated export leaves a run with the same
fingerprint as it is, and adds to any other what is missing: MLflow itself keeps each point of a curve once. Only a run
of an earlier attempt, or of another configuration, is deleted and written anew.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # an export reaches no network

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from layersweep.exporters.sweep_values import FAILED_STATES, LABELS, Changes, SweepValues, Trial
from layersweep.formatting import first_line
from layersweep.records.errors import ResultsError
from layersweep.records.overview import UNFINISHED

_FILE: Final = "mlflow.db"
_NOT_IN_ADDRESSES: Final = frozenset("?%")
"""MLflow takes the address of a file as it is for a path, and SQLAlchemy does not."""
_FINGERPRINT: Final = "layersweep.fingerprint"
_ATTEMPT: Final = "layersweep.attempt"
_UNSAFE: Final = re.compile(r"[^\w.\- ]")
"""What MLflow refuses in the names of parameters, and `/` and `:`."""
_LONGEST_KEY: Final = 240
_LONGEST_PARAMETER: Final = 500
"""The limit of MLflow 2; that of MLflow 3 is 6,000."""
_LONGEST_TAG: Final = 5000
_METRICS: Final = 1000
"""How many points MLflow takes at once."""
_PARAMETERS: Final = 100
_PAGE: Final = 1000


def write(values: SweepValues, out: Path, progress: Callable[[Iterable[Trial]], Iterable[Trial]]) -> Changes:
    """Writes the trials to the experiment with the name of the sweep, in `out`.

    Raises:
        ResultsError: if MLflow refuses; the message has its reason.
    """
    file = out / _FILE
    if special := sorted({*str(file)} & _NOT_IN_ADDRESSES):
        raise ResultsError(f"MLflow cannot open a file whose path has {' or '.join(special)}: give another --out")
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they report each step of making a new file
    try:
        return _write(MlflowClient(tracking_uri=f"sqlite:///{file}"), values, out, progress)
    except (MlflowException, SQLAlchemyError) as error:
        raise ResultsError(f"MLflow cannot write {file}: {first_line(str(error))}") from error


def _write(
    client: MlflowClient, values: SweepValues, out: Path, progress: Callable[[Iterable[Trial]], Iterable[Trial]]
) -> Changes:
    experiment = client.get_experiment_by_name(values.sweep)
    place = (out / "artifacts").as_uri()
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(values.sweep, place)
    client.set_experiment_tag(experiment_id, "mlflow.note.content", values.question[:_LONGEST_TAG])
    runs = {run.data.tags.get("trial_id"): run for run in _runs(client, experiment_id)}
    changes = Changes(place=out / _FILE)
    for trial in progress(values.trials):
        run = runs.get(trial.trial_id)
        if run is not None and run.data.tags.get(_FINGERPRINT) == trial.fingerprint:
            changes.unchanged += 1
            continue
        changes.added += run is None
        changes.changed += run is not None
        if run is not None and not _can_continue(run, trial):
            client.delete_run(run.info.run_id)
            run = None
        _write_run(client, experiment_id, run, trial)
    return changes


def _runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _can_continue(run: Run, trial: Trial) -> bool:
    """Whether the run is of the same attempt: MLflow changes no parameter, and removes no point of a curve."""
    parameters, earlier = _parameters(trial), run.data.params
    return run.data.tags.get(_ATTEMPT) == str(trial.attempt) and all(
        parameters.get(key) == value for key, value in earlier.items()
    )


def _write_run(client: MlflowClient, experiment_id: str, run: Run | None, trial: Trial) -> None:
    if run is None:
        tags = {"trial_id": trial.trial_id, _ATTEMPT: str(trial.attempt)}
        run = client.create_run(experiment_id, _milliseconds(trial.started_at), tags, trial.title[:_LONGEST_TAG])
    run_id = run.info.run_id
    metrics = [
        Metric(name, value, _milliseconds(epoch.at), epoch.number)
        for epoch in trial.epochs
        for name, value in epoch.values.items()
    ]
    parameters = [Param(key, value) for key, value in _parameters(trial).items()]
    for first in range(0, len(parameters), _PARAMETERS):
        client.log_batch(run_id, params=parameters[first : first + _PARAMETERS])
    for first in range(0, len(metrics), _METRICS):
        client.log_batch(run_id, metrics=metrics[first : first + _METRICS])
    if trial.state == UNFINISHED:
        client.update_run(run_id, "RUNNING", trial.title[:_LONGEST_TAG])
    else:
        status = "FAILED" if trial.state in FAILED_STATES else "FINISHED"
        client.set_terminated(run_id, status, _milliseconds(trial.ended_at))
        client.set_tag(run_id, "mlflow.runName", trial.title[:_LONGEST_TAG])
    client.log_batch(run_id, tags=_tags(trial))  # the last step: a killed export writes this run again


def _tags(trial: Trial) -> list[RunTag]:
    texts = {name: str(getattr(trial, name)) for name in LABELS}
    texts |= {name: str(number) for name, number in trial.replicate.items()}
    tags = [RunTag(name, text[:_LONGEST_TAG]) for name, text in texts.items()]
    return [*tags, RunTag(_FINGERPRINT, trial.fingerprint)]


def _parameters(trial: Trial) -> dict[str, str]:
    """The configuration under names that MLflow allows, which stay different from each other."""
    parameters: dict[str, str] = {}
    for key, value in trial.config.items():
        name = base = _UNSAFE.sub("_", key)[:_LONGEST_KEY].strip(". ") or "_"
        number = 1
        while name in parameters:
            number += 1
            name = f"{base} {number}"
        parameters[name] = str(value)[:_LONGEST_PARAMETER]
    return parameters


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)

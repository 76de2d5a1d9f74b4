"""Writes a sweep for Weights & Biases: an offline run for each trial, which `wandb sync` sends to a server later.

Nothing is sent, and no login is needed. The id of a run is that of its trial. Beside a complete run is the fingerprint
of the trial's records: a repeated export leaves such a run as it is, and replaces any other.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # an export reaches no network

import wandb

from layersweep.exporters.sweep_values import FAILED_STATES, Changes, SweepValues, Trial
from layersweep.formatting import first_line
from layersweep.records.errors import ResultsError

_FINGERPRINT: Final = "layersweep_fingerprint"
"""The name of a file in the folder of a complete run."""
_RUN: Final = re.compile(r"offline-run-\d{8}_\d{6}-(.+)")
_CONFIG_LABELS: Final = ("trial_id", "arm", "question", "group")
_SUMMARY_LABELS: Final = ("verdict", "state", "reason")
_LONGEST_NAME: Final = 128
"""Characters of a run's or a group's name."""


def write(values: SweepValues, out: Path, progress: Callable[[Iterable[Trial]], Iterable[Trial]]) -> Changes:
    """Writes the trials to the folder `wandb` in a folder of `out` with the name of the sweep.

    Raises:
        ResultsError: if the package refuses; the message has its reason.
        OSError: if a file cannot be written.
    """
    place = out / values.folder
    runs = place / "wandb"
    runs.mkdir(parents=True, exist_ok=True)  # the package would write elsewhere
    folders: dict[str, list[Path]] = {}
    for path in runs.iterdir():
        if match := _RUN.fullmatch(path.name):
            folders.setdefault(match[1], []).append(path)
    changes = Changes(place=place)
    try:
        for trial in progress(values.trials):
            earlier = folders.get(trial.file_id, [])
            if any(_fingerprint(path) == trial.fingerprint for path in earlier):
                changes.unchanged += 1
                continue
            is_new = not any(map(_fingerprint, earlier))
            for path in earlier:
                shutil.rmtree(path)
            _write_run(values, trial, place)
            changes.added += is_new
            changes.changed += not is_new
    except wandb.Error as error:
        raise ResultsError(f"Weights & Biases cannot write {runs}: {first_line(str(error))}") from error
    finally:
        wandb.teardown()
    return changes


def _fingerprint(run: Path) -> str:
    file = run / _FINGERPRINT
    return file.read_text() if file.exists() else ""


def _write_run(values: SweepValues, trial: Trial, place: Path) -> None:
    labels = {name: text for name in _CONFIG_LABELS if (text := getattr(trial, name))}
    run = wandb.init(
        mode="offline",
        dir=place,
        project=values.folder,
        id=trial.file_id,
        name=trial.title[:_LONGEST_NAME],
        group=trial.arm[:_LONGEST_NAME] or None,
        config={**trial.config, **labels, **trial.replicate, "started_at": trial.started_at.isoformat()},
        settings=_settings(),
    )
    for epoch in trial.epochs:
        run.log({**epoch.values, "epoch": epoch.number, "_timestamp": epoch.at.timestamp()}, step=epoch.number)
    run.summary.update({name: getattr(trial, name) for name in _SUMMARY_LABELS})
    run.finish(exit_code=int(trial.state in FAILED_STATES))
    (Path(run.settings.sync_dir) / _FINGERPRINT).write_text(trial.fingerprint)


def _settings() -> wandb.Settings:
    """Records the trial alone: nothing of this process, this machine or this repository."""
    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        host="",
        save_code=False,
        silent=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )

"""Checkpoints of trials that run: `results/.state/checkpoints/<trial_id>-<epoch>.keras`, the last two of each trial.

An unfinished trial continues from them. Nothing is loaded here: a file is judged by its name, its checksums and the
version of Keras that it names.

The last two are kept because the newest one may be ahead of the records: the driver may be killed before it has written
that epoch. Such a checkpoint is not used.
"""

import json
import zipfile
import zlib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

from layersweep.tuning.common import epoch_files
from layersweep.tuning.common.epoch_files import EpochFile

_METADATA: Final = "metadata.json"
"""The file in a Keras archive that names the version of Keras."""


def folder_of(results: Path) -> Path:
    """Where the checkpoints of all sweeps are."""
    return results / ".state" / "checkpoints"


def name(trial_id: str, epoch: int) -> str:
    """The file of a trial's state after an epoch."""
    return epoch_files.name(trial_id, epoch)


def find(folder: Path, trial_id: str, *, recorded_epochs: int) -> tuple[EpochFile | None, list[str]]:
    """A trial's last sound checkpoint that is not ahead of its recorded epochs, and why later ones cannot be used."""
    problems: list[str] = []
    for checkpoint in epoch_files.files(folder, trial_id):
        problem = _problem(checkpoint, recorded_epochs)
        if problem is None:
            return checkpoint, problems
        problems.append(f"{checkpoint.path} {problem}")
    return None, problems


def delete(folder: Path, trial_id: str, *, but: Iterable[Path] = ()) -> None:
    """Deletes a trial's checkpoints, except those that are still needed, and what a killed writer left of them."""
    epoch_files.delete(folder, trial_id, but=set(but))


def _problem(checkpoint: EpochFile, recorded_epochs: int) -> str | None:
    if checkpoint.epoch > recorded_epochs:
        return f"is ahead of the records, which end at epoch {recorded_epochs}"
    try:
        with zipfile.ZipFile(checkpoint.path) as file:
            damaged = file.testzip()
            made_by = json.loads(file.read(_METADATA)).get("keras_version") if damaged is None else None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError) as error:
        return f"is damaged ({error})"
    if damaged is not None:
        return f"is damaged ({damaged} does not match its checksum)"
    installed = metadata.version("keras")
    return None if made_by == installed else f"was made by Keras {made_by}, and {installed} is installed"

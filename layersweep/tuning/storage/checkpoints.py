"""Checkpoints of trials that run: `results/.state/checkpoints/<trial_id>-<epoch>.keras`, the last two of each trial.

They let an unfinished trial continue in the middle. Nothing is loaded here: a file is judged by its name, its checksums
and the version of Keras that it names.
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

_FACTS: Final = "metadata.json"
"""Keras writes it into the archive."""


def below(results: Path) -> Path:
    """Where the checkpoints of all sweeps are."""
    return results / ".state" / "checkpoints"


def name(trial_id: str, epoch: int) -> str:
    """The file of a trial's state after an epoch."""
    return epoch_files.name(trial_id, epoch)


def find(folder: Path, trial_id: str, *, recorded: int) -> tuple[EpochFile | None, list[str]]:
    """A trial's last sound checkpoint that is not ahead of its recorded epochs, and why others cannot be used."""
    problems: list[str] = []
    for checkpoint in epoch_files.files(folder, trial_id):
        problem = _problem(checkpoint, recorded)
        if problem is None:
            return checkpoint, problems
        problems.append(f"{checkpoint.path} {problem}")
    return None, problems


def delete(folder: Path, trial_id: str, *, but: Iterable[Path] = ()) -> None:
    """Deletes a trial's checkpoints, but for those that are still needed, and what a killed writer left of them."""
    epoch_files.delete(folder, trial_id, but=set(but))


def _problem(checkpoint: EpochFile, recorded: int) -> str | None:
    if checkpoint.epoch > recorded:
        return f"is ahead of the records, which end at epoch {recorded}"
    try:
        with zipfile.ZipFile(checkpoint.path) as file:
            damaged = file.testzip()
            made_by = json.loads(file.read(_FACTS)).get("keras_version") if damaged is None else None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError) as error:
        return f"is damaged ({error})"
    if damaged is not None:
        return f"is damaged ({damaged} does not match its checksum)"
    here = metadata.version("keras")
    return None if made_by == here else f"was made by Keras {made_by}, and {here} is installed"

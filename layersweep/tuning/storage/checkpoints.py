"""Checkpoints of trials that run: `results/.state/checkpoints/<trial_id>-<epoch>.keras`, the last two of each trial.

They let an unfinished trial continue in the middle. Nothing is loaded here: a file is judged by its name, its checksums
and the version of Keras that it names.
"""

import contextlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"(?P<trial_id>[0-9a-f]+)-(?P<epoch>\d+)\.keras")
_FACTS: Final = "metadata.json"
"""Keras writes it into the archive."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A training's state after an epoch."""

    path: Path
    epoch: int


def below(results: Path) -> Path:
    """Where the checkpoints of all sweeps are."""
    return results / ".state" / "checkpoints"


def name(trial_id: str, epoch: int) -> str:
    """The file of a trial's state after an epoch."""
    return f"{trial_id}-{epoch}.keras"


def find(folder: Path, trial_id: str, *, recorded: int) -> tuple[Checkpoint | None, list[str]]:
    """A trial's last sound checkpoint that is not ahead of its recorded epochs, and why others cannot be used."""
    problems: list[str] = []
    for checkpoint in sorted(_of(folder, trial_id), key=lambda c: c.epoch, reverse=True):
        problem = _problem(checkpoint, recorded)
        if problem is None:
            return checkpoint, problems
        problems.append(f"{checkpoint.path} {problem}")
    return None, problems


def delete(folder: Path, trial_id: str, *, but: Iterable[Path] = ()) -> None:
    """Deletes a trial's checkpoints, but for those that are still needed, and what a killed writer left of them."""
    kept = set(but)
    left = folder.glob(f".{trial_id}-*.keras")
    for path in [*(c.path for c in _of(folder, trial_id)), *left]:
        if path not in kept:
            with contextlib.suppress(OSError):  # it costs space alone, and `records prune` frees it
                path.unlink(missing_ok=True)


def _of(folder: Path, trial_id: str) -> Iterable[Checkpoint]:
    for path in folder.glob(f"{trial_id}-*.keras"):
        if match := _NAME.fullmatch(path.name):
            yield Checkpoint(path=path, epoch=int(match["epoch"]))


def _problem(checkpoint: Checkpoint, recorded: int) -> str | None:
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

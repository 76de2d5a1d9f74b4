"""Files that hold a trial's network after an epoch: `<trial_id>-<epoch>.keras`, checkpoints and kept weights alike."""

import contextlib
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[0-9a-f]+-(?P<epoch>\d+)\.keras")


@dataclass(frozen=True, kw_only=True)
class EpochFile:
    """A trial's network: the file, and the epoch that it is from."""

    trial_id: str
    epoch: int
    path: Path

    def __str__(self) -> str:
        return f"{self.trial_id}@{self.epoch}"


def name(trial_id: str, epoch: int) -> str:
    """The name of a trial's file of an epoch."""
    return f"{trial_id}-{epoch}.keras"


def files(folder: Path, trial_id: str) -> list[EpochFile]:
    """What there is of a trial, of the last epoch first."""
    matches = (_NAME.fullmatch(path.name) for path in folder.glob(f"{trial_id}-*.keras"))
    epochs = sorted((int(match["epoch"]) for match in matches if match), reverse=True)
    return [EpochFile(trial_id=trial_id, epoch=epoch, path=folder / name(trial_id, epoch)) for epoch in epochs]


def delete(folder: Path, trial_id: str, *, but: Container[Path] = ()) -> None:
    """Deletes a trial's files, but for those that are still needed, and what a killed writer left of them."""
    left = folder.glob(f".{trial_id}-*.keras")
    for path in [*(file.path for file in files(folder, trial_id)), *left]:
        if path not in but:
            with contextlib.suppress(OSError):  # it costs space alone, and `records prune` frees it
                path.unlink(missing_ok=True)

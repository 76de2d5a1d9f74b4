"""Files of a trial's network after an epoch, `<trial_id>-<epoch>.keras`: checkpoints and kept weights."""

import contextlib
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[0-9a-f]+-(?P<epoch>\d+)\.keras")


@dataclass(frozen=True, kw_only=True)
class EpochFile:
    """The file of a trial's network after an epoch; as text `<trial_id>@<epoch>`."""

    trial_id: str
    epoch: int
    path: Path

    def __str__(self) -> str:
        return f"{self.trial_id}@{self.epoch}"


def name(trial_id: str, epoch: int) -> str:
    """The name of the file of a trial's network after an epoch."""
    return f"{trial_id}-{epoch}.keras"


def files(folder: Path, trial_id: str) -> list[EpochFile]:
    """A trial's files in a folder, the last epoch first."""
    matches = (_NAME.fullmatch(path.name) for path in folder.glob(f"{trial_id}-*.keras"))
    epochs = sorted((int(match["epoch"]) for match in matches if match), reverse=True)
    return [EpochFile(trial_id=trial_id, epoch=epoch, path=folder / name(trial_id, epoch)) for epoch in epochs]


def delete(folder: Path, trial_id: str, *, but: Container[Path] = ()) -> None:
    """Deletes a trial's files, except the files `but`, and the unfinished files of a killed writer."""
    unfinished = folder.glob(f".{trial_id}-*.keras")
    for path in [*(file.path for file in files(folder, trial_id)), *unfinished]:
        if path not in but:
            with contextlib.suppress(OSError):  # it costs only space, and `layersweep records prune` frees it
                path.unlink(missing_ok=True)

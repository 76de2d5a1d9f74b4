"""What a saved network says of itself besides what Keras writes: the epoch that it was saved after."""

import zipfile
from pathlib import Path
from typing import Final

_EPOCH: Final = "layersweep_epoch.txt"
"""A file in the archive that a `.keras` file is."""


def mark(path: Path, epoch: int) -> None:
    """Writes the epoch into a saved network."""
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(_EPOCH, str(epoch))


def saved_after(path: Path) -> int:
    """The epoch that a network was saved after.

    Raises:
        OSError, zipfile.BadZipFile, KeyError, ValueError: if it is damaged, or was not saved by a training here.
    """
    with zipfile.ZipFile(path) as file:
        return int(file.read(_EPOCH))

"""The epoch of a saved network, which is stored in its file besides what Keras writes."""

import zipfile
from pathlib import Path
from typing import Final

_EPOCH: Final = "layersweep_epoch.txt"
"""A file in the `.keras` file, which is a zip archive."""


def mark(path: Path, epoch: int) -> None:
    """Writes the epoch into a saved network."""
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(_EPOCH, str(epoch))


def saved_after(path: Path) -> int:
    """The epoch after which a network was saved.

    Raises:
        OSError, zipfile.BadZipFile, KeyError, ValueError: if the file is damaged, or `mark` did not write into it.
    """
    with zipfile.ZipFile(path) as file:
        return int(file.read(_EPOCH))

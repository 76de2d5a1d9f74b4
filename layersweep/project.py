"""The folder of the project: a clone in which the packages are installed in place."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[1]
"""The folder with sweeps/, search_spaces/, trainables/ and this package. Each machine of a cluster has a copy of it."""

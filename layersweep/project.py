"""Where the project is: a clone, in which packages are installed in place."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[1]
"""The folder that holds sweeps/, search_spaces/, trainables/ and this package; a cluster's machines have it as well."""

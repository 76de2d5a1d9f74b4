"""What is known of networks that were built once, so that they are not built again: files in `.state`."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from layersweep.records.errors import results_errors
from layersweep.records.files import write_whole

_REMEMBERED: Final = 1_000
"""The number of networks that are remembered."""


def read_cache(file: Path) -> dict[str, Any]:
    """The content of a file of networks; empty if it is missing or damaged.

    Raises:
        ResultsError: if it cannot be read.
    """
    with results_errors(f"cannot read {file}"), contextlib.suppress(FileNotFoundError, ValueError):
        content = json.loads(file.read_text())
        return content if isinstance(content, dict) else {}
    return {}


def write_cache(file: Path, cache: Mapping[str, object]) -> None:
    """Writes a file of networks: the last thousand.

    Raises:
        ResultsError: if it cannot be written.
    """
    with results_errors(f"cannot write {file}"):
        write_whole(file, json.dumps(dict([*cache.items()][-_REMEMBERED:])).encode())

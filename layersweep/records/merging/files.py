"""Adds the files of one results folder to another: weights, checkpoints, logs."""

import filecmp
import itertools
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from layersweep.records.errors import results_errors
from layersweep.records.files import replacing

_NETWORKS: Final = ("weights", ".state/checkpoints")
_NETWORK: Final = re.compile(r"(?P<trial_id>[0-9A-Za-z_]+)-\d+\.keras")
_LOG: Final = re.compile(r"(?P<trial_id>[0-9A-Za-z_]+)\.(?:.+\.)?log.*")


def add_files(source: Path, target: Path, sweep: str, current: Mapping[str, bool]) -> int:
    """Copies what the target lacks, each file whole or not at all; returns the number of files.

    Args:
        source: the results folder that they come from.
        target: the one that gets them.
        sweep: a sweep whose lock is held: its next command removes what a kill leaves.
        current: for trials of both folders, whether the attempt that counts comes from the source: then its networks
            replace those of the same epoch.

    Raises:
        ResultsError: if a file cannot be read or written.
    """
    number = 0
    for folder in _NETWORKS:
        for path in sorted((source / folder).glob("*.keras")):
            match, final = _NETWORK.fullmatch(path.name), target / folder / path.name
            if match is None or path.is_symlink() or not path.is_file():
                continue
            is_current = current.get(match["trial_id"], not final.exists())
            if is_current and not (final.exists() and filecmp.cmp(path, final, shallow=False)):
                number += _copy(path, final, target, sweep)
    for path in sorted((source / "logs").glob("*.log*")):
        match = _LOG.fullmatch(path.name)
        if match is not None and path.is_file() and not path.is_symlink():
            number += _add_log(path, target, sweep)
    return number


def _add_log(path: Path, target: Path, sweep: str) -> int:
    """Copies a log; beside another log of the same trial it gets a number in its name."""
    stem, _, rest = path.name.partition(".log")
    names = itertools.chain([path.name], (f"{stem}.{number}.log{rest}" for number in itertools.count(2)))
    for name in names:
        final = target / "logs" / name
        if not final.exists():
            return _copy(path, final, target, sweep)
        if filecmp.cmp(path, final, shallow=False):
            return 0
    raise AssertionError


def _copy(path: Path, final: Path, target: Path, sweep: str) -> int:
    temporary = target / ".state" / "parts" / f"{sweep}.{uuid.uuid4().hex}.tmp"
    with results_errors(f"cannot copy {path} to {final}"), replacing(final, temporary):
        shutil.copyfile(path, temporary)
    return 1

"""A sweep's records on this machine that come from a cluster, kept apart from those that this machine made."""

import glob
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from layersweep.records.errors import results_errors
from layersweep.records.files import write_whole
from layersweep.records.read import part_range
from layersweep.records.tables import DERIVED, TABLES
from layersweep.tuning.common.errors import UsageError

LIVE: Final = ("plan", "runs", "trials", "epochs")
"""The tables that the live table is made of."""

_PART: Final = f"{'[0-9]' * 8}-{'[0-9]' * 8}.parquet"
"""rsync's pattern of a part's name."""

Parts = Mapping[str, Sequence[str]]
"""The names of a sweep's parts by table."""

Copy = Callable[..., None]
"""Copies a folder's content from the head: the folder on the head, the one on this machine, and rsync's options."""


@dataclass(frozen=True, kw_only=True)
class LocalRecords:
    """The records of one sweep on this machine, copied from a cluster.

    Attributes:
        results: the results folder on this machine.
        sweep: the sweep's name.
        cluster: the cluster's name.
        remote_results: the results folder on the head.
    """

    results: Path
    sweep: str
    cluster: str
    remote_results: str

    def claim(self, parts: Parts) -> None:
        """Takes the folder for records of the cluster, which has these parts.

        Raises:
            UsageError: if the sweep's records here have another origin, the cluster has lost some of them, or a link is
                among their paths.
            ResultsError: if the folder cannot be written.
        """
        if link := next((path for path in self._paths() if path.is_symlink()), None):
            raise UsageError(
                f"{link} is a link: records of {self.cluster} would be written to where it leads, {link.readlink()}; "
                "valid: remove the link, or another folder for --results, which is then used on both machines"
            )
        local_parts = [path for table in TABLES for path in self._local_parts(table)]
        origin_file, origin = _origin_file(self.results, self.sweep), f"{self.cluster}:{self.remote_results}"
        recorded_origin = origin_file.read_text().strip() if origin_file.is_file() else ""
        if local_parts and recorded_origin != origin:
            whose = f"of {recorded_origin}" if recorded_origin else "that this machine made"
            raise UsageError(
                f"{self.results} has records of the sweep {self.sweep!r} {whose}; those of {origin} would replace "
                "them; valid: another folder for --results, which is then used on both machines"
            )
        if lost_parts := self.lost_parts(parts):
            raise UsageError(
                f"{origin} has lost records of the sweep {self.sweep!r} that are here: "
                f"{_first_and_count(lost_parts, self.results)}; valid: copy them back, or move "
                f"{self.results}/*/{self.sweep} away"
            )
        with results_errors(f"cannot write {origin_file}"):
            write_whole(origin_file, f"{origin}\n".encode())

    def fetch(self, copy: Copy, *, everything: bool = False) -> None:
        """Makes the tables of the live table equal to those on the head; `everything`: all tables, and pages as well.

        Raises:
            ResultsError: if the folder here cannot be written.
        """
        tables = _table_filters(self.sweep, TABLES if everything else LIVE)
        copy(self.remote_results, self.results, *tables, "--delete-after")
        if everything:
            copy(self.remote_results, self.results, *_page_filters(self.sweep))

    def set_aside_lost(self, parts: Parts) -> list[Path]:
        """Moves parts that the head has lost to a folder of their own; returns where they are now.

        Args:
            parts: those that the head has.

        Raises:
            ResultsError: if the folder here cannot be written.
        """
        folder = self.results / ".state" / "lost" / f"{self.cluster}.{datetime.now(UTC):%Y%m%dT%H%M%S}"
        targets = []
        for path in self.lost_parts(parts):
            target = folder / path.relative_to(self.results)
            with results_errors(f"cannot set {path} aside"):
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
            targets.append(target)
        return targets

    def lost_parts(self, parts: Parts) -> list[Path]:
        """The parts here whose rows are in no part of the head."""
        lost_parts = []
        for table in TABLES:
            spans = [span for name in parts.get(table, ()) if (span := part_range(Path(name)))]
            lost_parts += [path for path in self._local_parts(table) if not _is_covered(path, spans)]
        return lost_parts

    def _paths(self) -> Iterator[Path]:
        """The paths below the results folder to which records of the sweep are written."""
        folders = [self.results / table for table in (*TABLES, *DERIVED, "studies")]
        yield from (self.results / ".state", _origin_file(self.results, self.sweep), *folders)
        for folder in folders:
            yield from folder.glob(f"{glob.escape(self.sweep)}*")
            yield from (folder / self.sweep).glob("*")

    def _local_parts(self, table: str) -> list[Path]:
        return sorted(p for p in (self.results / table / self.sweep).glob("*.parquet") if part_range(p))


def mark_as_local(results: Path, sweep: str) -> None:
    """Notes that this machine adds records of its own to those that came from a cluster.

    Raises:
        ResultsError: if the folder cannot be written.
    """
    with results_errors(f"cannot write to the results folder {results}"):
        _origin_file(results, sweep).unlink(missing_ok=True)


def _origin_file(results: Path, sweep: str) -> Path:
    """The file that names the cluster from which the sweep's records came; missing where this machine made them."""
    return results / ".state" / f"{sweep}.cluster"


def _is_covered(part: Path, remote_spans: Sequence[tuple[int, int]]) -> bool:
    """Whether the head has a part, or one into which it was merged."""
    span = part_range(part)
    return span is not None and any(first <= span[0] and span[1] <= last for first, last in remote_spans)


def _table_filters(sweep: str, tables: Iterable[str]) -> list[str]:
    """Options by which rsync copies and deletes the parts of the sweep in these tables, and nothing else."""
    patterns = [(f"/{table}/", f"/{table}/{sweep}/", f"/{table}/{sweep}/{_PART}") for table in tables]
    folders = [f"--exclude=/{table}/{sweep}/*/" for table in tables]
    return [*folders, *(f"--include={pattern}" for levels in patterns for pattern in levels), "--exclude=*"]


def _page_filters(sweep: str) -> list[str]:
    """Options by which rsync copies the sweep's pages and pictures that are newer on the head."""
    patterns = ("/studies/", f"/studies/{sweep}.*", f"/studies/{sweep}_*")
    refused = ("/studies/*/", "*[[:cntrl:]]*")  # folders, and names that a terminal would obey
    excludes = [f"--exclude={pattern}" for pattern in refused]
    return [*excludes, *(f"--include={pattern}" for pattern in patterns), "--exclude=*", "--update"]


def _first_and_count(paths: Sequence[Path], results: Path) -> str:
    """The first path, and how many more there are: `epochs/optimizers/00000001-00000001.parquet and 4 more`."""
    rest = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0].relative_to(results)}{rest}"

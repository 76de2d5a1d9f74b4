"""A sweep's records brought home from a cluster, and kept apart from those that this machine made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from layersweep.records.errors import ResultsError
from layersweep.records.read import part_range
from layersweep.records.tables import TABLES
from layersweep.tuning.common.errors import UsageError

LIVE: Final = ("plan", "runs", "trials", "epochs")
"""The tables that the live table is made of."""

Parts = Mapping[str, Sequence[str]]
"""The names of a sweep's parts by table."""

Copy = Callable[..., None]
"""Copies a folder's content from the head: the folder there, that here, and rsync's options."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where a sweep's records come home to.

    Attributes:
        results: the results folder here.
        sweep: the sweep's name.
        cluster: the cluster's name.
        there: the results folder on the head.
    """

    results: Path
    sweep: str
    cluster: str
    there: str

    def claim(self, parts: Parts) -> None:
        """Takes the folder for records of the cluster, which has these parts.

        Raises:
            UsageError: if the sweep's records here are of another origin, or the cluster has lost some of them.
            ResultsError: if the folder cannot be written.
        """
        here = [path for table in TABLES for path in self._here(table)]
        mark, origin = _mark(self.results, self.sweep), f"{self.cluster}:{self.there}"
        before = mark.read_text().strip() if mark.is_file() else ""
        if here and before != origin:
            whose = f"of {before}" if before else "that this machine made"
            raise UsageError(
                f"{self.results} has records of the sweep {self.sweep!r} {whose}, which those of {origin} would "
                "replace; valid: another --results, for here and there"
            )
        if lost := self.lost(parts):
            raise UsageError(
                f"{origin} has lost records of the sweep {self.sweep!r} that are here: {_listed(lost, self.results)}; "
                f"valid: copy them back, or move {self.results}/*/{self.sweep} away"
            )
        try:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text(f"{origin}\n")
        except OSError as error:
            raise ResultsError(f"cannot write {mark}: {error.strerror or error}") from error

    def bring(self, copy: Copy, *, everything: bool = False) -> None:
        """Brings the tables that are watched, or all and the sweep's pages, to what they are on the head.

        Raises:
            ResultsError: if the folder here cannot be written.
        """
        copy(self.there, self.results, *_parts(self.sweep, TABLES if everything else LIVE), "--delete-after")
        if everything:
            copy(self.there, self.results, *_pages(self.sweep))

    def set_aside(self, parts: Parts) -> list[Path]:
        """Moves parts that the head has lost, which has just named these, out of the way; returns where they are now.

        Raises:
            ResultsError: if the folder here cannot be written.
        """
        aside = self.results / ".state" / "lost" / f"{self.cluster}.{datetime.now(UTC):%Y%m%dT%H%M%S}"
        moved = []
        for path in self.lost(parts):
            target = aside / path.relative_to(self.results)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
            except OSError as error:
                raise ResultsError(f"cannot set {path} aside: {error.strerror or error}") from error
            moved.append(target)
        return moved

    def lost(self, parts: Parts) -> list[Path]:
        """The parts here whose rows no part of the head holds."""
        return [
            path for table in TABLES for path in self._here(table) if not _held(path, map(Path, parts.get(table, ())))
        ]

    def _here(self, table: str) -> list[Path]:
        return sorted(p for p in (self.results / table / self.sweep).glob("*.parquet") if part_range(p))


def disown(results: Path, sweep: str) -> None:
    """Notes that this machine adds records of its own to those that came from a cluster."""
    _mark(results, sweep).unlink(missing_ok=True)


def _mark(results: Path, sweep: str) -> Path:
    """Says where the sweep's records here come from; there is none where this machine made them."""
    return results / ".state" / f"{sweep}.cluster"


def _held(part: Path, there: Iterable[Path]) -> bool:
    """Whether a part is there, or a merger of it."""
    spans = [span for path in there if (span := part_range(path))]
    mine = part_range(part)
    return mine is not None and any(first <= mine[0] and mine[1] <= last for first, last in spans)


def _parts(sweep: str, tables: Iterable[str]) -> list[str]:
    """Options by which rsync sees the parts of the sweep in these tables, and nothing else to copy or delete."""
    folders = [(f"/{table}/", f"/{table}/{sweep}/", f"/{table}/{sweep}/[0-9]*-[0-9]*.parquet") for table in tables]
    return [*(f"--include={place}" for places in folders for place in places), "--exclude=*"]


def _pages(sweep: str) -> list[str]:
    """Options by which rsync sees the sweep's pages and pictures, those that are newer there."""
    seen = ("/studies/", f"/studies/{sweep}.*", f"/studies/{sweep}_*")
    return [*(f"--include={place}" for place in seen), "--exclude=*", "--update"]


def _listed(paths: Sequence[Path], results: Path) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0].relative_to(results)}{more}"

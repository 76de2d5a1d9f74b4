"""Where every second of every slot went in recorded sweeps, and how well that adds up.

Command: `python -m benchmarks.ledger`: the sweeps that `python -m benchmarks.peers` has left, precision by precision;
`--results FOLDER` looks at any other. It reads records only.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import polars as pl
import tyro

from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, measured
from layersweep.records.read import read
from layersweep.records.tables import TIME_CLASSES

RECORDS: Final = RESULTS / "records"
"""Where `benchmarks.peers` leaves its results folders, `<case>-<round>` each."""

PROCESS: Final = "process.json"
"""A file in a results folder: the seconds that the whole command took."""

WORK: Final = ("train", "validate", "test")
"""What a slot is there for."""

OUTSIDE: Final = "outside the run"
BEFORE: Final = "before the first trial"
IDLE: Final = "no trial left"
AFTER: Final = "after the last trial"
UNACCOUNTED: Final = "unaccounted"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to look at."""

    results: tuple[Path, ...] = ()
    """Results folders; those that the peers left, unless given."""
    sweep: str = "optimizers"
    """The sweep's name."""
    out: Out = RESULTS
    """Where the table is written."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The slots' seconds of one run, by class; their sum is slots x wall.

    Attributes:
        slots: how many there were.
        wall: seconds of the whole command, of the run where that is not known.
        seconds: by class: outside the run (Python and Ray start, the study, Ray's end), before a slot's first trial,
            what trials recorded, no trial left while others ran, after the last, and the rest.
        starting: the seconds of the slots' first trials before those could build: the training process starts.
        difference: how far the run's own sums are from those of its trials, as a share.
    """

    slots: int
    wall: float
    seconds: Mapping[str, float]
    starting: float
    difference: float

    @classmethod
    def of(cls, start: Mapping[str, Any], end: Mapping[str, Any], trials: pl.DataFrame, process: float | None) -> Self:
        """The ledger of a run from its two rows of `runs` and its rows of `trials`."""
        slots, run = int(end["slots"]), float(end["seconds_wall"])
        began = [_seconds(at, start["at"]) for at in trials["started_at"].sort()]
        ended = [_seconds(at, start["at"]) for at in trials["ended_at"].sort()]
        idle_slots = slots - min(slots, len(began))  # never had a trial
        wall = run if process is None else process
        spent = {name: float(trials[f"seconds_{name}"].sum()) for name in TIME_CLASSES}
        seconds = {
            OUTSIDE: slots * (wall - run),
            BEFORE: sum(began[:slots]),
            **spent,
            IDLE: sum(ended[-1] - at for at in ended[-slots:]) + idle_slots * ended[-1],
            AFTER: slots * (run - ended[-1]),
        }
        seconds[UNACCOUNTED] = slots * wall - sum(seconds.values())
        first = trials.sort("started_at").head(slots)
        recorded = sum(float(end[f"seconds_{name}"] or 0.0) for name in TIME_CLASSES)
        return cls(
            slots=slots,
            wall=wall,
            seconds=seconds,
            starting=float((first["seconds_start"] + first["seconds_import"]).sum()),
            difference=abs(recorded - sum(spent.values())) / sum(spent.values()),
        )

    @property
    def shares(self) -> dict[str, float]:
        """Each class as a share of slots x wall."""
        return {name: spent / (self.slots * self.wall) for name, spent in self.seconds.items()}

    def working(self, *but: str) -> float:
        """The share of training, validating and testing from when each slot could begin, without these classes."""
        left = self.slots * self.wall - self.starting - sum(self.seconds[name] for name in but)
        return sum(self.seconds[name] for name in WORK) / left


def _seconds(at: datetime, since: datetime) -> float:
    return (at - since).total_seconds()


def ledgers(results: Path, sweep: str) -> list[Ledger]:
    """The ledger of each run that ended and trained something."""
    runs, trials = read(results, "runs", sweep), read(results, "trials", sweep)
    written = results / PROCESS
    process = float(json.loads(written.read_text())["seconds"]) if written.exists() else None
    made = []
    for end in runs.filter(pl.col("event") == "end").iter_rows(named=True):
        start = runs.row(by_predicate=(pl.col("run") == end["run"]) & (pl.col("event") == "start"), named=True)
        trained = trials.filter((pl.col("run") == end["run"]) & pl.col("started_at").is_not_null())
        if trained.height:
            made.append(Ledger.of(start, end, trained, process))
    return made


def measurements(case: str, found: Sequence[Ledger]) -> list[Measurement]:
    """The rows of one case: each class as a share, then what they say together."""
    readings = [
        {(name, "share"): share for name, share in ledger.shares.items()}
        | {
            ("slots x wall", "s"): ledger.slots * ledger.wall,
            ("trials' sums against the run's", "share"): ledger.difference,
            ("train + validate + test once started", "share"): ledger.working(OUTSIDE, BEFORE, AFTER),
            ("the same while trials were left", "share"): ledger.working(OUTSIDE, BEFORE, AFTER, IDLE),
        }
        for ledger in found
    ]
    return measured(case, readings)


def main(options: Options) -> None:
    """Reads the records and writes the table."""
    circumstances = Circumstances()
    folders = options.results or sorted(path for path in RECORDS.glob("*") if path.is_dir())
    cases: dict[str, list[Ledger]] = {}
    for folder in folders:
        case = str(folder) if options.results else folder.name.rpartition("-")[0]
        cases.setdefault(case, []).extend(ledgers(folder, options.sweep))
    rows = [row for case, found in cases.items() if found for row in measurements(case, found)]
    if not rows:
        where = ", ".join(map(str, folders)) or str(RECORDS)
        sys.exit(
            f"no run of {options.sweep!r} that ended and trained in {where}: run benchmarks.peers first, or give "
            "--results the results folder of a sweep"
        )
    title = "Where the slots' seconds went, as shares of slots x wall"
    finish(Report(benchmark="ledger", title=title, circumstances=circumstances, measurements=rows), options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

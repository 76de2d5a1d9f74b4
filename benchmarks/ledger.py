"""How recorded sweeps used every second of every slot, and whether the seconds add up.

Command: `python -m benchmarks.ledger`: the sweeps that `python -m benchmarks.peers` has recorded, by precision;
`--results FOLDER` selects other results. It reads records only.
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

from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, to_measurements
from layersweep.records.read import read
from layersweep.records.tables import TIME_CLASSES

RECORDS: Final = RESULTS / "records"
"""The folder with the results folders of `benchmarks.peers`, named `<case>-<round>`."""

PROCESS: Final = "process.json"
"""A file in a results folder, with the seconds of the whole command."""

WORK: Final = ("train", "validate", "test")
"""The classes of a slot's useful work."""

OUTSIDE: Final = "outside the run"
BEFORE: Final = "before the first trial"
IDLE: Final = "no trial left"
AFTER: Final = "after the last trial"
UNACCOUNTED: Final = "unaccounted"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to read."""

    results: tuple[Path, ...] = ()
    """Results folders; by default those of `benchmarks.peers`."""
    sweep: str = "optimizers"
    """The sweep's name."""
    out: Out = RESULTS
    """Where the table is written."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The slots' seconds of one run, by class; their sum is slots x wall.

    Attributes:
        slots: the number of slots.
        wall: seconds of the whole command, or of the run if those are not recorded.
        seconds: seconds by class: outside the run (start of Python and Ray, the study, Ray's end), before a slot's
        first
            trial, the classes that trials record, no trial left while others ran, after the last trial, and the rest.
        starting: seconds in which the slots' first training processes started, before they could build a model.
        difference: the difference between the run's own sums and the sums of its trials, as a share.
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
        starts = [_seconds(at, start["at"]) for at in trials["started_at"].sort()]
        ends = [_seconds(at, start["at"]) for at in trials["ended_at"].sort()]
        idle_slots = slots - min(slots, len(starts))  # never had a trial
        wall = run if process is None else process
        seconds_by_class = {name: float(trials[f"seconds_{name}"].sum()) for name in TIME_CLASSES}
        seconds = {
            OUTSIDE: slots * (wall - run),
            BEFORE: sum(starts[:slots]),
            **seconds_by_class,
            IDLE: sum(ends[-1] - at for at in ends[-slots:]) + idle_slots * ends[-1],
            AFTER: slots * (run - ends[-1]),
        }
        seconds[UNACCOUNTED] = slots * wall - sum(seconds.values())
        first = trials.sort("started_at").head(slots)
        run_seconds = sum(float(end[f"seconds_{name}"] or 0.0) for name in TIME_CLASSES)
        return cls(
            slots=slots,
            wall=wall,
            seconds=seconds,
            starting=float((first["seconds_start"] + first["seconds_import"]).sum()),
            difference=abs(run_seconds - sum(seconds_by_class.values())) / sum(seconds_by_class.values()),
        )

    @property
    def shares(self) -> dict[str, float]:
        """Each class as a share of slots x wall."""
        return {name: seconds / (self.slots * self.wall) for name, seconds in self.seconds.items()}

    def working(self, *classes: str) -> float:
        """The share of useful work in the time after each slot's start, without these classes."""
        available_seconds = self.slots * self.wall - self.starting - sum(self.seconds[name] for name in classes)
        return sum(self.seconds[name] for name in WORK) / available_seconds


def _seconds(at: datetime, since: datetime) -> float:
    return (at - since).total_seconds()


def ledgers(results: Path, sweep: str) -> list[Ledger]:
    """The ledger of each run that has ended and trained something."""
    runs, trials = read(results, "runs", sweep), read(results, "trials", sweep)
    process_file = results / PROCESS
    process = float(json.loads(process_file.read_text())["seconds"]) if process_file.exists() else None
    run_ledgers = []
    for end in runs.filter(pl.col("event") == "end").iter_rows(named=True):
        start = runs.row(by_predicate=(pl.col("run") == end["run"]) & (pl.col("event") == "start"), named=True)
        trainings = trials.filter((pl.col("run") == end["run"]) & pl.col("started_at").is_not_null())
        if trainings.height:
            run_ledgers.append(Ledger.of(start, end, trainings, process))
    return run_ledgers


def measurements(case: str, ledgers_of_case: Sequence[Ledger]) -> list[Measurement]:
    """The rows of one case: each class as a share, then the sums and checks."""
    readings = [
        {(name, "share"): share for name, share in ledger.shares.items()}
        | {
            ("slots x wall", "s"): ledger.slots * ledger.wall,
            ("trials' sums against the run's", "share"): ledger.difference,
            ("train + validate + test once started", "share"): ledger.working(OUTSIDE, BEFORE, AFTER),
            ("the same while trials were left", "share"): ledger.working(OUTSIDE, BEFORE, AFTER, IDLE),
        }
        for ledger in ledgers_of_case
    ]
    return to_measurements(case, readings)


def main(options: Options) -> None:
    """Reads the records and writes the table."""
    circumstances = Circumstances()
    folders = options.results or sorted(path for path in RECORDS.glob("*") if path.is_dir())
    cases: dict[str, list[Ledger]] = {}
    for folder in folders:
        case = str(folder) if options.results else folder.name.rpartition("-")[0]
        cases.setdefault(case, []).extend(ledgers(folder, options.sweep))
    rows = [
        row for case, ledgers_of_case in cases.items() if ledgers_of_case for row in measurements(case, ledgers_of_case)
    ]
    if not rows:
        where = ", ".join(map(str, folders)) or str(RECORDS)
        sys.exit(
            f"no run of {options.sweep!r} in {where} has ended and trained something; run benchmarks.peers first, or "
            "give the results folder of a sweep with --results"
        )
    title = "Where the slots' seconds went, as shares of slots x wall"
    finish(Report(benchmark="ledger", title=title, circumstances=circumstances, measurements=rows), options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

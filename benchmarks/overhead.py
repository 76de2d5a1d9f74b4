"""What a trial costs besides its training: trials that do nothing, through the whole path, beside Ray Tune alone.

Command: `python -m benchmarks.overhead`: 1,000 and 10,000 trials of one epoch, and 100 trials of 100 epochs, each by
Tune alone and by a sweep that records them; then `--repeat` times.

Times are those of trials on warm workers: what came before the first few ended (Ray's start, imports) is left out.
Memory is the driver's, by a straight line through its resident bytes against the trials that had ended.
"""

import bisect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tyro

from benchmarks import processes, report
from benchmarks.processes import Finished
from benchmarks.report import Measurement, ratio
from benchmarks.rounds import Rounds, RoundsOptions
from layersweep.records.read import read

OURS: Final = "Layersweep"
TUNE: Final = "Tune alone"
MEMORY: Final = "driver memory a trial"
_WARM_TRIALS: Final = 2
"""Trials a slot that are left out at the beginning."""


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    trials: tuple[int, ...] = (1_000, 10_000)
    """Numbers of trials of one epoch."""
    long_trials: int = 100
    """Number of trials of many epochs; 0: none."""
    long_epochs: int = 100
    """How many epochs those have."""
    layers: int = 0
    """Rows of the table `layers` at each measured epoch of ours; `fashion_cnn` has 25."""
    slots: int = 2
    """Trials at once."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """So many trials of so many epochs."""

    trials: int
    epochs: int

    def __str__(self) -> str:
        return f"{self.trials:,} x {self.epochs:,}"


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a run went: when trials ended and epochs came in (sorted, seconds since 1970), and the driver's memory."""

    trials: Sequence[float]
    epochs: Sequence[float]
    process: Finished


def pace(times: Sequence[float], warm: int) -> float:
    """Seconds between two events, on average, once `warm` of them are over.

    Raises:
        ValueError: if fewer than two are left.
    """
    if len(times) < warm + 2:
        raise ValueError(f"{len(times)} events are too few to leave {warm} out")
    return (times[-1] - times[warm]) / (len(times) - 1 - warm)


def growth(memory: Sequence[tuple[float, int]], ended: Sequence[float], warm: int) -> float:
    """Bytes a trial: the slope of memory against the trials that had ended, between the first `warm` and the last.

    NaN where the memory was read less than twice meanwhile.
    """
    during = [(bisect.bisect_right(ended, at), size) for at, size in memory if ended[warm] <= at <= ended[-1]]
    counts, sizes = np.array(during, dtype=np.float64).reshape(-1, 2).T
    return float(np.polyfit(counts, sizes, 1)[0]) if len(set(counts)) > 1 else float("nan")


def _tune_alone(size: Size, options: Options, folder: Path) -> Course:
    written = folder / "times.json"
    command = [sys.executable, "-m", "benchmarks.programs.tune_alone", "--out", written]
    command += ["--trials", size.trials, "--epochs", size.epochs, "--slots", options.slots]
    process = processes.run(command, log=folder / "log.txt")
    times = json.loads(written.read_text())
    return Course(trials=sorted(times["trials"]), epochs=sorted(times["epochs"]), process=process)


def _ours(size: Size, options: Options, folder: Path) -> Course:
    return sweep(size, layers=options.layers, slots=options.slots, folder=folder)


def sweep(size: Size, *, layers: int, slots: int, folder: Path, seconds: float = 0.0) -> Course:
    """Runs a sweep of trials that do nothing, or sleep so long an epoch, into an empty results folder."""
    command = [sys.executable, "-m", "benchmarks.programs.no_op_sweep", "--results", folder, "--seeds", size.trials]
    command += ["--epochs", size.epochs, "--slots", slots, "--scheduler", "none"]
    command += ["--set", f"layers={layers}", "--set", f"seconds={seconds}"]
    process = processes.run(command, log=folder / "log.txt")

    def times(table: str, column: str) -> list[float]:
        return sorted(at.timestamp() for at in read(folder, table, columns=[column])[column])

    return Course(trials=times("trials", "ended_at"), epochs=times("epochs", "at"), process=process)


PROGRAMS: Final[dict[str, Callable[[Size, Options, Path], Course]]] = {TUNE: _tune_alone, OURS: _ours}


def measured(name: str, size: Size, courses: Sequence[Course], slots: int) -> dict[str, Measurement]:
    """The quantities of one program at one size, by measure; memory only where there are trials enough to see it."""
    warm = _WARM_TRIALS * slots
    readings = [
        {
            ("a trial", "ms"): 1_000 * pace(course.trials, warm),
            ("recorded epochs", "1/s"): 1 / pace(course.epochs, warm * size.epochs),
            (MEMORY, "kB"): growth(course.process.memory, course.trials, warm) / 1_000,
            ("driver memory at its end", "MB"): course.process.memory[-1][1] / 1_000_000,
            ("whole process", "s"): course.process.seconds,
        }
        for course in courses
    ]
    return {row.measure: row for row in report.measured(f"{name}, {size}", readings)}


def compared(size: Size, tune: dict[str, Measurement], ours: dict[str, Measurement]) -> Iterator[Measurement]:
    """Both programs' quantities at one size, ours against Tune's."""
    for name, one in tune.items():
        yield one
        yield ours[name]
        yield ratio(ours[name], one, case=f"{OURS} / {TUNE}, {size}")
    pairs = zip(ours[MEMORY].values, tune[MEMORY].values, strict=True)
    more = [a - b for a, b in pairs]
    yield Measurement(case=f"{OURS} - {TUNE}, {size}", measure=MEMORY, unit="kB", values=more)


def measurements(courses: Mapping[tuple[Size, str], Sequence[Course]], slots: int) -> Iterator[Measurement]:
    """The rows of the table."""
    for size in dict.fromkeys(size for size, _ in courses):
        yield from compared(size, *(measured(name, size, courses[size, name], slots) for name in PROGRAMS))


def main(options: Options) -> None:
    """Runs the rounds."""
    sizes = [Size(trials=n, epochs=1) for n in options.trials]
    sizes += [Size(trials=options.long_trials, epochs=options.long_epochs)] if options.long_trials else []
    Rounds(
        benchmark="overhead",
        title=f"Trials that do nothing, {options.slots} slots (trials x epochs)",
        cases=[(size, name) for size in sizes for name in PROGRAMS],
        once=lambda case, _, folder: PROGRAMS[case[1]](case[0], options, folder),
        rows=lambda courses: measurements(courses, options.slots),
        label=lambda case: f"{case[1]}, {case[0]}",
    ).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

"""The cost of a trial besides its training: trials that do nothing in a whole sweep, compared with Ray Tune alone.

Command: `python -m benchmarks.overhead`: 1,000 and 10,000 trials of one epoch, and 100 trials of 100 epochs, each with
Tune alone and with a sweep that records them; all of that `--repeat` times.

Times are those of trials on warm workers: the time until the first trials ended (Ray's start, imports) is left out.
Memory is the driver's: the slope of its resident bytes against the number of ended trials.
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
from benchmarks.processes import ProcessRun
from benchmarks.report import Measurement, ratio
from benchmarks.rounds import Rounds, RoundsOptions
from layersweep.records.read import read

OURS: Final = "Layersweep"
TUNE: Final = "Tune alone"
MEMORY: Final = "driver memory a trial"
_WARM_TRIALS: Final = 2
"""The number of first trials per slot that are left out."""


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    trials: tuple[int, ...] = (1_000, 10_000)
    """Numbers of trials of one epoch."""
    long_trials: int = 100
    """Number of trials of many epochs; 0: none."""
    long_epochs: int = 100
    """Their number of epochs."""
    layers: int = 0
    """Rows of the table `layers` at each measured epoch of the sweep; `fashion_cnn` has 25."""
    slots: int = 2
    """Trials at once."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """A number of trials, and the epochs of each."""

    trials: int
    epochs: int

    def __str__(self) -> str:
        return f"{self.trials:,} x {self.epochs:,}"


@dataclass(frozen=True, kw_only=True)
class Course:
    """The course of a run: the times of trials' ends and of epochs (sorted, seconds since 1970), and its process."""

    trials: Sequence[float]
    epochs: Sequence[float]
    process: ProcessRun


def pace(times: Sequence[float], warm: int) -> float:
    """The mean of the seconds between two events, without the first `warm` events.

    Raises:
        ValueError: if fewer than two events remain.
    """
    if len(times) < warm + 2:
        raise ValueError(f"{len(times)} events are too few to leave {warm} out; valid: {warm + 2} or more")
    return (times[-1] - times[warm]) / (len(times) - 1 - warm)


def growth(memory: Sequence[tuple[float, int]], ends: Sequence[float], warm: int) -> float:
    """Bytes per trial: the slope of memory against the number of ended trials, without the first `warm` trials.

    NaN if the memory was read fewer than two times meanwhile.
    """
    samples = [(bisect.bisect_right(ends, at), size) for at, size in memory if ends[warm] <= at <= ends[-1]]
    counts, sizes = np.array(samples, dtype=np.float64).reshape(-1, 2).T
    return float(np.polyfit(counts, sizes, 1)[0]) if len(set(counts)) > 1 else float("nan")


def _tune_alone(size: Size, options: Options, folder: Path) -> Course:
    out = folder / "times.json"
    command = [sys.executable, "-m", "benchmarks.programs.tune_alone", "--out", out]
    command += ["--trials", size.trials, "--epochs", size.epochs, "--slots", options.slots]
    process = processes.run(command, log=folder / "log.txt")
    times = json.loads(out.read_text())
    return Course(trials=sorted(times["trials"]), epochs=sorted(times["epochs"]), process=process)


def _ours(size: Size, options: Options, folder: Path) -> Course:
    return sweep(size, layers=options.layers, slots=options.slots, folder=folder)


def sweep(size: Size, *, layers: int, slots: int, folder: Path, seconds: float = 0.0) -> Course:
    """Runs a sweep of trials that do nothing, or sleep `seconds` per epoch, with an empty results folder."""
    command = [sys.executable, "-m", "benchmarks.programs.no_op_sweep", "--results", folder, "--seeds", size.trials]
    command += ["--epochs", size.epochs, "--slots", slots, "--scheduler", "none"]
    command += ["--set", f"layers={layers}", "--set", f"seconds={seconds}"]
    process = processes.run(command, log=folder / "log.txt")

    def times(table: str, column: str) -> list[float]:
        return sorted(at.timestamp() for at in read(folder, table, columns=[column])[column])

    return Course(trials=times("trials", "ended_at"), epochs=times("epochs", "at"), process=process)


PROGRAMS: Final[dict[str, Callable[[Size, Options, Path], Course]]] = {TUNE: _tune_alone, OURS: _ours}


def measurements_of(name: str, size: Size, courses: Sequence[Course], slots: int) -> dict[str, Measurement]:
    """The quantities of one program at one size, by measure; memory is NaN if there are too few trials."""
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
    return {row.measure: row for row in report.to_measurements(f"{name}, {size}", readings)}


def comparison(size: Size, tune: dict[str, Measurement], ours: dict[str, Measurement]) -> Iterator[Measurement]:
    """Both programs' quantities at one size, with their ratios."""
    for name, one in tune.items():
        yield one
        yield ours[name]
        yield ratio(ours[name], one, case=f"{OURS} / {TUNE}, {size}")
    pairs = zip(ours[MEMORY].values, tune[MEMORY].values, strict=True)
    differences = [a - b for a, b in pairs]
    yield Measurement(case=f"{OURS} - {TUNE}, {size}", measure=MEMORY, unit="kB", values=differences)


def measurements(courses: Mapping[tuple[Size, str], Sequence[Course]], slots: int) -> Iterator[Measurement]:
    """The rows of the table."""
    for size in dict.fromkeys(size for size, _ in courses):
        yield from comparison(size, *(measurements_of(name, size, courses[size, name], slots) for name in PROGRAMS))


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

"""How many slots one driver keeps at work: trials that sleep, as if other machines trained them, on more and more.

Command: `python -m benchmarks.scaling`: each slot has an actor and a training process here, which take memory; their
epochs sleep. What is measured between the first trial's end on each slot and the last one's:

- trials a second, and what share of the slots' time that is;
- how many of the machine's cores the driver takes: with one it is at work all the time, and more slots wait for it;
- the driver's memory at its end, and what a slot takes of the machine's.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from benchmarks.overhead import Course, Size, pace, sweep
from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, say

_TRIALS_A_SLOT: Final = 5


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    slots: tuple[int, ...] = (2, 16, 64)
    """Numbers of slots."""
    epochs: int = 10
    """Epochs of a trial."""
    seconds: float = 1.0
    """How long an epoch sleeps."""
    repeat: int = 1
    """Rounds."""
    out: Out = RESULTS
    """Where the table is written."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a sweep on so many slots came to.

    Attributes:
        trials: a second.
        busy: the share of the slots' seconds that trials took by what they sleep.
        cores: of the machine's that the driver took.
        driver_bytes: its memory at its end.
        slot_bytes: the machine's memory in use at most, less that at the start, for each slot.
    """

    trials: float
    busy: float
    cores: float
    driver_bytes: float
    slot_bytes: float

    @classmethod
    def of(cls, course: Course, slots: int, seconds: float) -> "Load":
        """From how a sweep went whose trials sleep so many seconds each."""
        every = pace(course.trials, slots)
        process, began, ended = course.process, course.trials[slots], course.trials[-1]
        during = [(at, taken) for at, taken in process.cpu if began <= at <= ended]
        (first, before), (last, after) = during[0], during[-1]
        used = [bytes_ for _, bytes_ in process.machine]
        return cls(
            trials=1 / every,
            busy=seconds / (every * slots),
            cores=(after - before) / (last - first),
            driver_bytes=process.memory[-1][1],
            slot_bytes=(max(used) - used[0]) / slots,
        )


def measurements(loads: dict[int, Sequence[Load]]) -> Iterator[Measurement]:
    """The rows of the table."""
    for slots, found in loads.items():
        case = f"{slots} slots"
        yield Measurement(case=case, measure="trials", unit="1/s", values=[load.trials for load in found])
        yield Measurement(case=case, measure="slots at work", unit="ratio", values=[load.busy for load in found])
        yield Measurement(case=case, measure="driver", unit="cores", values=[load.cores for load in found])
        driver = [load.driver_bytes / 1_000_000 for load in found]
        yield Measurement(case=case, measure="driver memory at its end", unit="MB", values=driver)
        slot = [load.slot_bytes / 1_000_000 for load in found]
        yield Measurement(case=case, measure="memory a slot", unit="MB", values=slot)


def main(options: Options) -> None:
    """Runs the rounds; writes the table after each sweep, so that a failure later loses none."""
    circumstances = Circumstances.now()
    loads: dict[int, list[Load]] = {slots: [] for slots in options.slots}
    title = f"Trials of {options.epochs} epochs that sleep {options.seconds:g} s each"
    for number in range(1, options.repeat + 1):
        for slots, found in loads.items():
            say(f"round {number} of {options.repeat}: {slots} slots")
            size = Size(trials=slots * _TRIALS_A_SLOT, epochs=options.epochs)
            with tempfile.TemporaryDirectory(prefix="layersweep-scaling-") as folder:
                course = sweep(size, layers=0, slots=slots, folder=Path(folder), seconds=options.seconds)
            found.append(Load.of(course, slots, options.epochs * options.seconds))
            rows = list(measurements({n: those for n, those in loads.items() if those}))
            report = Report(benchmark="scaling", title=title, measurements=rows, circumstances=circumstances)
            report.write(options.out)
    finish(report, options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

"""How many slots one driver keeps busy: trials that sleep, as if other machines trained them, on more and more slots.

Command: `python -m benchmarks.scaling`: each slot has an actor and a training process on this machine, which take
memory; their epochs sleep. Measured from the end of each slot's first trial to the end of the last trial:

- trials per second, and the share of the slots' time that trials take;
- the number of cores that the driver uses: at 1 it is always busy, and more slots would wait for it;
- the driver's memory at its end, and the machine's memory per slot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from benchmarks.overhead import Course, Size, pace, sweep
from benchmarks.report import Measurement, Readings, to_measurements
from benchmarks.rounds import Rounds, RoundsOptions

_TRIALS_A_SLOT: Final = 5


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    slots: tuple[int, ...] = (2, 16, 64)
    """Numbers of slots."""
    epochs: int = 10
    """Epochs of a trial."""
    seconds: float = 1.0
    """Seconds that an epoch sleeps."""
    repeat: int = 1
    """Rounds."""


def load(course: Course, slots: int, seconds: float) -> Readings:
    """The measures of a sweep on this number of slots, whose trials sleep this number of seconds each.

    These are: trials per second; the slots' share of time in which trials sleep; the cores that the driver uses; its
    memory at its end; and per slot, the machine's largest memory in use minus the memory at the start.
    """
    seconds_between = pace(course.trials, slots)
    process, start, end = course.process, course.trials[slots], course.trials[-1]
    samples = [(at, cpu_seconds) for at, cpu_seconds in process.cpu if start <= at <= end]
    (first, cpu_before), (last, cpu_after) = samples[0], samples[-1]
    used_bytes = [bytes_ for _, bytes_ in process.machine]
    return {
        ("trials", "1/s"): 1 / seconds_between,
        ("slots at work", "ratio"): seconds / (seconds_between * slots),
        ("driver", "cores"): (cpu_after - cpu_before) / (last - first),
        ("driver memory at its end", "MB"): process.memory[-1][1] / 1_000_000,
        ("memory a slot", "MB"): (max(used_bytes) - used_bytes[0]) / slots / 1_000_000,
    }


def measurements(loads: Mapping[int, Sequence[Readings]]) -> list[Measurement]:
    """The rows of the table."""
    return [row for slots, readings in loads.items() for row in to_measurements(f"{slots} slots", readings)]


def main(options: Options) -> None:
    """Runs the rounds."""

    def once(slots: int, _: int, folder: Path) -> Readings:
        size = Size(trials=slots * _TRIALS_A_SLOT, epochs=options.epochs)
        course = sweep(size, layers=0, slots=slots, folder=folder, seconds=options.seconds)
        return load(course, slots, options.epochs * options.seconds)

    Rounds(
        benchmark="scaling",
        title=f"Trials of {options.epochs} epochs that sleep {options.seconds:g} s each",
        cases=options.slots,
        once=once,
        rows=measurements,
        label="{} slots".format,
        partial=True,
    ).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

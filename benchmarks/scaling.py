"""How many slots one driver keeps at work: trials that sleep, as if other machines trained them, on more and more.

Command: `python -m benchmarks.scaling`: each slot has an actor and a training process here, which take memory; their
epochs sleep. What is measured between the first trial's end on each slot and the last one's:

- trials a second, and what share of the slots' time that is;
- how many of the machine's cores the driver takes: with one it is at work all the time, and more slots wait for it;
- the driver's memory at its end, and what a slot takes of the machine's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from benchmarks.overhead import Course, Size, pace, sweep
from benchmarks.report import Measurement, Readings, measured
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
    """How long an epoch sleeps."""
    repeat: int = 1
    """Rounds."""


def load(course: Course, slots: int, seconds: float) -> Readings:
    """What a sweep on so many slots came to whose trials sleep so many seconds each.

    That is: trials a second; the share of the slots' seconds that trials took by what they sleep; how many of the
    machine's cores the driver took; its memory at its end; and for each slot the machine's memory in use at most, less
    that at the start.
    """
    every = pace(course.trials, slots)
    process, began, ended = course.process, course.trials[slots], course.trials[-1]
    during = [(at, taken) for at, taken in process.cpu if began <= at <= ended]
    (first, before), (last, after) = during[0], during[-1]
    used = [bytes_ for _, bytes_ in process.machine]
    return {
        ("trials", "1/s"): 1 / every,
        ("slots at work", "ratio"): seconds / (every * slots),
        ("driver", "cores"): (after - before) / (last - first),
        ("driver memory at its end", "MB"): process.memory[-1][1] / 1_000_000,
        ("memory a slot", "MB"): (max(used) - used[0]) / slots / 1_000_000,
    }


def measurements(loads: Mapping[int, Sequence[Readings]]) -> list[Measurement]:
    """The rows of the table."""
    return [row for slots, found in loads.items() for row in measured(f"{slots} slots", found)]


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

"""Runs a benchmark in rounds: every case once per round, each in its own folder, and a table after each round."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, say

Case = TypeVar("Case")
Reading = TypeVar("Reading")


@dataclass(frozen=True, kw_only=True)
class RoundsOptions:
    """The options of every benchmark that runs in rounds."""

    repeat: int = 3
    """Number of rounds; everything is measured once in each."""
    out: Out = RESULTS
    """Folder for the table."""


@dataclass(frozen=True, kw_only=True)
class Rounds(Generic[Case, Reading]):
    """A benchmark in rounds.

    Attributes:
        benchmark: its name, and that of its files.
        title: the measurement in one line.
        cases: the cases of each round.
        once: measures a case; takes the case, the round (from 1) and an empty folder that is deleted afterwards.
        rows: makes the table's rows from the readings of complete rounds.
        label: a case's name in the progress.
        rotating: whether each round begins with the next case.
        circumstances: the circumstances, if they must be read before the cases are prepared.
        partial: whether `rows` can be made from some of the cases; then the table is written after each case.
    """

    benchmark: str
    title: str
    cases: Sequence[Case]
    once: Callable[[Case, int, Path], Reading]
    rows: Callable[[Mapping[Case, Sequence[Reading]]], Iterable[Measurement]]
    label: Callable[[Case], str] = str
    rotating: bool = False
    partial: bool = False
    circumstances: Circumstances = field(default_factory=Circumstances)

    def run(self, options: RoundsOptions) -> dict[Case, list[Reading]]:
        """Runs the rounds; writes the table after each, so that a later failure loses none; prints it at the end."""
        readings: dict[Case, list[Reading]] = {case: [] for case in self.cases}
        for number, case in in_turn(self.cases, options.repeat, rotating=self.rotating):
            say(f"round {number} of {options.repeat}: {self.label(case)}")
            with tempfile.TemporaryDirectory(prefix=f"layersweep-{self.benchmark}-") as folder:
                readings[case].append(self.once(case, number, Path(folder)))
            if self.partial or all(len(values) == number for values in readings.values()):
                rows = list(self.rows({key: values for key, values in readings.items() if values}))
                report = Report(
                    benchmark=self.benchmark, title=self.title, circumstances=self.circumstances, measurements=rows
                )
                report.write(options.out)
        finish(report, options.out)
        return readings


def in_turn(cases: Sequence[Case], rounds: int, *, rotating: bool = True) -> Iterator[tuple[int, Case]]:
    """(round, case): every case once per round. With `rotating`, each round begins with the next case."""
    for number in range(rounds):
        first = number % len(cases) if rotating else 0
        yield from ((number + 1, case) for case in (*cases[first:], *cases[:first]))


def timed(call: Callable[[], Reading]) -> tuple[Reading, float]:
    """The result of a call, and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start

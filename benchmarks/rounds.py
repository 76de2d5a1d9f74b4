"""How a benchmark measures: every case once a round, each in a folder of its own, and a table after each round."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, say

Case = TypeVar("Case")
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class RoundsOptions:
    """What every benchmark in rounds is asked."""

    repeat: int = 3
    """Rounds; everything is measured once in each."""
    out: Out = RESULTS
    """Where the table is written."""


@dataclass(frozen=True, kw_only=True)
class Rounds(Generic[Case, Found]):
    """A benchmark in rounds.

    Attributes:
        benchmark: its name, which names the files too.
        title: what is measured, in one line.
        cases: what is measured in each round.
        once: measures a case, given the round (from 1) and an empty folder that goes afterwards.
        rows: the table's rows, from what was found in complete rounds.
        label: what a case is called while it is measured.
        rotating: each round begins with the next case.
        circumstances: those before the cases were made ready, where that is work.
        partial: `rows` takes any cases, so that the table is written after each of them.
    """

    benchmark: str
    title: str
    cases: Sequence[Case]
    once: Callable[[Case, int, Path], Found]
    rows: Callable[[Mapping[Case, Sequence[Found]]], Iterable[Measurement]]
    label: Callable[[Case], str] = str
    rotating: bool = False
    partial: bool = False
    circumstances: Circumstances = field(default_factory=Circumstances)

    def run(self, options: RoundsOptions) -> dict[Case, list[Found]]:
        """Runs the rounds, writes the table after each, so that a failure later loses none, and prints it."""
        found: dict[Case, list[Found]] = {case: [] for case in self.cases}
        for number, case in in_turn(self.cases, options.repeat, rotating=self.rotating):
            say(f"round {number} of {options.repeat}: {self.label(case)}")
            with tempfile.TemporaryDirectory(prefix=f"layersweep-{self.benchmark}-") as folder:
                found[case].append(self.once(case, number, Path(folder)))
            if self.partial or all(len(those) == number for those in found.values()):
                rows = list(self.rows({one: those for one, those in found.items() if those}))
                report = Report(
                    benchmark=self.benchmark, title=self.title, circumstances=self.circumstances, measurements=rows
                )
                report.write(options.out)
        finish(report, options.out)
        return found


def in_turn(cases: Sequence[Case], rounds: int, *, rotating: bool = True) -> Iterator[tuple[int, Case]]:
    """(round, case): every case once a round, each round beginning with the next one, or all with the first."""
    for number in range(rounds):
        first = number % len(cases) if rotating else 0
        yield from ((number + 1, case) for case in (*cases[first:], *cases[:first]))


def timed(call: Callable[[], Found]) -> tuple[Found, float]:
    """What a call returns, and the seconds that it takes."""
    began = time.perf_counter()
    found = call()
    return found, time.perf_counter() - began

"""The report of every benchmark: its quantities with n and spread, in the terminal, as Markdown and as Parquet."""

import math
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import tyro
from rich.console import Console
from rich.table import Table

from layersweep.tuning.common.code_commit import git_commit
from trainables.hardware import cores, cpu_model, memory_bytes

Readings: TypeAlias = Mapping[tuple[str, str], float]
"""The values of one case in one round, by measure and unit."""

RESULTS: Final = Path(__file__).parent / "results"
"""The default folder for tables."""

_TEXTS: Final = ("case", "measure", "unit")
_NUMBERS: Final = ("n", "median", "min", "max")
_WIDTH: Final = 140
"""The width of a table that is printed to a file, in characters."""

Out = Annotated[Path, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: benchmarks/results)")]
"""The flag `--out`."""

_COLUMNS: Final = (
    (pa.string(), "benchmark", "case", "measure", "unit"),
    (pa.int32(), "n"),
    (pa.float64(), "median", "min", "max"),
    (pa.string(), "machine", "cpu"),
    (pa.int32(), "cores"),
    (pa.int64(), "memory_bytes"),
    (pa.float64(), "load"),
    (pa.string(), "commit", "command"),
    (pa.timestamp("us", tz="UTC"), "at"),
)
SCHEMA: Final = pa.schema([(name, kind) for kind, *names in _COLUMNS for name in names])
"""`load` is the mean number of runnable processes in the minute before the benchmark began; 0 on an idle machine."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One quantity of one case, measured once a round.

    Raises:
        ValueError: without any value.
    """

    case: str
    measure: str
    unit: str
    values: Sequence[float]

    def __post_init__(self) -> None:
        """Refuses a quantity without a value."""
        if not self.values:
            raise ValueError(f"{self.measure} of {self.case} was never measured")

    @property
    def row(self) -> dict[str, Any]:
        """Its own columns of the table, without those that all rows share."""
        least, most = min(self.values), max(self.values)
        spread = {"n": len(self.values), "median": statistics.median(self.values), "min": least, "max": most}
        return {"case": self.case, "measure": self.measure, "unit": self.unit} | spread


def to_measurements(case: str, rounds: Sequence[Readings]) -> list[Measurement]:
    """A row for each measure of a case, with one value per round."""
    keys = rounds[0] if rounds else ()
    return [Measurement(case=case, measure=m, unit=unit, values=[one[m, unit] for one in rounds]) for m, unit in keys]


def ratio(of: Measurement, to: Measurement, *, case: str) -> Measurement:
    """The ratio of two quantities in each round: noise that lasts longer than a round cancels out.

    Raises:
        ValueError: if they were not measured in the same rounds.
    """
    values = [a / b for a, b in zip(of.values, to.values, strict=True)]
    return Measurement(case=case, measure=of.measure, unit="ratio", values=values)


def _command() -> str:
    """The command line as a user would type it."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    program = ["python", "-m", spec.name] if spec is not None else ["python", sys.argv[0]]
    return shlex.join([*program, *sys.argv[1:]])


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """The machine, time and commit of a benchmark; made before anything is measured, since it reads the load."""

    machine: str = field(default_factory=platform.node)
    cpu: str = field(default_factory=cpu_model)
    cores: int = field(default_factory=cores)
    memory_bytes: int = field(default_factory=memory_bytes)
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    commit: str | None = field(default_factory=git_commit)
    command: str = field(default_factory=_command)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __str__(self) -> str:
        memory = f"{self.memory_bytes / (1 << 30):.0f} GiB"
        return (
            f"{self.machine}: {self.cores} cores of {self.cpu}, {memory}, load {self.load:.1f} before; "
            f"commit {self.commit or 'unknown'}; {self.at:%Y-%m-%d %H:%M} UTC; `{self.command}`"
        )


@dataclass(frozen=True, kw_only=True)
class Report:
    """A benchmark's table.

    Attributes:
        benchmark: its name, which names the files too.
        title: what was measured, in one line.
        circumstances: where and when.
        measurements: its rows.
    """

    benchmark: str
    title: str
    circumstances: Circumstances
    measurements: Sequence[Measurement]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the Parquet file."""
        common = {"benchmark": self.benchmark, **vars(self.circumstances)}
        return [common | measurement.row for measurement in self.measurements]

    @property
    def markdown(self) -> str:
        """The table as a page."""
        rule = ["---"] * len(_TEXTS) + ["---:"] * len(_NUMBERS)
        lines = [[*_TEXTS, *_NUMBERS], rule, *map(_cells, self.measurements)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"# {self.title}\n\n{self.circumstances}\n\n{table}\n"

    def write(self, out: Path) -> None:
        """Writes `<benchmark>.parquet` and `<benchmark>.md`, and replaces earlier files."""
        out.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(self.rows, schema=SCHEMA), out / f"{self.benchmark}.parquet")
        (out / f"{self.benchmark}.md").write_text(self.markdown, encoding="utf-8")

    def show(self, console: Console) -> None:
        """Draws the table in a terminal."""
        table = Table(*_TEXTS, box=None, pad_edge=False, header_style="dim")
        for name in _NUMBERS:
            table.add_column(name, justify="right")
        for measurement in self.measurements:
            table.add_row(*_cells(measurement))
        console.print(f"[bold]{self.title}[/bold]\n{self.circumstances}\n", soft_wrap=True)
        console.print(table)


def finish(report: Report, out: Path) -> None:
    """Prints a report and writes its files."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    report.write(out)
    report.show(console)
    console.print(f"\n{out / report.benchmark}.md, .parquet", soft_wrap=True)


def say(line: str) -> None:
    """Prints a line of progress on stderr, since rounds take minutes."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(line, markup=False, style="dim")


def _cells(measurement: Measurement) -> list[str]:
    texts = dict.fromkeys((*_TEXTS, "n"), str)
    return [texts.get(name, number)(value) for name, value in measurement.row.items()]


def number(value: float) -> str:
    """Three significant digits, or more if the whole number has more; infinity is "not reached"."""
    if value == math.inf:
        return "not reached"
    if abs(value) >= 100:  # noqa: PLR2004 (three digits)
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if value else "0"

"""How the cost of a trial grows with the number of trials, their epochs, and the layers that they report.

Command: `python -m benchmarks.growth`: trials that do nothing, recorded as any sweep's, along one axis at a time;
writes a figure beside the table.

What is flat in "ms a trial" against trials costs the same at any size; what is straight in the other two grows in
proportion. Memory is the driver's at its end.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from benchmarks.overhead import Course, Size, pace, sweep
from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, say

_SLOTS: Final = 2
_WARM: Final = 4
"""Trials that are left out at the beginning."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    trials: tuple[int, ...] = (300, 1_000, 3_000, 10_000)
    """Numbers of trials, of one epoch each, without layers."""
    epochs: tuple[int, ...] = (1, 10, 100, 1_000)
    """Epochs of 100 trials each, without layers."""
    layers: tuple[int, ...] = (0, 25, 100, 400)
    """Layers of 300 trials of one epoch each."""
    repeat: int = 1
    """Rounds."""
    out: Out = RESULTS
    """Where the table and the figure are written."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One sweep.

    Attributes:
        axis: what grows.
        value: how far it has grown.
        size: trials and epochs.
        layers: rows of the table `layers` at each measured epoch.
    """

    axis: str
    value: int
    size: Size
    layers: int = 0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a sweep cost: milliseconds and stored bytes a trial, and the driver's memory at its end."""

    milliseconds: float
    stored_bytes: float
    memory_bytes: float

    @classmethod
    def of(cls, course: Course, results: Path) -> "Cost":
        """The cost of a sweep from its course and its results folder."""
        stored = sum(path.stat().st_size for path in results.rglob("*.parquet"))
        return cls(
            milliseconds=1_000 * pace(course.trials, _WARM),
            stored_bytes=stored / len(course.trials),
            memory_bytes=course.process.memory[-1][1],
        )


MEASURES: Final[Mapping[tuple[str, str], str]] = {
    ("a trial", "ms"): "milliseconds",
    ("stored a trial", "B"): "stored_bytes",
    ("driver memory at its end", "B"): "memory_bytes",
}
"""Attributes of a `Cost` by measure and unit."""


def points(options: Options) -> Iterator[Point]:
    """Every sweep, axis by axis."""
    yield from (Point(axis="trials", value=n, size=Size(trials=n, epochs=1)) for n in options.trials)
    yield from (Point(axis="epochs", value=n, size=Size(trials=100, epochs=n)) for n in options.epochs)
    yield from (Point(axis="layers", value=n, size=Size(trials=300, epochs=1), layers=n) for n in options.layers)


def measurements(costs: Mapping[Point, Sequence[Cost]]) -> Iterator[Measurement]:
    """The rows of the table."""
    for (measure, unit), name in MEASURES.items():
        for point, found in costs.items():
            values = [getattr(cost, name) for cost in found]
            yield Measurement(case=f"{point.axis}: {point.value:,}", measure=measure, unit=unit, values=values)


def draw(costs: Mapping[Point, Sequence[Cost]], path: Path) -> None:
    """Writes the figure: a row a measure, a column an axis, every round a dot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    axes = list(dict.fromkeys(point.axis for point in costs))
    figure = Figure(figsize=(3.2 * len(axes), 2.2 * len(MEASURES)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(MEASURES), len(axes), squeeze=False, sharex="col", sharey="row")
    for row, ((measure, unit), name) in zip(panels, MEASURES.items(), strict=True):
        row[0].set_ylabel(f"{measure}, {unit}")
        for panel, axis in zip(row, axes, strict=True):
            dots = [
                (point.value, getattr(cost, name))
                for point, found in costs.items()
                for cost in found
                if point.axis == axis
            ]
            panel.plot(*zip(*dots, strict=True), "o", color="C0")
            panel.set_xscale("symlog", linthresh=1)
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.yaxis.set_major_formatter(EngFormatter(sep=""))
            panel.yaxis.set_minor_locator(NullLocator())
            panel.grid(visible=True, which="major", alpha=0.3)
    for panel, axis in zip(panels[-1], axes, strict=True):
        panel.set_xlabel(axis if axis == "trials" else f"{axis} a trial")
    figure.savefig(path, dpi=150)


def main(options: Options) -> None:
    """Runs the rounds; writes the table and the figure."""
    circumstances = Circumstances.now()
    costs: dict[Point, list[Cost]] = {point: [] for point in points(options)}
    for number in range(1, options.repeat + 1):
        for point, found in costs.items():
            say(f"round {number} of {options.repeat}: {point.axis} {point.value:,}")
            with tempfile.TemporaryDirectory(prefix="layersweep-growth-") as name:
                folder = Path(name)
                course = sweep(point.size, layers=point.layers, slots=_SLOTS, folder=folder)
                found.append(Cost.of(course, folder))
    title = f"What a trial that does nothing costs as a sweep grows, {_SLOTS} slots"
    rows = list(measurements(costs))
    finish(Report(benchmark="growth", title=title, circumstances=circumstances, measurements=rows), options.out)
    draw(costs, options.out / "growth.png")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

"""How the cost of a trial grows with the number of trials, their epochs, and the layers that they report.

Command: `python -m benchmarks.growth`: trials that do nothing, recorded like those of any sweep, along one axis at a
time. It writes a figure next to the table.

A flat line of "ms a trial" against the number of trials means the same cost at any size. A straight line against epochs
or layers means a cost in proportion to them. Memory is the driver's memory at its end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from benchmarks.overhead import Course, Size, pace, sweep
from benchmarks.report import Measurement, Readings, to_measurements
from benchmarks.rounds import Rounds, RoundsOptions

_SLOTS: Final = 2
_WARM: Final = 4
"""The number of first trials that are left out."""


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    trials: tuple[int, ...] = (300, 1_000, 3_000, 10_000)
    """Numbers of trials, of one epoch each, without layers."""
    epochs: tuple[int, ...] = (1, 10, 100, 1_000)
    """Epochs of 100 trials each, without layers."""
    layers: tuple[int, ...] = (0, 25, 100, 400)
    """Layers of 300 trials of one epoch each."""
    repeat: int = 1
    """Rounds."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One sweep.

    Attributes:
        axis: what grows.
        value: its size.
        size: trials and epochs.
        layers: rows of the table `layers` at each measured epoch.
    """

    axis: str
    value: int
    size: Size
    layers: int = 0

    def __str__(self) -> str:
        return f"{self.axis}: {self.value:,}"


def cost(course: Course, results: Path) -> Readings:
    """The costs of a sweep: milliseconds and stored bytes per trial, and the driver's memory at its end."""
    stored_bytes = sum(path.stat().st_size for path in results.rglob("*.parquet"))
    return {
        ("a trial", "ms"): 1_000 * pace(course.trials, _WARM),
        ("stored a trial", "B"): stored_bytes / len(course.trials),
        ("driver memory at its end", "B"): course.process.memory[-1][1],
    }


def points(options: Options) -> Iterator[Point]:
    """Every sweep, axis by axis."""
    yield from (Point(axis="trials", value=n, size=Size(trials=n, epochs=1)) for n in options.trials)
    yield from (Point(axis="epochs", value=n, size=Size(trials=100, epochs=n)) for n in options.epochs)
    yield from (Point(axis="layers", value=n, size=Size(trials=300, epochs=1), layers=n) for n in options.layers)


def measurements(costs: Mapping[Point, Sequence[Readings]]) -> list[Measurement]:
    """The rows of the table, measure by measure."""
    columns = [to_measurements(str(point), readings) for point, readings in costs.items()]
    return [row for rows in zip(*columns, strict=True) for row in rows]


def draw(costs: Mapping[Point, Sequence[Readings]], path: Path) -> None:
    """Writes the figure: a row per measure, a column per axis, a dot per round."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    axes = list(dict.fromkeys(point.axis for point in costs))
    measures = list(next(iter(costs.values()))[0])
    figure = Figure(figsize=(3.2 * len(axes), 2.2 * len(measures)), layout="constrained")
    panels = figure.subplots(len(measures), len(axes), squeeze=False, sharex="col", sharey="row")
    for row, measure in zip(panels, measures, strict=True):
        row[0].set_ylabel(", ".join(measure))
        for panel, axis in zip(row, axes, strict=True):
            dots = [
                (point.value, one[measure])
                for point, readings in costs.items()
                for one in readings
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
    """Runs the rounds; draws the figure."""

    def once(point: Point, _: int, folder: Path) -> Readings:
        return cost(sweep(point.size, layers=point.layers, slots=_SLOTS, folder=folder), folder)

    costs = Rounds(
        benchmark="growth",
        title=f"What a trial that does nothing costs as a sweep grows, {_SLOTS} slots",
        cases=list(points(options)),
        once=once,
        rows=measurements,
    ).run(options)
    draw(costs, options.out / "growth.png")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

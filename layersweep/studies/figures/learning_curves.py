"""The data of the learning curves: one line per arm, its band, and the points at which seeds were stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import polars as pl

from layersweep.records.questions import SCREENING
from layersweep.records.tables import STOPPED_ON_REQUEST
from layersweep.studies.figures.style import LineStyle, line_styles
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.arm_rows import Row
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One arm: the mean over seeds up to the last epoch that all of them reached, and longer seeds after it.

    `band` has (x, lowest, highest); `stops` has (x, accuracy, cutoff) for each seed that the scheduler stopped.
    """

    arm: str
    style: LineStyle
    mean: Points
    band: tuple[tuple[float, float, float], ...]
    longer_seeds: tuple[Points, ...]
    stops: tuple[tuple[float, float, float | None], ...]
    note: str

    @property
    def end(self) -> tuple[float, float]:
        """The end of the line: the end of the longest seed if seeds are longer than the mean."""
        return max((seed[-1] for seed in self.longer_seeds), default=self.mean[-1])

    @property
    def points(self) -> list[tuple[float, float]]:
        """All points of the line, its band and its longer seeds."""
        band = [(x, y) for x, low, high in self.band for y in (low, high)]
        return [*self.mean, *band, *(point for seed in self.longer_seeds for point in seed)]


def lines(comparison: Comparison, x: str) -> list[Line]:
    """The lines of the arms against "epoch" or "seconds", best arm first; without arms that have no epoch."""
    rows = comparison.arms.to_dicts()
    styles = line_styles([row["arm"] for row in rows])
    replicates = comparison.replicates
    all_lines = (_line(row, styles[row["arm"]], replicates.rows, replicates.curves, x) for row in rows)
    return [line for line in all_lines if line is not None]


def arms_without_curve(comparison: Comparison) -> list[str]:
    """The arms that a figure cannot show, because none of their trials has finished an epoch."""
    arms = set(comparison.replicates.curves["arm"].to_list())
    return [arm for arm in comparison.arms["arm"].to_list() if arm not in arms]


def _line(row: Row, style: LineStyle, replicates: pl.DataFrame, curves: pl.DataFrame, axis: str) -> Line | None:
    rows = replicates.filter((pl.col("arm") == row["arm"]) & (pl.col("outcome") != SCREENING))
    included = rows.filter(~pl.col("outcome").is_in(EXCLUDED_OUTCOMES))
    ids = [
        r["trial_id"]
        for r in (included if included["epochs_reached"].sum() else rows).to_dicts()
        if r["epochs_reached"]
    ]
    seeds = [curves.filter((pl.col("trial_id") == i) & (pl.col("arm") == row["arm"])).sort("epoch") for i in ids]
    seeds = [seed for seed in seeds if seed.height]
    if not seeds:
        return None
    common_epoch = min(int(seed["epoch"][-1]) for seed in seeds)
    common_parts = [seed.filter(pl.col("epoch") <= common_epoch).select(axis, "val_accuracy").rows() for seed in seeds]
    columns = [tuple(zip(*points, strict=True)) for points in zip(*common_parts, strict=False)]
    mean = tuple((fmean(xs), fmean(ys)) for xs, ys in columns)
    band = [(x, min(ys), max(ys)) for (x, _), (_, ys) in zip(mean, columns, strict=True)]
    longer_parts = [seed.filter(pl.col("epoch") >= common_epoch).select(axis, "val_accuracy").rows() for seed in seeds]
    return Line(
        arm=row["arm"],
        style=style,
        mean=mean,
        band=tuple(band) if len(seeds) > 1 else (),
        longer_seeds=tuple(tuple(points) for points in longer_parts if len(points) > 1),
        stops=_stops(rows, curves, axis),
        note=row["status"] if row["status"] in (*EXCLUDED_OUTCOMES, STOPPED_ON_REQUEST, "unfinished") else "",
    )


def _stops(rows: pl.DataFrame, curves: pl.DataFrame, x: str) -> tuple[tuple[float, float, float | None], ...]:
    stopped_rows = rows.filter((pl.col("outcome") == "stopped") & pl.col("rung").is_not_null())
    points = stopped_rows.join(
        curves.select("arm", "trial_id", "epoch", "val_accuracy", pl.col("seconds").alias("at_seconds")),
        left_on=["arm", "trial_id", "rung"],
        right_on=["arm", "trial_id", "epoch"],
    )
    position = "rung" if x == "epoch" else "at_seconds"
    return tuple((float(a), b, c) for a, b, c in points.select(position, "val_accuracy", "cutoff").rows())


def accuracy_range(all_lines: Sequence[Line]) -> tuple[float, float]:
    """The lowest and the highest accuracy of all lines, including cutoffs."""
    values = [y for line in all_lines for _, y in line.points]
    values += [cutoff for line in all_lines for _, _, cutoff in line.stops if cutoff is not None]
    return min(values), max(values)

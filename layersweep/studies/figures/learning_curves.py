"""Values of the learning-curve figures, prepared: one line an arm, its band, where it was stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import polars as pl

from layersweep.records.questions import SCREENING
from layersweep.studies.figures.style import Ink, inks
from layersweep.studies.statistics.arm_comparison import Comparison, Row
from layersweep.studies.statistics.replicates import BAD_ENDS

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One arm: its mean over seeds as far as all of them came, the band around it, and single seeds beyond.

    `band` holds (x, lowest, highest); `stops` holds (x, accuracy, cutoff) where the scheduler stopped a seed.
    """

    arm: str
    ink: Ink
    mean: Points
    band: tuple[tuple[float, float, float], ...]
    beyond: tuple[Points, ...]
    stops: tuple[tuple[float, float, float | None], ...]
    note: str

    @property
    def end(self) -> tuple[float, float]:
        """Where the line ends: its highest seed's end where seeds go beyond the mean."""
        return max((seed[-1] for seed in self.beyond), default=self.mean[-1])

    @property
    def points(self) -> list[tuple[float, float]]:
        """Every point that is drawn."""
        band = [(x, y) for x, low, high in self.band for y in (low, high)]
        return [*self.mean, *band, *(point for seed in self.beyond for point in seed)]


def lines(found: Comparison, x: str) -> list[Line]:
    """The arms' lines against "epoch" or "seconds", best arm first; arms without any epoch have none."""
    rows = found.arms.to_dicts()
    style = inks([row["arm"] for row in rows])
    drawn = (_line(row, style[row["arm"]], found.replicates.rows, found.replicates.curves, x) for row in rows)
    return [line for line in drawn if line is not None]


def unseen(found: Comparison) -> list[str]:
    """The arms that a figure cannot show, since none of their trials finished an epoch."""
    seen = set(found.replicates.curves["arm"].to_list())
    return [arm for arm in found.arms["arm"].to_list() if arm not in seen]


def _line(row: Row, ink: Ink, replicates: pl.DataFrame, curves: pl.DataFrame, axis: str) -> Line | None:
    mine = replicates.filter((pl.col("arm") == row["arm"]) & (pl.col("outcome") != SCREENING))
    good = mine.filter(~pl.col("outcome").is_in(BAD_ENDS))
    ids = [r["trial_id"] for r in (good if good["done"].sum() else mine).to_dicts() if r["done"]]
    seeds = [curves.filter((pl.col("trial_id") == i) & (pl.col("arm") == row["arm"])).sort("epoch") for i in ids]
    seeds = [seed for seed in seeds if seed.height]
    if not seeds:
        return None
    shared = min(int(seed["epoch"][-1]) for seed in seeds)
    inner = [seed.filter(pl.col("epoch") <= shared).select(axis, "val_accuracy").rows() for seed in seeds]
    columns = [tuple(zip(*points, strict=True)) for points in zip(*inner, strict=False)]
    mean = tuple((fmean(xs), fmean(ys)) for xs, ys in columns)
    band = [(x, min(ys), max(ys)) for (x, _), (_, ys) in zip(mean, columns, strict=True)]
    outer = [seed.filter(pl.col("epoch") >= shared).select(axis, "val_accuracy").rows() for seed in seeds]
    return Line(
        arm=row["arm"],
        ink=ink,
        mean=mean,
        band=tuple(band) if len(seeds) > 1 else (),
        beyond=tuple(tuple(points) for points in outer if len(points) > 1),
        stops=_stops(mine, curves, axis),
        note=row["status"] if row["status"] in (*BAD_ENDS, "unfinished") else "",
    )


def _stops(mine: pl.DataFrame, curves: pl.DataFrame, x: str) -> tuple[tuple[float, float, float | None], ...]:
    stopped = mine.filter((pl.col("outcome") == "stopped") & pl.col("rung").is_not_null())
    points = stopped.join(
        curves.select("arm", "trial_id", "epoch", "val_accuracy", pl.col("seconds").alias("at_seconds")),
        left_on=["arm", "trial_id", "rung"],
        right_on=["arm", "trial_id", "epoch"],
    )
    place = "rung" if x == "epoch" else "at_seconds"
    return tuple((float(a), b, c) for a, b, c in points.select(place, "val_accuracy", "cutoff").rows())


def extent(drawn: Sequence[Line]) -> tuple[float, float]:
    """Lowest and highest accuracy of all lines, cutoffs included."""
    values = [y for line in drawn for _, y in line.points]
    values += [cutoff for line in drawn for _, _, cutoff in line.stops if cutoff is not None]
    return min(values), max(values)

"""What becomes of networks that are converted by LiteRT, to float32 and int8: size, accuracy, latency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from layersweep.records.read import read
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import COLOURS, GRID, accuracy_against
from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import of_medians
from layersweep.studies.wording.words import NONE, share, signed
from layersweep.words import count

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_COLUMNS: Final = (
    "trial_id", "attempt", "epoch", "form", "problem", "size_bytes", "accuracy", "latency_ms_median",
    "latency_ratio", "latency_ms_reference",
)  # fmt: skip
_HEIGHT: Final = 4.6


@dataclass(frozen=True, kw_only=True)
class Converted:
    """An arm's networks in one form.

    Attributes:
        arm: the arm.
        form: float32 or int8.
        n: how many of its trainings were converted.
        size_bytes: the file's size, of the largest.
        accuracy: on the validation set, the mean of its trainings.
        difference: that less the accuracy that Keras gives, training by training: the mean.
        deviation: the standard deviation of the differences; None for one.
        latency_ms: one image's: the median over the trainings of the ratio to the reference, times the least that the
            reference took; of medians where one training is older than that.
    """

    arm: str
    form: str
    n: int
    size_bytes: int
    accuracy: float
    difference: float
    deviation: float | None
    latency_ms: float


def converted(found: Comparison, results: Path) -> tuple[list[Converted], Mapping[str, str]]:
    """The compared arms' converted networks, the most accurate arm first; and why others could not be, by arm."""
    rows = read(results, "exports", columns=_COLUMNS).unique(["trial_id", "attempt", "epoch", "form"])
    rows = rows.filter(pl.col("epoch") == found.epoch).with_columns(pl.col("form").cast(pl.String))
    own = found.replicates.curves.filter(pl.col("epoch") == found.epoch).select("trial_id", "val_accuracy").unique()
    trials = found.replicates.rows.select("arm", "trial_id", "attempt").unique()
    rows = rows.join(trials, on=["trial_id", "attempt"]).join(own, on="trial_id")
    beside = pl.col("latency_ratio") * pl.col("latency_ms_reference").min()
    rows = rows.with_columns(latency_ms=pl.col("latency_ms_median") if of_medians(rows) else beside)
    rows = rows.join(found.arms.filter(status="compared").select("arm").with_row_index("place"), on="arm")
    difference = pl.col("accuracy") - pl.col("val_accuracy")
    by_form = rows.filter(pl.col("accuracy").is_not_null()).group_by("place", "arm", "form")
    made = by_form.agg(
        pl.len().alias("n"),
        pl.col("size_bytes").max(),
        pl.col("accuracy").mean(),
        difference.mean().alias("difference"),
        difference.std().alias("deviation"),
        pl.col("latency_ms").median(),
    )
    ordered = made.sort("place", "form").drop("place").to_dicts()
    problems = rows.drop_nulls("problem").sort("place").select("arm", "problem").rows()
    return [Converted(**row) for row in ordered], dict(problems)


def shown(found: Comparison, results: Path) -> Extra:
    """The converted networks as a part of a study; empty where none were."""
    seen, problems = converted(found, results)
    said = [f"{arm} could not be converted: {problem}." for arm, problem in problems.items()]
    if not seen:
        return section("", said)
    caption = "Validation accuracy as LiteRT runs the networks, by the size of their files: means over trainings."
    drawing = Drawing(draw=draw, found=seen, height=_HEIGHT, title="Accuracy of converted networks")
    table = Table(
        head=("arm", "form", "file", "validation accuracy", "less Keras' own", "latency, ms", "n"),
        rows=[_cells(row) for row in seen],
        left=2,
        title="converted by LiteRT",
        caption="± is the standard deviation over trainings.",
    )
    figure = "exports", drawing, caption
    return section("Converted by LiteRT", [*_said(seen), *said], tables=[table], figure=figure)


def _said(seen: Sequence[Converted]) -> list[str]:
    """What eight bits cost and save, over the arms that were converted to both forms."""
    whole = {row.arm: row for row in seen if row.form == "float32"}
    pairs = [(whole[row.arm], row) for row in seen if row.form == "int8" and row.arm in whole]
    if not pairs:
        return []
    worst = min(pairs, key=lambda pair: pair[1].difference)[1]
    smaller = [big.size_bytes / small.size_bytes for big, small in pairs]
    faster = [big.latency_ms / small.latency_ms for big, small in pairs]
    cost = (
        f"{worst.arm} loses most accuracy: {signed(worst.difference)}"
        if round(worst.difference, 4) < 0
        else "none loses accuracy"
    )
    gain = f"int8 makes files {_range(smaller)} times smaller and one image {_range(faster)} times as fast"
    return [f"{gain} ({count(len(pairs), 'arm')}); {cost}."]


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _cells(row: Converted) -> list[str]:
    spread = f" ± {share(row.deviation)}" if row.deviation is not None else ""
    size = f"{row.size_bytes / 1e6:,.2f} MB" if row.size_bytes else NONE
    difference = f"{signed(row.difference)}{spread}"
    return [row.arm, row.form, size, share(row.accuracy), difference, f"{row.latency_ms:.2f}", str(row.n)]


def draw(figure: "Figure | SubFigure", seen: Sequence[Converted]) -> None:
    """Accuracy by file size: a dot for each form of each arm, the two of an arm joined."""
    axes = figure.subplots(1, 1)
    figure.subplots_adjust(left=0.09, right=0.98, top=0.96, bottom=0.13)
    axes.set_xscale("log")
    for arm in dict.fromkeys(row.arm for row in seen):
        mine = [row for row in seen if row.arm == arm]
        axes.plot([row.size_bytes / 1e6 for row in mine], [row.accuracy for row in mine], color=GRID, lw=1.2, zorder=1)
        axes.annotate(
            arm, (mine[0].size_bytes / 1e6, mine[0].accuracy), (0, 6), textcoords="offset points", ha="center",
            fontsize=7,
        )  # fmt: skip
    for form, colour in zip(dict.fromkeys(row.form for row in seen), COLOURS, strict=False):
        mine = [row for row in seen if row.form == form]
        axes.plot(
            [row.size_bytes / 1e6 for row in mine], [row.accuracy for row in mine], "o", color=colour, ms=5, label=form
        )
    accuracy_against(axes, "file, MB")
    axes.legend(frameon=False, fontsize=9)

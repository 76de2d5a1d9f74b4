"""Networks that were converted by LiteRT to float32 and int8: size, accuracy, latency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from layersweep.formatting import count
from layersweep.records.read import read
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import COLOURS, GRID, label_accuracy_axes
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import uses_latency_medians
from layersweep.studies.wording.number_formats import NONE, share, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_COLUMNS: Final = (
    "trial_id", "attempt", "epoch", "form", "problem", "size_bytes", "accuracy", "latency_ms_median",
    "latency_ratio", "latency_ms_reference",
)  # fmt: skip
_HEIGHT: Final = 4.6


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The networks of an arm in one form.

    Attributes:
        arm: the arm.
        form: float32 or int8.
        n: the number of converted trainings.
        size_bytes: the size of the largest file.
        accuracy: the mean validation accuracy of the trainings.
        difference: the mean difference from the accuracy of the Keras network of the same training.
        deviation: the standard deviation of the differences; None for one training.
        latency_ms: the latency of one image: the median ratio to the reference times the shortest time of the
        reference.
            If a training was recorded without a reference: the median latency.
    """

    arm: str
    form: str
    n: int
    size_bytes: int
    accuracy: float
    difference: float
    deviation: float | None
    latency_ms: float


def conversions(comparison: Comparison, results: Path) -> tuple[list[Conversion], Mapping[str, str]]:
    """The conversions of compared arms, the most accurate arm first; and the problems of failed ones, by arm."""
    rows = read(results, "exports", columns=_COLUMNS).unique(["trial_id", "attempt", "epoch", "form"])
    rows = rows.filter(pl.col("epoch") == comparison.epoch).with_columns(pl.col("form").cast(pl.String))
    keras_accuracies = (
        comparison.replicates.curves.filter(pl.col("epoch") == comparison.epoch)
        .select("trial_id", "val_accuracy")
        .unique()
    )
    trials = comparison.replicates.rows.select("arm", "trial_id", "attempt").unique()
    rows = rows.join(trials, on=["trial_id", "attempt"]).join(keras_accuracies, on="trial_id")
    relative_latency = pl.col("latency_ratio") * pl.col("latency_ms_reference").min()
    rows = rows.with_columns(latency_ms=pl.col("latency_ms_median") if uses_latency_medians(rows) else relative_latency)
    rows = rows.join(comparison.arms.filter(status="compared").select("arm").with_row_index("place"), on="arm")
    difference = pl.col("accuracy") - pl.col("val_accuracy")
    by_form = rows.filter(pl.col("accuracy").is_not_null()).group_by("place", "arm", "form")
    means = by_form.agg(
        pl.len().alias("n"),
        pl.col("size_bytes").max(),
        pl.col("accuracy").mean(),
        difference.mean().alias("difference"),
        difference.std().alias("deviation"),
        pl.col("latency_ms").median(),
    )
    sorted_rows = means.sort("place", "form").drop("place").to_dicts()
    problems = rows.drop_nulls("problem").sort("place").select("arm", "problem").rows()
    return [Conversion(**row) for row in sorted_rows], dict(problems)


def section(comparison: Comparison, results: Path) -> Section:
    """The section about converted networks; empty if there are none."""
    rows, problems = conversions(comparison, results)
    problem_sentences = [f"{arm} could not be converted: {problem}." for arm, problem in problems.items()]
    if not rows:
        return make_section("", problem_sentences)
    caption = "Validation accuracy of the networks in LiteRT against the size of their files; means over trainings."
    drawing = Drawing(draw=draw, data=rows, height=_HEIGHT, title="Accuracy of converted networks")
    table = Table(
        columns=("arm", "form", "file", "validation accuracy", "difference to Keras", "latency, ms", "n"),
        rows=[_cells(row) for row in rows],
        text_columns=2,
        title="converted by LiteRT",
        caption="± is the standard deviation over trainings.",
    )
    figure = "exports", drawing, caption
    return make_section("Converted by LiteRT", [*_sentences(rows), *problem_sentences], tables=[table], figure=figure)


def _sentences(rows: Sequence[Conversion]) -> list[str]:
    """A sentence about the cost and the gain of int8, for the arms that were converted to both forms."""
    float32 = {row.arm: row for row in rows if row.form == "float32"}
    pairs = [(float32[row.arm], row) for row in rows if row.form == "int8" and row.arm in float32]
    if not pairs:
        return []
    worst = min(pairs, key=lambda pair: pair[1].difference)[1]
    smaller = [big.size_bytes / small.size_bytes for big, small in pairs]
    faster = [big.latency_ms / small.latency_ms for big, small in pairs]
    cost = (
        f"the largest loss of accuracy is {signed(worst.difference)} ({worst.arm})"
        if round(worst.difference, 4) < 0
        else "no arm loses accuracy"
    )
    gain = f"With int8, files are {_range(smaller)} times smaller and one image is {_range(faster)} times as fast"
    return [f"{gain} ({count(len(pairs), 'arm')}); {cost}."]


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _cells(row: Conversion) -> list[str]:
    spread = f" ± {share(row.deviation)}" if row.deviation is not None else ""
    size = f"{row.size_bytes / 1e6:,.2f} MB" if row.size_bytes else NONE
    difference = f"{signed(row.difference)}{spread}"
    return [row.arm, row.form, size, share(row.accuracy), difference, f"{row.latency_ms:.2f}", str(row.n)]


def draw(figure: "Figure | SubFigure", rows: Sequence[Conversion]) -> None:
    """Draws accuracy against file size: one dot per form, with a line between the forms of an arm."""
    axes = figure.subplots(1, 1)
    figure.subplots_adjust(left=0.09, right=0.98, top=0.96, bottom=0.13)
    axes.set_xscale("log")
    for arm in dict.fromkeys(row.arm for row in rows):
        forms = [row for row in rows if row.arm == arm]
        axes.plot(
            [row.size_bytes / 1e6 for row in forms], [row.accuracy for row in forms], color=GRID, lw=1.2, zorder=1
        )
        axes.annotate(
            arm, (forms[0].size_bytes / 1e6, forms[0].accuracy), (0, 6), textcoords="offset points", ha="center",
            fontsize=7,
        )  # fmt: skip
    for form, colour in zip(dict.fromkeys(row.form for row in rows), COLOURS, strict=False):
        dots = [row for row in rows if row.form == form]
        axes.plot(
            [row.size_bytes / 1e6 for row in dots], [row.accuracy for row in dots], "o", color=colour, ms=5, label=form
        )
    label_accuracy_axes(axes, "file, MB")
    axes.legend(frameon=False, fontsize=9)

"""The leading arm on the test set, class by class: precision, recall, F1 and the confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from layersweep.formatting import count
from layersweep.records.read import read
from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.style import heat_map
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.classes.class_notes import shown_name, shown_names
from layersweep.studies.statistics.classes.confusion import MOST_CLASSES, most_confused
from layersweep.studies.wording.number_formats import share

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_COLUMNS: Final = ("trial_id", "attempt", "epoch", "set_name", "class_index", "class_name", "predicted")
_MAX_CLASSES_WITH_NUMBERS: Final = 20
"""With more classes, the cells of the confusion matrix show no numbers."""
_HARDEST: Final = 20
"""Of more than `MOST_CLASSES`, the terminal shows so many."""
_LONGEST_LABEL: Final = 32
_LABEL_INCHES: Final = 0.075
"""The width of a letter of a class's name in the figure, at most."""


@dataclass(frozen=True, kw_only=True)
class ByClass:
    """One arm on the test set.

    Attributes:
        arm: its name.
        trials: the number of its trainings, which are added up.
        classes: the names of the classes, as they are shown.
        confusion: the number of images of each class (rows) that were classified as each class (columns).
        row_images: all images of each class, if the columns are a part of the classes.
    """

    arm: str
    trials: int
    classes: list[str]
    confusion: NDArray[np.int64]
    row_images: NDArray[np.int64] | None = None

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of correctly classified images among the images of each class."""
        return np.asarray(self._hits / np.maximum(self.confusion.sum(axis=1), 1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of correctly classified images among the images classified as each class; 0 if there are none."""
        return np.asarray(self._hits / np.maximum(self.confusion.sum(axis=0), 1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of precision and recall; 0 if both are 0."""
        both = self.precision + self.recall
        return np.asarray(2 * self.precision * self.recall / np.where(both > 0, both, 1))

    def part(self, places: Sequence[int]) -> "ByClass":
        """The confusion of some classes with each other."""
        return replace(
            self,
            classes=[self.classes[place] for place in places],
            confusion=self.confusion[np.ix_(places, places)],
            row_images=self.confusion.sum(axis=1)[list(places)],
        )

    @property
    def _hits(self) -> NDArray[np.int64]:
        return self.confusion.diagonal()


def by_class(comparison: Comparison, results: Path) -> ByClass | None:
    """The completed trainings of the leading arm, added up; None if no training was evaluated on the test set."""
    if not comparison.compared_arms:
        return None
    arm = comparison.compared_arms[0]["arm"]
    trainings = comparison.replicates.rows.filter((pl.col("arm") == arm) & pl.col("accuracy").is_not_null())
    rows = read(results, "classes", columns=_COLUMNS).filter(
        (pl.col("set_name").cast(pl.String) == "test") & (pl.col("epoch") == comparison.epoch)
    )
    rows = rows.join(trainings.select("trial_id", "attempt"), on=["trial_id", "attempt"], how="semi")
    rows = rows.unique(["trial_id", "class_index"]).sort("class_index")
    if not rows.height:
        return None
    names = shown_names(rows.unique("class_index", maintain_order=True)["class_name"].to_list())
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    for index, predicted in rows.select("class_index", "predicted").iter_rows():
        confusion[index] += np.asarray(predicted)
    return ByClass(arm=arm, trials=rows["trial_id"].n_unique(), classes=names, confusion=confusion)


def section(comparison: Comparison, results: Path) -> Section:
    """The section about the classes; empty if the test set was not read."""
    report = by_class(comparison, results)
    if report is None:
        return Section()
    shown = most_confused(report.confusion, MOST_CLASSES)
    data = report if len(shown) == len(report.classes) else report.part(shown)
    height = max(4.0, 0.36 * len(shown) + 1.2)
    drawing = Drawing(draw=draw, data=data, height=height, title="Confusion by class")
    which = "" if data is report else f" The {len(shown)} most confused of {len(report.classes)} classes."
    caption = (
        f"Test images, {count(report.trials, 'training')} of {report.arm} together: rows are the true classes.{which}"
    )
    return make_section(
        f"By class: {report.arm}", [_sentence(report)], tables=_tables(report), figure=("classes", drawing, caption)
    )


def _tables(report: ByClass) -> list[Table]:
    """One table of all classes; of many classes, the terminal has the hardest ones only."""
    images = report.confusion.sum(axis=1)
    values = zip(report.classes, report.precision, report.recall, report.f1, images, strict=True)
    rows = [[name, share(p), share(r), share(f), f"{n:,}"] for name, p, r, f, n in values]
    columns, title = ("class", "precision", "recall", "F1", "images"), f"{report.arm}, test set"
    caption = "On the test set, which was read only for the leading arms."
    if len(rows) <= MOST_CLASSES:
        return [Table(columns=columns, rows=rows, title=title, caption=caption)]
    hardest = [rows[place] for place in np.argsort(report.f1, kind="stable")[:_HARDEST]]
    title = f"{title}: the {_HARDEST} classes with the lowest F1 of {len(rows)}; the page has all"
    return [
        Table(columns=columns, rows=hardest, title=title),
        Table(columns=columns, rows=rows, title=None, caption=caption),
    ]


def _sentence(report: ByClass) -> str:
    """A sentence about the class with the lowest F1 and the most frequent confusion."""
    worst = int(np.argmin(report.f1))
    errors = report.confusion - np.diag(report.confusion.diagonal())
    row, column = np.unravel_index(int(np.argmax(errors)), errors.shape)
    hardest = f"The hardest class is {report.classes[worst]} (F1 {share(float(report.f1[worst]))})"
    if not errors.any():
        return f"{hardest}."
    rate = errors[row, column] / max(1, int(report.confusion[row].sum()))
    confusion = f"{report.classes[row]} is classified as {report.classes[column]} ({rate:.0%})"
    return f"{hardest}; the most frequent confusion: {confusion}."


def draw(figure: "Figure | SubFigure", report: ByClass) -> None:
    """Draws the confusion matrix as a heat map; the values are shares of the row."""
    axes: Any = figure.subplots(1, 1)
    images = report.confusion.sum(axis=1) if report.row_images is None else report.row_images
    shares = report.confusion / np.maximum(images[:, None], 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    names = [shown_name(name, _LONGEST_LABEL) for name in report.classes]
    heat_map(axes, names, names, rotation=45)
    axes.set_xlabel("classified as")
    if len(report.classes) <= _MAX_CLASSES_WITH_NUMBERS:
        for i, j in np.argwhere(report.confusion):
            colour = "#ffffff" if shares[i, j] > 0.5 else "#000000"  # noqa: PLR2004 (the middle of the colours)
            axes.text(j, i, f"{shares[i, j]:.0%}", ha="center", va="center", fontsize=7, color=colour)
    width = 0.3 + _LABEL_INCHES * max(map(len, names))
    height = figure.bbox.height / figure.dpi
    left, bottom = max(0.18, width / WIDTH), max(0.24, (0.4 + 0.75 * width) / height)
    figure.subplots_adjust(left=left, right=0.98, top=0.97, bottom=min(bottom, 0.6))

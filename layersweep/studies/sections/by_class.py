"""How the chosen arm fares class by class on the test set: precision, recall, F1, and what it takes for what."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from layersweep.records.read import read
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import heat_map
from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.wording.words import share
from layersweep.words import count

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_COLUMNS: Final = ("trial_id", "attempt", "epoch", "set_name", "class_index", "class_name", "predicted")
_NAMED: Final = 20
"""Classes up to which cells of the confusion carry their numbers."""


@dataclass(frozen=True, kw_only=True)
class ByClass:
    """One arm on the test set.

    Attributes:
        arm: its name.
        trials: how many of its trainings are counted together.
        classes: the classes' names.
        confusion: images of each class (rows) that were taken for each class (columns).
    """

    arm: str
    trials: int
    classes: list[str]
    confusion: NDArray[np.int64]

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of each class' images that were told right."""
        return np.asarray(self._hits / np.maximum(self.confusion.sum(axis=1), 1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of right ones among what was taken for each class; 0 where nothing was."""
        return np.asarray(self._hits / np.maximum(self.confusion.sum(axis=0), 1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of precision and recall; 0 where both are."""
        both = self.precision + self.recall
        return np.asarray(2 * self.precision * self.recall / np.where(both > 0, both, 1))

    @property
    def _hits(self) -> NDArray[np.int64]:
        return self.confusion.diagonal()


def by_class(found: Comparison, results: Path) -> ByClass | None:
    """The leading arm's completed trainings together; None where none has read the test set."""
    if not found.compared:
        return None
    arm = found.compared[0]["arm"]
    mine = found.replicates.rows.filter((pl.col("arm") == arm) & pl.col("accuracy").is_not_null())
    rows = read(results, "classes", columns=_COLUMNS).filter(
        (pl.col("set_name").cast(pl.String) == "test") & (pl.col("epoch") == found.epoch)
    )
    rows = rows.join(mine.select("trial_id", "attempt"), on=["trial_id", "attempt"], how="semi")
    rows = rows.unique(["trial_id", "class_index"]).sort("class_index")
    if not rows.height:
        return None
    names = rows.unique("class_index", maintain_order=True)["class_name"].to_list()
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    for index, predicted in rows.select("class_index", "predicted").iter_rows():
        confusion[index] += np.asarray(predicted)
    return ByClass(arm=arm, trials=rows["trial_id"].n_unique(), classes=names, confusion=confusion)


def shown(found: Comparison, results: Path) -> Extra:
    """The report by class as a part of a study; empty where the test set was not read."""
    seen = by_class(found, results)
    if seen is None:
        return Extra()
    images = seen.confusion.sum(axis=1)
    columns = zip(seen.classes, seen.precision, seen.recall, seen.f1, images, strict=True)
    table = Table(
        head=("class", "precision", "recall", "F1", "images"),
        rows=[[name, share(p), share(r), share(f), f"{n:,}"] for name, p, r, f, n in columns],
        title=f"{seen.arm}, test set",
        caption="On the test set, opened for the chosen arm alone.",
    )
    height = max(4.0, 0.36 * len(seen.classes) + 1.2)
    drawing = Drawing(draw=draw, found=seen, height=height, title="Confusion by class")
    caption = f"Test images of {seen.arm}, {count(seen.trials, 'training')} together: rows are what they are."
    return section(f"By class: {seen.arm}", [_said(seen)], tables=[table], figure=("classes", drawing, caption))


def _said(seen: ByClass) -> str:
    """The class that is hardest, and the confusion that costs most."""
    worst = int(np.argmin(seen.f1))
    off = seen.confusion - np.diag(seen.confusion.diagonal())
    row, column = np.unravel_index(int(np.argmax(off)), off.shape)
    hardest = f"Hardest is {seen.classes[worst]} (F1 {share(float(seen.f1[worst]))})"
    if not off.any():
        return f"{hardest}."
    part = off[row, column] / max(1, int(seen.confusion[row].sum()))
    return f"{hardest}; most often taken for another: {seen.classes[row]} for {seen.classes[column]} ({part:.0%})."


def draw(figure: "Figure | SubFigure", seen: ByClass) -> None:
    """The confusion as a heat map, each row as shares of its class."""
    axes: Any = figure.subplots(1, 1)
    shares = seen.confusion / np.maximum(seen.confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    heat_map(axes, seen.classes, seen.classes, rotation=45)
    axes.set_xlabel("taken for")
    if len(seen.classes) <= _NAMED:
        for i, j in np.argwhere(seen.confusion):
            ink = "#ffffff" if shares[i, j] > 0.5 else "#000000"  # noqa: PLR2004 (half-way up the colours)
            axes.text(j, i, f"{shares[i, j]:.0%}", ha="center", va="center", fontsize=7, color=ink)
    figure.subplots_adjust(left=0.18, right=0.98, top=0.97, bottom=0.24)

"""Networks drawn as columns of boxes; deep ones folded, so that each fits a page."""

import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from layersweep.studies.figures.drawing import WIDTH
from layersweep.studies.figures.style import GRID, INK, MUTED, PAPER, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST: Final = 22
"""Boxes in a column of one page."""
_BESIDE: Final = 4
_LINE: Final = 10.0
_PAD: Final = 4.0
_GAP: Final = 7.0
_HEAD: Final = 34.0
_INCH: Final = 72.0
_SIZE: Final = 6.8
_LETTER: Final = 0.62
"""The width of a letter, as a part of its size."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer as the records have it; `output_shape` is `28x28x32`, without the batch."""

    name: str
    kind: str
    filters: int | None
    kernel: str | None
    stride: str | None
    parameters: int
    output_shape: str


@dataclass(frozen=True, kw_only=True)
class Box:
    """One layer, or a run of several: what it is, what comes out of it, and its parameters."""

    title: str
    note: str
    parameters: int
    layers: int


@dataclass(frozen=True, kw_only=True)
class Column:
    """One network: its name, its size in words, its colour, and its boxes from the images down."""

    title: str
    note: str
    colour: str
    boxes: Sequence[Box]


def fold(layers: Sequence[Layer], most: int = MOST) -> list[Box]:
    """One box a layer where that makes few enough; else a box for each run of a kind, or for each size of images.

    A run of one size reaches from where the layers' outputs become smaller than all before to where they do so again.
    Should even these be too many, those in the middle are one box.
    """
    one_each = [[layer] for layer in layers]
    by_kind = [list(run) for _, run in groupby(layers, lambda layer: layer.kind)]
    least = accumulate((_area(layer.output_shape) for layer in layers), min)
    by_size = [[layer for _, layer in run] for _, run in groupby(zip(least, layers, strict=True), itemgetter(0))]
    runs = next((runs for runs in (one_each, by_kind, by_size) if len(runs) <= most), None)
    if runs is None:
        first, last = most // 2, len(by_size) - most // 2 + 1
        runs = [*by_size[:first], list(chain(*by_size[first:last])), *by_size[last:]]
    return [_box(run) for run in runs]


def _area(shape: str) -> int:
    """Positions of an output, without its channels: 784 of `28x28x32`; 0 where there are none, as in `10`."""
    sides = [int(side) for side in shape.split("x")[:-1] if side.isdigit()]
    return math.prod(sides) if sides else 0


def _box(run: Sequence[Layer]) -> Box:
    parameters = sum(layer.parameters for layer in run)
    weight = f" · {parameters:,}" if parameters else ""
    first, last = _shape(run[0]), _shape(run[-1])
    if len(run) == 1:
        title = " ".join(filter(None, (run[0].kind, run[0].kernel and run[0].kernel.replace("x", "×"))))
        return Box(title=title, note=f"{shortened(run[0].name)} → {last}{weight}", parameters=parameters, layers=1)
    kinds = Counter(layer.kind for layer in run)
    times = "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}"
    title = ", ".join(f"{n}{times}{kind}" if n > 1 else kind for kind, n in kinds.most_common())
    out = last if first == last else f"{first} to {last}"
    return Box(title=title, note=f"{out}{weight}", parameters=parameters, layers=len(run))


def _shape(layer: Layer) -> str:
    return layer.output_shape.replace("x", "×")


def height(columns: Sequence[Column]) -> float:
    """Inches of the figure."""
    return sum(map(_row_height, _rows(columns))) / _INCH


def _rows(columns: Sequence[Column]) -> list[Sequence[Column]]:
    return [columns[first : first + _BESIDE] for first in range(0, len(columns), _BESIDE)]


def _row_height(row: Sequence[Column]) -> float:
    width = _column_width(len(row))
    return _HEAD + max(sum(_box_height(box, width) + _GAP for box in column.boxes) for column in row) + _GAP


def _column_width(n: int) -> float:
    """Points of a column where so many are side by side; a lone one need not fill the page."""
    return WIDTH * _INCH / max(n, 2)


def _box_height(box: Box, width: float) -> float:
    return 2 * _PAD + _LINE * len([*_lines(box.title, width), *_lines(box.note, width)])


def _lines(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, int((width - 30) / (_LETTER * _SIZE)))


def draw(figure: "Figure | SubFigure", columns: Sequence[Column]) -> None:
    """The columns side by side, four a row, in points from the upper left corner."""
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH * _INCH)
    axes.set_ylim(height(columns) * _INCH, 0)
    top = 0.0
    for row in _rows(columns):
        for place, column in enumerate(row):
            width = _column_width(len(row))
            _column(axes, column, place * width + 8, width - 16, top)
        top += _row_height(row)


def _column(axes: "Axes", column: Column, left: float, width: float, top: float) -> None:
    axes.text(left, top + 14, shortened(column.title), color=column.colour, fontsize=9.5, va="center", weight="bold")
    axes.text(left, top + 26, column.note, color=MUTED, fontsize=7.5, va="center")
    y = top + _HEAD
    for place, box in enumerate(column.boxes):
        if place:
            axes.plot([left + width / 2] * 2, [y - _GAP, y], color=MUTED, lw=0.8, solid_capstyle="butt")
        y += _draw_box(axes, box, left, width, y) + _GAP


def _draw_box(axes: "Axes", box: Box, left: float, width: float, top: float) -> float:
    """Draws a box; returns its height."""
    from matplotlib.patches import Rectangle

    tall = _box_height(box, width + 16)
    face = GRID if box.parameters else PAPER
    axes.add_patch(Rectangle((left, top), width, tall, facecolor=face, edgecolor=MUTED, lw=0.7))
    title = _lines(box.title, width + 16)
    for line, text in enumerate([*title, *_lines(box.note, width + 16)]):
        ink = INK if line < len(title) or box.parameters else MUTED
        y = top + _PAD + _LINE * (line + 0.5)
        axes.text(left + width / 2, y, text, color=ink, fontsize=_SIZE, ha="center", va="center")
    return tall

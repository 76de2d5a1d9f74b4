"""Draws networks as columns of boxes; a box of a deep network is a group of layers, so that the column fits a page."""

import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from layersweep.studies.figures.drawing import WIDTH
from layersweep.studies.figures.style import GRID, INK, MUTED, PAPER
from layersweep.studies.statistics.short_names import wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MAX_BOXES: Final = 22
"""The number of boxes that fit a column of one page."""
_COLUMNS_PER_ROW: Final = 4
_LINE: Final = 10.0
_PAD: Final = 4.0
_GAP: Final = 7.0
_TITLE_HEIGHT: Final = 34.0
_INCH: Final = 72.0
_SIZE: Final = 6.8
_LETTER: Final = 0.62
"""The width of a letter relative to the font size."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A recorded layer; `output_shape` is like `28x28x32`, without the batch."""

    name: str
    kind: str
    filters: int | None
    kernel: str | None
    stride: str | None
    parameters: int
    output_shape: str


@dataclass(frozen=True, kw_only=True)
class Box:
    """One layer or a group of layers; `title` has the kinds, `note` the output shape and the parameters."""

    title: str
    note: str
    parameters: int
    layers: int


@dataclass(frozen=True, kw_only=True)
class Column:
    """One network: its name, its size as text, its colour, and its boxes from the images to the classes."""

    title: str
    note: str
    colour: str
    boxes: Sequence[Box]


def fold(layers: Sequence[Layer], max_boxes: int = MAX_BOXES) -> list[Box]:
    """Groups layers into at most `max_boxes` boxes.

    The first grouping that fits is used: a box per layer, a box per sequence of layers of one kind, a box per image
    size. A new image size starts where the output is smaller than all outputs before. If there are too many image
    sizes, those in the middle become one box.
    """
    single_layers = [[layer] for layer in layers]
    by_kind = [list(group) for _, group in groupby(layers, lambda layer: layer.kind)]
    sizes = accumulate((_area(layer.output_shape) for layer in layers), min)
    by_size = [[layer for _, layer in group] for _, group in groupby(zip(sizes, layers, strict=True), itemgetter(0))]
    groups = next((groups for groups in (single_layers, by_kind, by_size) if len(groups) <= max_boxes), None)
    if groups is None:
        first, last = max_boxes // 2, len(by_size) - max_boxes // 2 + 1
        groups = [*by_size[:first], list(chain(*by_size[first:last])), *by_size[last:]]
    return [_box(group) for group in groups]


def _area(shape: str) -> int:
    """The number of positions of an output, without channels: 784 for `28x28x32`, 0 for `10`."""
    sides = [int(side) for side in shape.split("x")[:-1] if side.isdigit()]
    return math.prod(sides) if sides else 0


def _box(group: Sequence[Layer]) -> Box:
    parameters = sum(layer.parameters for layer in group)
    weight = f" · {parameters:,}" if parameters else ""
    first, last = _shape(group[0]), _shape(group[-1])
    if len(group) == 1:
        title = " ".join(filter(None, (group[0].kind, group[0].kernel and group[0].kernel.replace("x", "×"))))
        return Box(title=title, note=f"{group[0].name} → {last}{weight}", parameters=parameters, layers=1)
    kinds = Counter(layer.kind for layer in group)
    times = "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}"
    title = ", ".join(f"{n}{times}{kind}" if n > 1 else kind for kind, n in kinds.most_common())
    shapes = last if first == last else f"{first} to {last}"
    return Box(title=title, note=f"{shapes}{weight}", parameters=parameters, layers=len(group))


def _shape(layer: Layer) -> str:
    return layer.output_shape.replace("x", "×")


def height(columns: Sequence[Column]) -> float:
    """The height of the figure in inches."""
    return sum(map(_row_height, _rows(columns))) / _INCH


def _rows(columns: Sequence[Column]) -> list[Sequence[Column]]:
    return [columns[first : first + _COLUMNS_PER_ROW] for first in range(0, len(columns), _COLUMNS_PER_ROW)]


def _row_height(row: Sequence[Column]) -> float:
    width = _column_width(len(row))
    return _TITLE_HEIGHT + max(sum(_box_height(box, width) + _GAP for box in column.boxes) for column in row) + _GAP


def _column_width(n: int) -> float:
    """The width of a column in points, if n columns are side by side; a single column does not fill the page."""
    return WIDTH * _INCH / max(n, 2)


def _box_height(box: Box, width: float) -> float:
    return 2 * _PAD + _LINE * len([*_lines(box.title, width), *_lines(box.note, width)])


def _lines(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, int((width - 30) / (_LETTER * _SIZE)))


def draw(figure: "Figure | SubFigure", columns: Sequence[Column]) -> None:
    """Draws the columns side by side, four per row; coordinates are points from the upper left corner."""
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH * _INCH)
    axes.set_ylim(height(columns) * _INCH, 0)
    top = 0.0
    for row in _rows(columns):
        for index, column in enumerate(row):
            width = _column_width(len(row))
            _column(axes, column, index * width + 8, width - 16, top)
        top += _row_height(row)


def _column(axes: "Axes", column: Column, left: float, width: float, top: float) -> None:
    axes.text(left, top + 14, wrapped(column.title), color=column.colour, fontsize=9.5, va="center", weight="bold")
    axes.text(left, top + 26, column.note, color=MUTED, fontsize=7.5, va="center")
    y = top + _TITLE_HEIGHT
    for index, box in enumerate(column.boxes):
        if index:
            axes.plot([left + width / 2] * 2, [y - _GAP, y], color=MUTED, lw=0.8, solid_capstyle="butt")
        y += _draw_box(axes, box, left, width, y) + _GAP


def _draw_box(axes: "Axes", box: Box, left: float, width: float, top: float) -> float:
    """Draws a box; returns its height."""
    from matplotlib.patches import Rectangle

    box_height = _box_height(box, width + 16)
    fill = GRID if box.parameters else PAPER
    axes.add_patch(Rectangle((left, top), width, box_height, facecolor=fill, edgecolor=MUTED, lw=0.7))
    title = _lines(box.title, width + 16)
    for line, text in enumerate([*title, *_lines(box.note, width + 16)]):
        colour = INK if line < len(title) or box.parameters else MUTED
        y = top + _PAD + _LINE * (line + 0.5)
        axes.text(left + width / 2, y, text, color=colour, fontsize=_SIZE, ha="center", va="center")
    return box_height

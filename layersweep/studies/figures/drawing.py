"""A figure as SVG for a page and as PNG for a file."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from layersweep.escaping import terminal, to_html
from layersweep.studies.figures.style import PAPER, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

T = TypeVar("T")
_FILE_ATTRIBUTES: Final = re.compile(r'\s(xmlns(:\w+)?="[^"]*"|id="[\w.]+_\d+")')
WIDTH: Final = 9.6
"""The width of every figure in inches."""


@dataclass(frozen=True, kw_only=True)
class Drawing(Generic[T]):
    """A function that draws, and its data.

    Attributes:
        draw: draws `data` onto an empty figure.
        data: the data.
        height: in inches.
        title: a description for screen readers; the PNG does not have it.
    """

    draw: "Callable[[Figure | SubFigure, T], None]"
    data: T
    height: float
    title: str = ""

    def svg(self) -> str:
        """An `<svg>` element for a page, without references to other files; its text is text."""
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        with style(**{"svg.hashsalt": self.title}):
            figure = Figure(figsize=(WIDTH, self.height), facecolor="none")
            FigureCanvasSVG(figure)
            self.draw(figure, self.data)
            _show_hidden(figure)
            file = io.StringIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
        return _inline(file.getvalue(), self.title)

    def png(self) -> bytes:
        """A PNG with a width of 1,600 pixels and a white background."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with style():
            figure = Figure(figsize=(WIDTH, self.height), facecolor=PAPER)
            FigureCanvasAgg(figure)
            self.draw(figure, self.data)
            _show_hidden(figure)
            file = io.BytesIO()
            figure.savefig(file, format="png", dpi=1600 / WIDTH, facecolor=PAPER)
        return file.getvalue()


def in_tags(text: str, change: Callable[[str], str]) -> str:
    """SVG with changed tags; the texts between them, which may be names from outside, stay."""
    return re.sub(r"<[^>]*>", lambda match: change(match[0]), text)


def _show_hidden(figure: "Figure") -> None:
    """Writes out the hidden characters of all texts, which no font has."""
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if (visible_labels := [*map(terminal, labels)]) != labels:
                axis.set_ticks(axis.get_ticklocs(), visible_labels)
    for text in figure.findobj(Text):
        text.set_text(terminal(text.get_text()))


def _inline(text: str, title: str) -> str:
    """Removes parts that only an SVG file needs: prolog, metadata, namespaces, fixed size, numbered ids."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = in_tags(text, lambda tag: _FILE_ATTRIBUTES.sub("", tag).replace("xlink:href", "href"))
    view = re.search(r'viewBox="[^"]*"', text)
    tag = f'<svg role="img" aria-label="{to_html(title)}" {view.group() if view else ""}>'
    return re.sub(r"<svg[^>]*>", lambda _: tag, text, count=1)

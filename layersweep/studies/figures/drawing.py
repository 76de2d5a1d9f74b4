"""A figure for a page, as SVG, and for a file, as PNG."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from layersweep.studies.figures.style import PAPER, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

T = TypeVar("T")
WIDTH: Final = 9.6
"""Inches of every figure."""


@dataclass(frozen=True, kw_only=True)
class Drawing(Generic[T]):
    """What is to be drawn.

    Attributes:
        draw: draws `found` onto an empty figure.
        found: what it draws.
        height: inches.
        title: what a reader hears who does not see it; the PNG is without it.
    """

    draw: "Callable[[Figure | SubFigure, T], None]"
    found: T
    height: float
    title: str = ""

    def svg(self) -> str:
        """An `<svg>` element for a page: no external names, text as text."""
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        with style(**{"svg.hashsalt": self.title}):
            figure = Figure(figsize=(WIDTH, self.height), facecolor="none")
            FigureCanvasSVG(figure)
            self.draw(figure, self.found)
            file = io.StringIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
        return _inline(file.getvalue(), self.title)

    def png(self) -> bytes:
        """A PNG of 1,600 pixels' width on white."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with style():
            figure = Figure(figsize=(WIDTH, self.height), facecolor=PAPER)
            FigureCanvasAgg(figure)
            self.draw(figure, self.found)
            file = io.BytesIO()
            figure.savefig(file, format="png", dpi=1600 / WIDTH, facecolor=PAPER)
        return file.getvalue()


def _inline(text: str, title: str) -> str:
    """Strips what only a file of its own needs: prolog, metadata, namespaces, fixed size, counted names."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\sid="[\w.]+_\d+"', "", text)
    view = re.search(r'viewBox="[^"]*"', text)
    label = title.replace('"', "'").replace("<", "").replace("&", "and")
    head = f'<svg role="img" aria-label="{label}" {view.group() if view else ""}>'
    return re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)

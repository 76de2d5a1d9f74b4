"""What a study shows besides the comparison of its arms: in the terminal, on the page, in files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from rich.text import Text

from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.pages import page
from layersweep.studies.wording.terminal_table import table

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, kw_only=True)
class Extra:
    """One more part of a study.

    Attributes:
        printed: what the terminal shows, in order.
        sections: HTML that the page shows before its costs.
        files: figures to write, by what their names add to the sweep's: `costs.png` is `<sweep>_costs.png`.
        answer: what it adds to the answer, for whoever reads no more; empty if it only explains.
    """

    printed: "tuple[RenderableType, ...]" = ()
    sections: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Plain texts for the terminal and the page.

    Attributes:
        head: the columns' names.
        rows: their cells.
        left: how many of the first columns hold words.
        title: above it in the terminal; None where that does not show it.
        note: below it in the terminal.
        caption: above it on the page; None where that does not show it.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    title: str | None = ""
    note: str = ""
    caption: str | None = None


def section(
    heading: str,
    said: Sequence[str],
    *,
    tables: Sequence[Table] = (),
    figure: tuple[str, Drawing[Any], str] | None = None,
    answer: str = "",
) -> Extra:
    """A section: tables and sentences in the terminal; on the page sentences, a figure and tables below a heading.

    Args:
        heading: plain text; none where it is empty.
        said: sentences.
        tables: in order.
        figure: what its file's name adds to the sweep's, the drawing, its caption.
        answer: what it adds to the answer.
    """
    printed = (table(t.head, t.rows, t.title, left=t.left, note=t.note) for t in tables if t.title is not None)
    name, drawing, caption = figure or ("", None, "")
    return Extra(
        printed=(*printed, *map(Text, said)),
        sections=(
            *([f"<h2>{escape(heading)}</h2>"] if heading else []),
            *map(page.paragraph, said),
            *([page.figure(drawing, caption)] if drawing else []),
            *(page.table(t.head, t.rows, t.caption) for t in tables if t.caption is not None),
        ),
        files={f"{name}.png": drawing.png()} if drawing else {},
        answer=answer,
    )

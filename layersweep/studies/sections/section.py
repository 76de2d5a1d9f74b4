"""A section of a study: its output in the terminal, on the page and in files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layersweep.escaping import to_html
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.pages import page
from layersweep.studies.wording.terminal_table import table

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of a study; empty if there is nothing to show.

    Attributes:
        terminal: the output in the terminal, in order.
        html: HTML elements of the page, in order.
        files: figures by the end of their file names: `costs.png` becomes `<sweep>_costs.png`.
        answer: a sentence for readers of the gallery; empty if the section does not answer the question.
    """

    terminal: "tuple[RenderableType, ...]" = ()
    html: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of plain text for the terminal and the page.

    Attributes:
        columns: the names of the columns.
        rows: the cells.
        text_columns: the number of columns with text; they come first.
        title: above the table in the terminal; None if the terminal does not show it.
        note: below the table in the terminal.
        caption: above the table on the page; None if the page does not show it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1
    title: str | None = ""
    note: str = ""
    caption: str | None = None


def make_section(
    heading: str,
    sentences: Sequence[str],
    *,
    tables: Sequence[Table] = (),
    figure: tuple[str, Drawing[Any], str] | None = None,
    answer: str = "",
) -> Section:
    """Makes a section: tables and sentences in the terminal; heading, sentences, figure and tables on the page.

    Args:
        heading: plain text; no heading if empty.
        sentences: plain text.
        tables: in order.
        figure: the end of its file name without suffix, the drawing, the caption.
        answer: see `Section`.
    """
    terminal_tables = (
        table(t.columns, t.rows, t.title, text_columns=t.text_columns, note=t.note)
        for t in tables
        if t.title is not None
    )
    name, drawing, caption = figure or ("", None, "")
    return Section(
        terminal=(*terminal_tables, *sentences),
        html=(
            *([f"<h2>{to_html(heading)}</h2>"] if heading else []),
            *map(page.paragraph, sentences),
            *([page.figure(drawing, caption)] if drawing else []),
            *(page.table(t.columns, t.rows, t.caption) for t in tables if t.caption is not None),
        ),
        files={f"{name}.png": drawing.png()} if drawing else {},
        answer=answer,
    )

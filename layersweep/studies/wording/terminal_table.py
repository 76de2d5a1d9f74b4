"""Tables of plain text for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str | None = None,
    *,
    text_columns: int = 1,
    note: str = "",
) -> Table:
    """A table with a note below it. The first `text_columns` may wrap; the others are aligned to the right."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="", caption=note)
    for index, name in enumerate(columns):
        is_text = index < text_columns
        result.add_column(name, justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text)
    for row in rows:
        result.add_row(*row)
    return result

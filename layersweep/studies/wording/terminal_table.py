"""Tables of plain texts for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None, *, left: int = 1, note: str = ""
) -> Table:
    """A table whose first columns (`left`) hold words and may fold, the others set to the right; `note` is below it."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="", caption=note)
    for place, name in enumerate(head):
        words = place < left
        made.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for row in rows:
        made.add_row(*map(Text, row))
    return made

"""The table of arms in the terminal: the columns of `arm_columns` that it has, no wider than the terminal."""

import textwrap
from collections.abc import Sequence
from typing import Final

from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.arm_rows import Row
from layersweep.studies.wording.arm_columns import ArmColumn, arm_columns

_TEXT_WIDTH: Final = 24
"""Longer texts are wrapped."""
_GAP: Final = 3
_WIDTH: Final = 100
_OPTIONAL: Final = ("test", "new_training")
"""Columns that are left out in this order in too wide a table; then settings, `learned` and so on."""


def terminal_columns(comparison: Comparison, width: int = _WIDTH) -> list[ArmColumn]:
    """The columns of the table in a terminal of this width; at most 100 characters of it are used."""
    rows = comparison.arms.to_dicts()
    columns = [column for column in arm_columns(comparison) if column.is_in_terminal]
    settings = [column.name for column in columns if column.group == "setting" and column.name != "arm"]
    for name in (*_OPTIONAL, *reversed(settings), "learned", "common_mean", "difference"):
        widths = (
            narrowest(column, rows) if column.is_text and width < _WIDTH else _width(column, rows) for column in columns
        )
        if sum(_GAP + needed for needed in widths) > min(width, _WIDTH):
            columns = [column for column in columns if column.name != name]
    return columns


def terminal_heading(column: ArmColumn, rows: Sequence[Row]) -> str:
    """The heading above these rows, wrapped between words so that it makes the column no wider than it must be."""
    longest_word = max(map(len, column.heading.split()))
    return textwrap.fill(column.heading, max(longest_word, _cell_width(column, rows)), break_on_hyphens=False)


def narrowest(column: ArmColumn, rows: Sequence[Row]) -> int:
    """The width of the longest word in a column, which no table may cut."""
    words = [word for row in rows for word in column.terminal_text(row).split()]
    return max(map(len, [*column.heading.split(), *words]))


def _width(column: ArmColumn, rows: Sequence[Row]) -> int:
    """The width that a column needs."""
    heading_width = max(map(len, terminal_heading(column, rows).splitlines()))
    return max(heading_width, _cell_width(column, rows))


def _cell_width(column: ArmColumn, rows: Sequence[Row]) -> int:
    widest = max((len(column.terminal_text(row)) for row in rows), default=0)
    return min(widest, _TEXT_WIDTH) if column.is_text else widest

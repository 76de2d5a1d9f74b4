"""The table of arms in the terminal; at most 100 characters wide."""

from collections.abc import Sequence
from typing import Final

from layersweep.formatting import count
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.arm_rows import Row
from layersweep.studies.statistics.tuning_candidates import varied_keys
from layersweep.studies.wording.answer_sentences import verdict
from layersweep.studies.wording.number_formats import NONE, share, signed, with_spread
from layersweep.studies.wording.tuning_sentences import settings_column

_TEXT_COLUMNS: Final = ("arm", "verdict")
_TEXT_WIDTH: Final = 24
"""Longer texts are wrapped."""
_GAP: Final = 3
_WIDTH: Final = 100
_OPTIONAL: Final = ("test", "new\ntraining", "learned")
"""Columns that are left out, in this order, if the table would be too wide; the page has them."""


def table_columns(comparison: Comparison) -> dict[str, list[str]]:
    """The columns of the table, by their headings; those without any value are left out."""
    rows = comparison.arms.to_dicts()
    columns = {
        "arm": [row["arm"] for row in rows],
        f"at {count(comparison.epoch, 'epoch')}": [with_spread(row["mean"], row["sd"], row["n"]) for row in rows],
    }
    if comparison.common_epoch is not None:
        basis = f"\n({comparison.common_basis})" if comparison.common_basis else ""
        columns[f"all at epoch {comparison.common_epoch}{basis}"] = [
            with_spread(row["common_mean"], row["common_sd"], row["common_n"]) for row in rows
        ]
    if any(0 < row["learned"] < row["ended"] for row in rows):
        columns["learned"] = [learned(row) for row in rows]
    columns["to the leader"] = [difference(row) for row in rows]
    columns |= {"new\ntraining": _values(rows, "new_training"), "test": _values(rows, "test_mean")}
    if varied_keys(comparison.tunings):
        heading, settings = settings_column(comparison)
        columns[heading.replace(" ", "\n")] = settings
    columns["verdict"] = [verdict(row) for row in rows]
    columns = {
        name: cells
        for name, cells in columns.items()
        if name in _TEXT_COLUMNS or any(cell.strip(NONE) for cell in cells)
    }
    for name in _OPTIONAL:
        if sum(_width(*column) for column in columns.items()) > _WIDTH:
            columns.pop(name, None)
    return columns


def _width(name: str, cells: Sequence[str]) -> int:
    """The width that a column needs, with the gap to the next one."""
    widest = max(map(len, (*name.split("\n"), *cells)))
    return _GAP + (min(widest, _TEXT_WIDTH) if name in _TEXT_COLUMNS else widest)


def _values(rows: Sequence[Row], column: str) -> list[str]:
    return ["" if row[column] is None else share(row[column], 3) for row in rows]


def learned(row: Row) -> str:
    """How many of an arm's trainings learned: `2 of 3`."""
    return f"{row['learned']} of {row['ended']}" if row["ended"] else ""


def difference(row: Row) -> str:
    """The difference of an arm to the leader, with its simultaneous interval: `-.012 (-.020 to -.004)`."""
    if not row["difference"]:
        return ""
    text = signed(row["difference"], 3)
    if row["difference_low"] is None:
        return text
    return f"{text} ({signed(row['difference_low'], 3)} to {signed(row['difference_high'], 3)})"

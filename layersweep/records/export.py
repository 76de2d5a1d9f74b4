"""Writes a table of a sweep to one file for other programs."""

import contextlib
import uuid
from collections.abc import Callable, Mapping
from io import BufferedWriter
from pathlib import Path
from typing import Final

import polars as pl
import polars.selectors as cs

from layersweep.escaping import to_csv, to_json
from layersweep.records.derived.results_table import read_results
from layersweep.records.errors import ResultsError, results_errors
from layersweep.records.files import sync
from layersweep.records.overview import check_recorded
from layersweep.records.read import read
from layersweep.records.tables import RESULTS


def export(results: Path, sweep: str, table: str, out: Path, *, force: bool = False) -> int:
    """Writes all rows of a sweep's table to `out`, in the format that its suffix names; returns the number of rows.

    The file is complete or absent. In CSV a list is written as JSON, and a text that a spreadsheet would compute begins
    with an apostrophe (`layersweep.escaping.to_csv`).

    Raises:
        ResultsError: if the table, the sweep or the suffix is unknown, no study has written the table `results`, `out`
            exists and `force` is false, or it cannot be written.
    """
    check_recorded(results, sweep)
    if out.suffix not in _FORMATS:
        raise ResultsError(f"{out}: unknown suffix {out.suffix!r}; valid: {', '.join(_FORMATS)}")
    if out.exists() and not force:
        raise ResultsError(f"{out} exists: give another --out, or --force to overwrite it")
    frame = read_results(results, sweep) if table == RESULTS.name else read(results, table, sweep)
    temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex}.tmp")
    try:
        with results_errors(f"cannot write {out}"):
            with temporary.open("wb") as file:
                _FORMATS[out.suffix](frame, file)
            sync(temporary)
            temporary.replace(out)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return frame.height


def _csv(frame: pl.DataFrame, file: BufferedWriter) -> None:
    nested = cs.nested().map_elements(lambda values: to_json(values.to_list()), pl.String)
    texts = cs.string().map_elements(to_csv, pl.String)
    frame.with_columns(nested, texts).write_csv(file)


_FORMATS: Final[Mapping[str, Callable[[pl.DataFrame, BufferedWriter], None]]] = {
    ".csv": _csv,
    ".parquet": lambda frame, file: frame.write_parquet(file),
    ".json": lambda frame, file: frame.write_json(file),
    ".ndjson": lambda frame, file: frame.write_ndjson(file),
}

"""The table `results`: what the study of each sweep compares, to be averaged without knowing how it was recorded.

A study writes it whole, one file a sweep, in place of the one before. Nothing that runs a sweep reads it.
"""

import uuid
from pathlib import Path

import polars as pl

from layersweep.records.columns.descriptions import described
from layersweep.records.errors import ResultsError, results_errors
from layersweep.records.files import replacing
from layersweep.records.read import part_name, read
from layersweep.records.tables import RESULTS
from layersweep.records.write import schema_metadata, write_parquet


def read_results(results: Path, sweep: str) -> pl.DataFrame:
    """What the last study of a sweep compared: a row for each arm, seed (or fold) and epoch.

    Raises:
        ResultsError: if no study has written it, or it cannot be read.
    """
    if not is_written(results, sweep):
        raise ResultsError(
            f"no study of sweep {sweep!r} has written the table {RESULTS.name!r} in {results}: run "
            f"`layersweep study {sweep}` first"
        )
    return read(results, RESULTS.name, sweep)


def is_written(results: Path, sweep: str) -> bool:
    """Whether a study of the sweep has written the table."""
    return _file(results, sweep).is_file()


def write_results(results: Path, sweep: str, rows: pl.DataFrame) -> None:
    """Writes the table of a sweep, whole or not at all, in place of the one before.

    Args:
        results: the results folder.
        sweep: the name of the sweep.
        rows: the columns of the table, without `sweep`.

    Raises:
        ResultsError: if it cannot be written; the one before stays then.
    """
    final = _file(results, sweep)
    temporary = results / ".state" / "parts" / f"{sweep}.{uuid.uuid4().hex}.tmp"
    columns = rows.with_columns(pl.lit(sweep).alias("sweep")).select(RESULTS.schema.names)
    schema = described(RESULTS.schema, RESULTS.name).with_metadata(schema_metadata())
    content = columns.to_arrow().cast(schema)
    with results_errors(f"cannot write {final}"), replacing(final, temporary):
        write_parquet(temporary, content, RESULTS.encodings)


def _file(results: Path, sweep: str) -> Path:
    return results / RESULTS.name / sweep / part_name(0, 0)

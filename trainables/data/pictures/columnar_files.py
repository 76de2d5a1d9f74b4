"""Parquet and Arrow files of pictures with labels, as the hub of Hugging Face has them: read in little memory."""

import contextlib
import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from trainables.data.pictures.names import printable
from trainables.errors import DataError

SUFFIXES: Final = frozenset({".parquet", ".pq", ".arrow", ".feather", ".ipc"})

_VALID: Final = "valid: a Parquet file, or an Arrow file or stream"
_BATCH_ROWS: Final = 8
"""How many rows of a Parquet file are decoded at a time; a page, which may fill its group, is read as a whole."""

_BUFFER_BYTES: Final = 1 << 20
_PARQUET: Final = b"PAR1"
_ARROW_FILE: Final = b"ARROW1"


def schema(path: Path) -> Any:
    """The file's schema (pyarrow.Schema).

    Raises:
        DataError: if the file is damaged, or is not of a valid format.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with _errors(path):
        if _begins(path, _PARQUET):
            file_schema = parquet.read_schema(path)
        else:
            with pa.OSFile(str(path)) as file:
                file_schema = _arrow_reader(path, file).schema
        for field in file_schema:
            _check_names(field)
        return file_schema


def _check_names(field: Any) -> None:
    """Reads the names of a column and of its fields; raises UnicodeDecodeError if one is not UTF-8."""
    import pyarrow as pa

    assert isinstance(field.name, str)
    for inner in field.type if pa.types.is_struct(field.type) else ():
        _check_names(inner)


def features(file_schema: Any) -> Mapping[str, Any]:
    """What Hugging Face's libraries say of each column; empty if they did not write the file."""
    try:
        info = json.loads((file_schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}


def row_groups(path: Path) -> list[range]:
    """The rows of a file in groups; each group can be read without the others.

    Raises:
        DataError: if the file is damaged, or is not of a valid format.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with _errors(path):
        if _begins(path, _PARQUET):
            metadata = parquet.read_metadata(path)
            sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        else:
            with pa.OSFile(str(path)) as file:  # a file in mapped memory that is cut meanwhile ends the process
                sizes = [batch.num_rows for batch in _arrow_batches(path, file)]
    return [range(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def column_values(path: Path, column: str) -> list[Any]:
    """All values of a small column, such as labels.

    Raises:
        DataError: if the file is damaged, or is not of a valid format.
    """
    with _errors(path):
        return [value for _, batch in _batches(path, column, None) for value in batch.column(0).to_pylist()]


def row_bytes(path: Path, rows: Sequence[int], column: str) -> Iterator[tuple[int, bytes | None]]:
    """The pictures of some rows as bytes, in the order of the file; None for a row without a picture.

    Only groups with some of these rows are read, and of a Parquet file only some rows at a time.

    Args:
        path: the file.
        rows: the rows, counted from 0.
        column: the pictures' column, of bytes or of structures with a field `bytes`.

    Raises:
        DataError: if the file is damaged, or has no such column.
    """
    ordered = sorted(set(rows))
    leaf = _leaf(path, column)
    with _errors(path):
        for first, batch in _batches(path, leaf, ordered):
            values = batch.column(0)
            for row in ordered[bisect_left(ordered, first) : bisect_left(ordered, first + batch.num_rows)]:
                value = values[row - first].as_py()
                yield row, value["bytes"] if isinstance(value, dict) else value


def _leaf(path: Path, column: str) -> str:
    """The name of the column's bytes in a Parquet file: paths beside them are not read."""
    import pyarrow as pa

    file_schema = schema(path)
    if column not in file_schema.names:
        raise DataError(f"{printable(str(path))} has no column {column!r}")
    return f"{column}.bytes" if pa.types.is_struct(file_schema.field(column).type) else column


def _batches(path: Path, leaf: str, rows: Sequence[int] | None) -> Iterator[tuple[int, Any]]:
    """Batches of one column with their first rows; those without any of the rows, which are sorted, are not read."""
    import pyarrow as pa
    from pyarrow import parquet

    if _begins(path, _PARQUET):
        with parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            end = 0
            for index in range(file.num_row_groups):
                first, end = end, end + file.metadata.row_group(index).num_rows
                if _some(rows, first, end):
                    for batch in file.iter_batches(_BATCH_ROWS, row_groups=[index], columns=[leaf]):
                        yield first, batch
                        first += batch.num_rows
        return
    column, end = leaf.removesuffix(".bytes"), 0
    with pa.OSFile(str(path)) as file:  # a file in mapped memory that is cut meanwhile ends the process
        for batch in _arrow_batches(path, file):
            first, end = end, end + batch.num_rows
            if _some(rows, first, end):
                selected = batch.select([leaf if leaf in batch.schema.names else column])
                selected.validate(full=True)  # else values may lie anywhere in memory
                yield first, selected


def _some(rows: Sequence[int] | None, first: int, end: int) -> bool:
    """Whether some of the rows, which are sorted, lie from `first` to before `end`."""
    return rows is None or bisect_left(rows, first) < bisect_left(rows, end)


def _arrow_reader(path: Path, file: Any) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(file) if _begins(path, _ARROW_FILE) else pa.ipc.open_stream(file)


def _arrow_batches(path: Path, file: Any) -> Iterator[Any]:
    reader = _arrow_reader(path, file)
    if not hasattr(reader, "num_record_batches"):
        yield from reader
        return
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)


def _begins(path: Path, prefix: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(prefix)) == prefix


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Raises a DataError for what pyarrow raises of a damaged file."""
    import pyarrow as pa

    try:
        yield
    except DataError:
        raise
    except (OSError, ValueError, EOFError, pa.ArrowException) as error:
        text = printable(" ".join(str(error).split()))
        raise DataError(f"{printable(str(path))} cannot be read: {text}; {_VALID}") from error

"""Makes rows storable when they are added: what Parquet cannot store is escaped or left out, value by value.

So a value of a training, a class or an error neither blocks the rows that wait with it nor makes its row disappear.
"""

import functools
import warnings
from array import array
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final, NamedTuple

import pyarrow as pa

from layersweep.escaping import valid_unicode
from layersweep.records.tables import Table

_TEXTS: Final = (str, int, float, PurePath)


class UnstorableWarning(UserWarning):
    """A value or a row could not be stored."""


class _Column(NamedTuple):
    """How the values of a column are stored.

    Attributes:
        exact: the type of nearly all its values.
        fits: whether a value of this type can be stored as it is; None if every one can.
        convert: returns the value to store for any other; raises TypeError, ValueError or OverflowError if there is
            none.
    """

    exact: type
    fits: Callable[[Any], bool] | None
    convert: Callable[[Any], Any]


def storable(table: Table, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows with values that the columns of the table can store.

    Text that is not UTF-8 is escaped. A value of another type, or beyond its column's range, becomes null; if its
    column is part of the key, the row is left out. Both cause a warning. NaN and infinities stay.

    Raises:
        KeyError: if a row has an unknown column or lacks a key column.
    """
    columns = _columns(table)
    result: list[Mapping[str, Any]] = []
    for row in rows:
        if not row.keys() <= columns.keys():
            raise KeyError(f"table {table.name!r} has no column {sorted(row.keys() - columns.keys())}")
        if missing := [name for name in table.key if row.get(name) is None]:
            raise KeyError(f"a row of table {table.name!r} lacks {missing} of its key")
        changes = {}
        for name, value in row.items():
            if value is None:
                continue
            exact, fits, convert = columns[name]
            if type(value) is not exact or not (fits is None or fits(value)):
                changes[name] = _converted(table, name, convert, value)
        if unstorable := [name for name in table.key if name in changes and changes[name] is None]:
            _warn(f"table {table.name!r}: a row is left out, since its key has no {', '.join(unstorable)}")
        else:
            result.append({**row, **changes} if changes else row)
    return result


def _converted(table: Table, name: str, convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        _warn(f"table {table.name!r}: column {name!r} cannot store a value of type {type(value).__name__}: {error}")
        return None


def _warn(message: str) -> None:
    warnings.warn(message, UnstorableWarning, stacklevel=4)


@functools.lru_cache(maxsize=64)
def _columns(table: Table) -> Mapping[str, _Column]:
    return {field.name: _column(field.type) for field in table.schema}


def _column(kind: pa.DataType) -> _Column:
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return _Column(str, str.isascii, _text)
    if pa.types.is_list(kind):
        return _Column(array, None, _integers)
    if pa.types.is_integer(kind):
        limit = 1 << kind.bit_width - 1
        return _Column(int, range(-limit, limit).__contains__, functools.partial(_integer, bits=kind.bit_width))
    if pa.types.is_floating(kind):
        return _Column(float, None, _real)
    return _Column(datetime, None, _time) if pa.types.is_timestamp(kind) else _Column(bool, None, _flag)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if not isinstance(value, _TEXTS):
        raise TypeError("it is no text")
    return valid_unicode(str(value))


def _integer(value: Any, *, bits: int) -> int:
    integer = int(value)
    if integer != value:  # digits in a string, or a fraction
        raise ValueError("it is no integer")
    if not -1 << bits - 1 <= integer < 1 << bits - 1:
        raise OverflowError(f"it is beyond {bits} bits")
    return integer


def _integers(value: Any) -> list[int]:
    return array("i", value).tolist()


def _real(value: Any) -> float:
    if isinstance(value, str | bytes):
        raise TypeError("it is no number")
    return float(value)


def _flag(value: Any) -> bool:
    if value != bool(value):
        raise ValueError("it is neither true nor false")
    return bool(value)


def _time(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("it is no time")
    return value

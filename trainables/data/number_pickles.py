"""Pickles of numbers and texts, from strangers: what CIFAR's files hold, and nothing else.

A pickle is a program: it names functions of Python and calls them. The unpickler here runs a part of its instructions.
The names that arrays need stand for classes of this file, so that no code of a stranger's choice runs, nor NumPy's own,
which trusts the state that it is restored from.
"""

import io
import math
import pickle
import pickletools
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MOST_INSTRUCTIONS: Final = 4_000_000
"""CIFAR-100's training file has some 400,000; an instruction of one byte may take 100 bytes of memory."""

_INSTRUCTIONS: Final = (
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1",
    "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "EMPTY_LIST", "LIST",
    "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "DICT", "SETITEM",
    "SETITEMS", "GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GLOBAL", "STACK_GLOBAL",
    "REDUCE", "BUILD",
)  # fmt: skip
_KEYS: Final[Mapping[str, slice]] = {"DICT": slice(0, None, 2), "SETITEMS": slice(0, None, 2), "SETITEM": slice(-2, -1)}
"""Where the keys of a dict lie on the stack when the instruction is run."""

_CODES: Final[Mapping[str, int]] = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
_NAME: Final = 8
"""The most characters of a type's name."""
_NUMBERS: Final = frozenset({"u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"})
_BROKEN: Final = (
    pickle.UnpicklingError, struct.error, EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError,
    OverflowError,
)  # fmt: skip
"""The errors that a damaged pickle may raise."""


def read(content: bytes) -> dict[bytes, Any]:
    """The dict that a pickle holds: of lists, numbers, bytes and texts, and of arrays (`Array`).

    Raises:
        ValueError: if it is damaged, holds something else, or asks for anything else.
    """
    try:
        values = _NumbersOnly(io.BytesIO(content), encoding="bytes").load()
    except _BROKEN as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if not isinstance(values, dict):
        raise ValueError(f"it holds a {type(values).__name__}, not a dict")  # noqa: TRY004 (the content is wrong)
    return values


class Array:
    """Stands for numpy.ndarray: an array of whole numbers, once its state is there."""

    values: npt.NDArray[np.integer[Any]] | None = None

    def __init__(self, *_: object) -> None:
        """Takes what NumPy makes an empty array from; all of it comes again with the state."""

    def restore(self, state: tuple[Any, ...]) -> None:
        """Takes the state: version, shape, type, order and bytes."""
        _, shape, kind, by_columns, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("it holds an array that is not of whole numbers")
        if any(size < 0 for size in shape) or math.prod(shape) * kind.dtype.itemsize != len(content):
            raise pickle.UnpicklingError(f"it holds an array whose shape does not fit its {len(content):,} bytes")
        self.values = np.frombuffer(content, dtype=kind.dtype).reshape(shape, order="F" if by_columns else "C")


class _Type:
    """Stands for numpy.dtype: a type of whole numbers."""

    def __init__(self, name: object, *_: object) -> None:
        text = _text(name)
        if text not in _NUMBERS:
            raise pickle.UnpicklingError(
                f"it holds an array of type {text[:20]!r}; valid: {', '.join(sorted(_NUMBERS))}"
            )
        self.dtype = np.dtype(text)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Takes the state; only the order of bytes matters to numbers."""
        _, order, *parts = state
        if any(part is not None for part in parts[:3]):
            raise pickle.UnpicklingError("it holds an array of records, which image data does not need")
        self.dtype = self.dtype.newbyteorder(_text(order))  # type: ignore[arg-type]  # NumPy checks it


def _array(*_: object) -> Array:
    """Stands for NumPy's function that makes an empty array."""
    return Array()


def _encoded(text: str, _: object) -> bytes:
    """Stands for `_codecs.encode`: Python 3 writes bytes as Latin-1 for the older protocols."""
    return text.encode("latin-1")


_NAMES: Final[Mapping[tuple[str, str], Callable[..., object]]] = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encoded,
}


class _Instructions(dict[int, Callable[[Any], None]]):
    """The instructions of a pickle that are run, up to a number."""

    count = 0

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self.count += 1
        if self.count > MOST_INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has more than {MOST_INSTRUCTIONS:,} instructions")
        return super().__getitem__(code)

    def __missing__(self, code: int) -> Callable[[Any], None]:
        raise pickle.UnpicklingError(f"it has the instruction {code}, which image data does not need")


class _NumbersOnly(pickle._Unpickler):
    """Python's unpickler in Python: the one in C takes as much memory as a file says, not as it has."""

    def __init__(self, file: io.BytesIO, *, encoding: str) -> None:
        super().__init__(file, encoding=encoding)
        handlers = {_CODES[name]: pickle._Unpickler.dispatch[_CODES[name]] for name in _INSTRUCTIONS}
        checked = {_CODES[name]: _with_plain_keys(handlers[_CODES[name]], places) for name, places in _KEYS.items()}
        self.dispatch = _Instructions(handlers | checked | {_CODES["BUILD"]: _restore})  # type: ignore[misc]

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name; refuses every other one."""
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which image data does not need")
        return _NAMES[module, name]


def _restore(unpickler: Any) -> None:
    """The instruction BUILD, for our own classes alone."""
    state = unpickler.stack.pop()
    if not isinstance(unpickler.stack[-1], Array | _Type):
        raise pickle.UnpicklingError("it changes the state of something that is not an array")
    unpickler.stack[-1].restore(state)


def _with_plain_keys(handler: Callable[[Any], None], places: slice) -> Callable[[Any], None]:
    """An instruction that fills a dict, for texts as keys: Python crashes on the hash of tuples in tuples in tuples."""

    def checked(unpickler: Any) -> None:
        if not all(isinstance(key, bytes | str) for key in unpickler.stack[places]):
            raise pickle.UnpicklingError("it holds a dict with a key that is not a text")
        handler(unpickler)

    return checked


def _text(name: object) -> str:
    """A text of a few characters, as Python 2 or 3 wrote it."""
    text = name.decode("ascii") if isinstance(name, bytes) else name
    if not isinstance(text, str) or len(text) > _NAME:
        raise pickle.UnpicklingError("it holds an array without a valid type")
    return text

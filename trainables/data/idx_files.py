"""IDX files, the format of MNIST and of what replaces it: a header with the sizes, then bytes."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

_BYTES: Final = 0x08
"""The type of the values: unsigned bytes."""
_START: Final = 4
_SIZE: Final = 4


def read(content: bytes, dimensions: int) -> npt.NDArray[np.uint8]:
    """The bytes of a file as an array, which shares their memory.

    Raises:
        ValueError: if it is not an IDX file of bytes, has other dimensions, or not as many bytes as its header says.
    """
    header = _START + _SIZE * dimensions
    if len(content) < header or content[:_START] != bytes((0, 0, _BYTES, dimensions)):
        raise ValueError(f"expected an IDX file of bytes in {dimensions} dimensions, got {content[:_START].hex()!r}")
    shape = [int(size) for size in np.frombuffer(content, dtype=">u4", count=dimensions, offset=_START)]
    if math.prod(shape) != len(content) - header:
        raise ValueError(f"expected {'x'.join(map(str, shape))} bytes after its header, got {len(content) - header:,}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)

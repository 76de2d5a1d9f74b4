"""A file of images that processes fill row by row: at no time is it in memory."""

import contextlib
import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

_BLOCK: Final = 8 << 20


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A file of NumPy's format 1.0 with images (n, height, width, channels) of 8 bits."""

    path: Path
    shape: tuple[int, int, int, int]

    @classmethod
    def reserved(cls, path: Path, shape: tuple[int, int, int, int]) -> "ImageFile":
        """A new file that has its room on the disk.

        Raises:
            OSError: if there is no room.
        """
        file = cls(path=path, shape=shape)
        header = file._header(shape[0])
        with path.open("wb") as new_file:
            try:  # a full disk is an error here, not a crash later
                os.posix_fallocate(new_file.fileno(), 0, len(header) + math.prod(shape))
            except OSError as error:
                need = f"{shape[0]:,} images of {shape[2]}x{shape[1]} take {math.prod(shape) / (1 << 20):,.0f} MiB"
                raise OSError(error.errno, f"{error.strerror}; {need}") from error
            new_file.write(header)
        return file

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """The file's descriptor."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def write(self, descriptor: int, row: int, image: npt.NDArray[np.uint8]) -> None:
        """Writes one image (height, width, channels)."""
        _write(descriptor, image.tobytes(), self._place(row))

    def remove(self, rows: Sequence[int]) -> None:
        """Takes rows out, which are in ascending order; those behind them move up, a block at a time."""
        if not rows:
            return
        with self.opened() as descriptor:
            target = self._place(rows[0])
            for row, end in zip(rows, [*rows[1:], self.shape[0]], strict=True):
                source, stop = self._place(row + 1), self._place(end)
                while block := os.pread(descriptor, min(_BLOCK, stop - source), source):
                    _write(descriptor, block, target)
                    source, target = source + len(block), target + len(block)
            os.truncate(descriptor, target)
            _write(descriptor, self._header(self.shape[0] - len(rows)), 0)

    def _place(self, row: int) -> int:
        return len(self._header(self.shape[0])) + row * math.prod(self.shape[1:])

    def _header(self, rows: int) -> bytes:
        """NumPy's header, of equal length for any number of rows: it leaves room for an array that grows."""
        header = io.BytesIO()
        facts = {"descr": "|u1", "fortran_order": False, "shape": (rows, *self.shape[1:])}
        np.lib.format.write_array_header_1_0(header, facts)
        return header.getvalue()


def _write(descriptor: int, content: bytes, place: int) -> None:
    """Writes all of it: the system may write less at once."""
    while content:
        written = os.pwrite(descriptor, content, place)
        content, place = content[written:], place + written

"""Opens pictures so that neither a pipe, a device, nor a header that lies can stop the reader."""

import contextlib
import io
import itertools
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Final, NamedTuple, TypeAlias

from trainables.data.pictures.all_cores import chunks
from trainables.data.pictures.columnar_files import row_bytes
from trainables.data.pictures.picture_list import Picture
from trainables.errors import DataError

LARGEST_FILE: Final = 1 << 30
"""Bytes; the largest picture within Pillow's limit, with 16 bits in each of 4 channels, has 716 million."""

State: TypeAlias = tuple[int, int]
"""A file's size, and the time of its last change in nanoseconds."""


class NoRegularFileError(OSError):
    """A pipe, a device, a folder, or a file that is too large for a picture."""


class PictureFile(io.BufferedReader):
    """A file of which a read takes as much memory as there are bytes, not as the header of a part says."""

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, or all of them."""
        if size is None or size <= io.DEFAULT_BUFFER_SIZE:
            return super().read(size)
        return super().read(min(size, max(0, os.fstat(self.fileno()).st_size - self.tell())))


class Item(NamedTuple):
    """A picture to read: its place in the list, the state that its file is to have, and the row that it is to fill."""

    place: int
    picture: Picture
    state: State
    row: int


class Stream(NamedTuple):
    """A picture's content.

    Attributes:
        item: the picture.
        content: opens it; see `picture_file` for what it raises.
        name: its file, and its row in it.
        file: its file, if it has one of its own.
    """

    item: Item
    content: AbstractContextManager[IO[bytes]]
    name: str
    file: Path | None


def states(pictures: Sequence[Picture]) -> list[State]:
    """The present state of each picture's file; (0, 0) if it cannot be reached."""
    known: dict[Path, State] = {}
    for picture in pictures:
        if picture.path not in known:
            try:
                known[picture.path] = _state(picture.path.stat())
            except OSError:
                known[picture.path] = (0, 0)
    return [known[picture.path] for picture in pictures]


def name(picture: Picture) -> str:
    """A picture's file, and its row in it."""
    return str(picture.path) if picture.row is None else f"{picture.path}, row {picture.row}"


def item_lists(pictures: Sequence[Picture], present: Sequence[State], places: Sequence[int]) -> list[list[Item]]:
    """The pictures at these places, each list for one process; the first place is to fill row 0.

    Those inside a file come in the order that they have there.
    """
    items = [Item(place, pictures[place], present[place], row) for row, place in enumerate(places)]
    items.sort(key=lambda item: ("", 0) if item.picture.row is None else (str(item.picture.path), item.picture.row))
    rows = Counter(item.picture.path for item in items if item.picture.row is not None)
    return chunks(items, lambda item: item.state[0] // max(1, rows[item.picture.path]))


def streams(items: Sequence[Item]) -> Iterator[Stream]:
    """The contents of these pictures.

    Raises:
        DataError: if a file of rows is damaged, or changes while it is read.
    """
    for (path, column), group in itertools.groupby(items, lambda item: (item.picture.path, item.picture.column)):
        if column is None:
            for item in group:
                yield Stream(item, picture_file(path, item.state), str(path), path)
            continue
        members = {item.picture.row: item for item in group}
        for row, content in row_bytes(path, [row for row in members if row is not None], column):
            yield Stream(members[row], contextlib.nullcontext(io.BytesIO(content or b"")), f"{path}, row {row}", None)
        _check(path, _state(path.stat()), next(iter(members.values())).state)


@contextlib.contextmanager
def picture_file(path: Path, expected: State | None = None) -> Iterator[IO[bytes]]:
    """A regular file, open to be read; what is read is of one state of it.

    Raises:
        NoRegularFileError: if it is no regular file, or larger than `LARGEST_FILE`.
        DataError: if it may not be read, changes while it is read, or is no longer in the state that is expected.
        OSError: if it cannot be opened for another reason.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NoRegularFileError("it is no regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place must not stop us
    except PermissionError as error:
        raise DataError(
            f"{path} may not be read ({error.strerror}); valid: files that this user may read; try chmod a+r"
        ) from error
    with PictureFile(io.FileIO(descriptor)) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise NoRegularFileError("it is no regular file")
        if before.st_size > LARGEST_FILE:
            raise NoRegularFileError(f"it has {before.st_size:,} bytes; valid: at most {LARGEST_FILE:,}")
        try:
            yield file
        finally:
            _check(path, _state(os.fstat(descriptor)), expected or _state(before))


def _check(path: Path, now: State, expected: State) -> None:
    if now != expected:
        raise DataError(
            f"{path} changes while it is read; valid: files that stay as they are until the data is prepared"
        )


def _state(status: os.stat_result) -> State:
    return status.st_size, status.st_mtime_ns

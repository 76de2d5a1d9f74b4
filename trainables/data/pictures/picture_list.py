"""Labelled pictures before any is decoded: where each lies, its class, and its part of the data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

Part: TypeAlias = Literal["train", "validation", "test"]

PARTS: Final[tuple[Part, ...]] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One labelled picture.

    Attributes:
        path: its file; for a picture inside a Parquet or Arrow file, that file.
        row: its row in such a file, counted from 0; None for a file of its own.
        label: the index of its class.
        part: the part of the data it belongs to.
        column: the column of such a file that has the pictures.
    """

    path: Path
    label: int
    part: Part = "train"
    row: int | None = None
    column: str | None = None


@dataclass(frozen=True, kw_only=True)
class PictureList:
    """All labelled pictures of a data set, in an order that depends on their names alone.

    Attributes:
        pictures: sorted by part, class and natural name (`2.png` before `10.png`).
        classes: the names of the classes; a label is an index into them.
        layout: how the files were understood, in one line with the names of the classes.
        notes: one line for each thing that is not used, or was decided, such as a test folder without labels.
    """

    pictures: Sequence[Picture]
    classes: tuple[str, ...]
    layout: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The size that pictures are stored at, and how they are brought to it.

    Attributes:
        image_size: height and width in pixels; 0: the most frequent size of the pictures, at most `LARGEST` pixels
            wide and high.
        fit: `stretch` changes the proportions, `crop` cuts what is beyond the middle, `pad` adds black bars.
        resizing: `bilinear` or `nearest`.
    """

    image_size: int = 0
    fit: str = "stretch"
    resizing: str = "bilinear"


LARGEST: Final = 512
"""The largest width or height, in pixels, of stored pictures unless more is asked for."""


def at_most_largest(size: tuple[int, int]) -> tuple[int, int]:
    """A width and height, both made smaller in proportion if one exceeds `LARGEST`."""
    scale = min(1.0, LARGEST / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

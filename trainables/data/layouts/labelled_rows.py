"""Rows of a table, each a picture with its label in words, and the list of pictures that they make."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainables.data.layouts.layout_texts import (
    checked_number_of_classes,
    class_notes,
    layout_line,
    missing_classes,
    twin_hint,
)
from trainables.data.pictures.names import in_natural_order, listed, natural_key, printable
from trainables.data.pictures.picture_list import PARTS, Part, Picture, PictureList
from trainables.errors import DataError

_FEW_ROWS: Final = 20
_SHARE_OF_CLASSES: Final = 2 / 3
"""If there are more classes than this share of the rows, their column is not one of labels."""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A picture with its label.

    Attributes:
        path: its file, or the file that it is a row of.
        label: its class.
        part: its part, or None if nothing says it.
        row: its row in the file.
        column: the column of the file.
    """

    path: Path
    label: str
    part: Part | None = None
    row: int | None = None
    column: str | None = None


def picture_list(
    rows: Sequence[LabelledRow], place: Path, how: str, notes: Iterable[str], order: Sequence[str] = ()
) -> PictureList:
    """The pictures of all rows.

    Args:
        rows: the rows, in any order.
        place: the file or folder, for messages.
        how: how the labels were read, for the layout's line.
        notes: what is to be said besides.
        order: the classes in their order, of which some may have no picture; without them, natural order.

    Raises:
        DataError: if there are fewer than two classes, or one that there is none of to train with.
    """
    parts, names = _parts(rows, place)
    labels = {part: {row.label for row in rows if parts[row.part] == part} for part in PARTS}
    by_part = {part: own for part, own in labels.items() if own}
    classes = _classes(by_part, place, order)
    if has_a_label_for_each_row([row.label for row in rows]):
        raise DataError(
            f"{printable(str(place))}: {len(rows):,} pictures have {len(classes):,} labels ({listed(classes, 3)}); "
            "valid: a column with the same label for all pictures of a class, which --columns label=NAME can name"
        )
    index = {name: label for label, name in enumerate(classes)}
    pictures = [
        Picture(path=row.path, label=index[row.label], part=parts[row.part], row=row.row, column=row.column)
        for row in rows
    ]
    pictures.sort(key=lambda one: (PARTS.index(one.part), one.label, natural_key(str(one.path)), one.row or 0))
    unused = [name for name in order if name not in index]
    left_out = [f"left out, since no picture is of it: class {listed(unused)}"] if unused else []
    return PictureList(
        pictures=pictures,
        classes=classes,
        layout=layout_line(classes, how, pictures, names),
        notes=(*missing_classes(by_part, names, classes), *class_notes(classes), *left_out, *notes),
    )


def has_a_label_for_each_row(labels: Sequence[str]) -> bool:
    """Whether labels are hardly repeated, so that they are no classes, but captions or names."""
    return len(labels) >= _FEW_ROWS and len(set(labels)) > _SHARE_OF_CLASSES * len(labels)


def _parts(rows: Sequence[LabelledRow], place: Path) -> tuple[dict[Part | None, Part], dict[Part, str]]:
    """The part that the pictures of each part are used as, and the parts' names; without names, there are no parts.

    Raises:
        DataError: if there are parts, but none to train with.
    """
    present = {row.part for row in rows}
    if len(present) == 1 and present != {"train"}:
        return dict.fromkeys(present, "train"), {}
    if not present & {"train", None}:
        raise DataError(f"{printable(str(place))} has no pictures of the train part; valid: train, validation, test")
    parts: dict[Part | None, Part] = {part: part or "train" for part in present}
    return parts, {part: part for part in parts.values()}


def _classes(by_part: Mapping[Part, set[str]], place: Path, order: Sequence[str]) -> tuple[str, ...]:
    """The classes in their order.

    Raises:
        DataError: if there are fewer than two, or one that there is none of to train with.
    """
    known = by_part.get("train", set())
    classes = tuple(name for name in order if name in known) or in_natural_order(known)
    checked_number_of_classes(place, classes)
    for part, names in by_part.items():
        if strange := in_natural_order(names - known):
            raise DataError(
                f"{printable(str(place))}: the {part} part has the class {printable(strange[0])}, of which there is "
                f"no picture to train with{twin_hint(strange[0], classes)}; valid: the classes of the train part"
            )
    return classes

"""The line that says how a data set's files were understood, and the notes on what is not used."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from layersweep.formatting import count
from trainables.data.pictures.folder_tree import Folder
from trainables.data.pictures.names import listed, printable
from trainables.data.pictures.picture_list import PARTS, Part, Picture
from trainables.errors import DataError

VALID: Final = (
    "valid: a folder of pictures for each class; or train/, validation/ and test/ with the same class folders in each; "
    "or a table of file names and labels"
)
FEWEST_CLASSES: Final = 2
_EXAMPLES: Final = 3


def layout_line(
    classes: Sequence[str], how: str, pictures: Collection[Picture], part_names: Mapping[Part, str] | None = None
) -> str:
    """Such as `2 classes (cats, dogs), a folder each; train/ 120, validation/ 40, no test/: a sixth of train/`.

    Args:
        classes: their names.
        how: how the classes were read.
        pictures: all labelled pictures.
        part_names: what each part that there is is called; without them, the pictures are not in parts.
    """
    start = f"{len(classes):,} classes ({listed(classes)}), {how}; "
    if not part_names:
        return f"{start}{count(len(pictures), 'picture')}, not in parts: a sixth is the test set"
    sizes = Counter(picture.part for picture in pictures)
    shown = [f"{part_names[part]} {sizes[part]:,}" for part in PARTS if part in part_names]
    rest = "" if "test" in part_names else f", no test part: a sixth of {part_names['train']} is the test set"
    return start + ", ".join(shown) + rest


def checked_number_of_classes(place: Path, classes: Sequence[str]) -> None:
    """Refuses a data set of one class, or of none.

    Raises:
        DataError: names what there is, and what is valid.
    """
    if not classes:
        raise DataError(f"{printable(str(place))} has no pictures with a class; {VALID}")
    if len(classes) < FEWEST_CLASSES:
        raise DataError(f"{printable(str(place))} has one class only, {printable(classes[0])}; {VALID}")


def class_notes(classes: Sequence[str], same: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Notes on names that could be taken for others.

    Args:
        classes: the names in their order.
        same: names that differ in case only, by what they have in common.
    """
    numbers = [name for name in classes if name.removeprefix("-").isdecimal()]
    if len(numbers) == len(classes) and list(classes) != [str(index) for index in range(len(classes))]:
        pairs = listed([f"{index} is {name!r}" for index, name in enumerate(classes)])
        yield f"the classes are counted from 0 in the order of their names: {pairs}"
    for names in same.values():
        if len(names) > 1:
            yield f"the classes {listed(names)} are different ones, though their names differ in case only"


def unused_notes(
    root: Folder, in_use: Collection[Path], why: Mapping[Path, str], tables: Collection[Path] = ()
) -> Iterator[str]:
    """A note for each thing below a folder that is not used.

    Args:
        root: the folder.
        in_use: folders whose pictures are used.
        why: what to say of the pictures of other folders that are not used.
        tables: files that are used, too.
    """
    hidden, others = [], []
    for folder, used in _with_use(root, in_use, used=False):
        place = printable(str(folder.path.relative_to(root.path))) + "/" if folder is not root else str(root.path)
        if folder.pictures and not used:
            reason = why.get(folder.path, "in no folder of a class")
            yield f"{place}: {count(len(folder.pictures), 'picture')} {reason}: not used"
        hidden += [str((folder.path / name).relative_to(root.path)) for name in folder.hidden]
        others += [str(path.relative_to(root.path)) for path in _files(folder) if path not in tables]
        if (
            not used
            and folder is not root
            and not (folder.folders or folder.pictures or folder.others or folder.hidden)
        ):
            yield f"{place} is empty: not used"
    if others:
        yield f"{count(len(others), 'file')} that are no pictures are not used: {listed(others, _EXAMPLES)}"
    if hidden:
        yield f"{count(len(hidden), 'hidden or system file')} are not used: {listed(hidden, _EXAMPLES)}"


def _files(folder: Folder) -> list[Path]:
    return [folder.path / name for name in folder.others]


def _with_use(folder: Folder, in_use: Collection[Path], *, used: bool) -> Iterator[tuple[Folder, bool]]:
    """All folders, and whether the pictures in each are used: those below a folder in use are, too."""
    used = used or folder.path in in_use
    yield folder, used
    for inner in folder.folders:
        yield from _with_use(inner, in_use, used=used)

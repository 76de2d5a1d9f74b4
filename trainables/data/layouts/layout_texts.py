"""The line that says how a data set's files were understood, and the notes on what is not used."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from layersweep.formatting import count
from trainables.data.layouts.folder_tree import Folder
from trainables.data.pictures.names import listed, printable, same_for_people
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


def class_notes(classes: Sequence[str]) -> Iterator[str]:
    """Notes on names that could be taken for others: numbers that are not the labels, and other cases."""
    numbers = all(name.removeprefix("-").isdecimal() for name in classes)
    if numbers and list(classes) != [str(index) for index in range(len(classes))]:
        pairs = listed([f"{index} is {name!r}" for index, name in enumerate(classes)])
        yield f"the classes are counted from 0 in the order of their names: {pairs}"
    for same in _same_for_people(classes).values():
        if len(same) > 1:
            yield f"{listed(same)} are different classes, though their names differ in case only"


def missing_classes(
    by_part: Mapping[Part, Collection[str]], names: Mapping[Part, str], classes: Sequence[str]
) -> Iterator[str]:
    """A note for each part that has no picture of some classes."""
    for part, own in by_part.items():
        if missing := [name for name in classes if name not in own]:
            yield f"{names[part]} has no picture of {listed(missing)}"


def twin_hint(name: str, classes: Sequence[str]) -> str:
    """What to say of a name that is not among the classes, but would be if case did not matter; else nothing."""
    same = _same_for_people(classes).get(same_for_people(name), [])
    return f" (there is {printable(same[0])}, which differs in case only)" if same else ""


def _same_for_people(classes: Sequence[str]) -> dict[str, list[str]]:
    same = defaultdict(list)
    for name in classes:
        same[same_for_people(name)].append(name)
    return dict(same)


def unused_notes(
    root: Folder, pictures: Iterable[Path], why: Mapping[Path, str], tables: Collection[Path] = ()
) -> Iterator[str]:
    """A note for each thing below a folder that is not used.

    Args:
        root: the folder.
        pictures: the files of the labelled pictures.
        why: what to say of the pictures of a folder of which none is labelled.
        tables: files that are used, too.
    """
    in_use = {path.parent for path in pictures}
    unlabelled: dict[str, Counter[str]] = defaultdict(Counter)
    unread: dict[str, list[str]] = {"no picture": [], "hidden, or of a system": [], "empty": []}
    for folder in root.every_folder():
        inner = "" if folder is root else f"{folder.path.relative_to(root.path)}/"
        if folder.pictures and folder.path not in in_use:
            reason = why.get(folder.path, "in no folder of a class" if inner else "beside the folders")
            unlabelled[reason][inner or "./"] += len(folder.pictures)
        elif folder is not root and not (folder.folders or folder.pictures or folder.others or folder.hidden):
            unread["empty"].append(inner)
        unread["no picture"] += [inner + name for name in folder.others if folder.path / name not in tables]
        unread["hidden, or of a system"] += [inner + name for name in folder.hidden]
    for reason, numbers in unlabelled.items():
        yield f"not used: {count(numbers.total(), 'picture')} in {listed([*numbers], _EXAMPLES)}, {reason}"
    for reason, names in unread.items():
        if names:
            yield f"not used, since {reason}: {len(names):,} ({listed(names, _EXAMPLES)})"

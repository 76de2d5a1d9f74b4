"""Pictures whose folder is their class: a folder of classes, or one for each part of the data."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainables.data.layouts.folder_tree import Folder
from trainables.data.layouts.layout_texts import (
    VALID,
    checked_number_of_classes,
    class_notes,
    layout_line,
    missing_classes,
    twin_hint,
    unused_notes,
)
from trainables.data.pictures.names import in_natural_order, listed, part_named, part_of, printable
from trainables.data.pictures.picture_list import PARTS, Part, Picture, PictureList
from trainables.errors import DataError

_NOT_CLASSES: Final = frozenset(
    "image images img imgs jpegimages picture pictures photo photos mask masks label labels annotation annotations "  # noqa: SIM905
    "segmentationclass segmentationobject trimap trimaps groundtruth gt".split()
)
"""Names of folders of pictures, and of what was drawn over them: if there are no others, they are no classes."""

_TEXTS: Final = frozenset(
    ".c .cfg .csv .doc .docx .html .ini .ipynb .json .jsonl .log .mat .md .npy .npz .parquet .pdf .pickle "  # noqa: SIM905
    ".pkl .py .rst .sh .toml .tsv .txt .xls .xlsx .xml .yaml .yml".split()
)
"""Suffixes of files about pictures: a folder of these alone is no class."""


def labelled_by_folders(root: Folder) -> PictureList:
    """The pictures below a folder, each labelled by the folder that it lies in.

    Raises:
        DataError: if the folders are not understood, a class is empty, or classes differ between the parts.
    """
    inner = without_wrappers(root)
    parts = _part_folders(inner)
    roots: Mapping[Part, Folder] = parts or {"train": inner}
    by_part = {part: _class_folders(roots[part], part) for part in PARTS if part in roots}
    classes = _classes(root, parts, by_part)
    _check_no_inner_parts(by_part)
    pictures = [
        Picture(path=path, label=label, part=part)
        for part, folders in by_part.items()
        for label, name in enumerate(classes)
        if name in folders
        for path in folders[name].every_picture()
    ]
    names = {part: f"{printable(folder.path.relative_to(inner.path).parts[0])}/" for part, folder in parts.items()}
    notes = [*missing_classes(by_part, names, classes), *class_notes(classes), *_nested(by_part)]
    return PictureList(
        pictures=pictures,
        classes=classes,
        layout=layout_line(classes, "a folder each", pictures, names),
        notes=(*notes, *unused_notes(root, (picture.path for picture in pictures), _reasons(inner, parts))),
    )


def without_wrappers(folder: Folder) -> Folder:
    """The innermost folder that alone holds all folders with pictures, such as `dataset/dataset/train`."""
    while inner := _only_folder(folder):
        folder = inner
    return folder


def _only_folder(folder: Folder) -> Folder | None:
    """The only folder with pictures, if it has folders with pictures itself, so that it cannot be a class."""
    filled = folder.filled_folders
    if folder.pictures or len(filled) != 1 or not filled[0].filled_folders:
        return None
    rest = [other for other in folder.folders if other is not filled[0]]
    return filled[0] if all(part_of(other.name) or _is_about_pictures(other) for other in rest) else None


def _is_about_pictures(folder: Folder) -> bool:
    """Whether a folder has files, but none that could be a picture."""
    others = folder.every_other()
    return not folder.picture_count and bool(others) and all(path.suffix.lower() in _TEXTS for path in others)


@dataclass(frozen=True)
class _Candidate:
    """A folder that is named after a part; `inner` holds its class folders, if it has some."""

    part: Part
    folder: Folder
    inner: Folder

    @property
    def classes(self) -> set[str]:
        return {folder.name for folder in self.inner.filled_folders}


def _part_folders(folder: Folder) -> dict[Part, Folder]:
    """The folders of the parts; empty if the folder is not in parts.

    Raises:
        DataError: if there are several of one part, or parts but no labelled pictures to train with.
    """
    named = [(part, inner) for inner in folder.filled_folders if (part := part_of(inner.name))]
    known = {name for part, inner in named if part == "train" for name in _names(without_wrappers(inner))}
    candidates = [_Candidate(part, inner, _inside(inner, known)) for part, inner in named]
    labelled = [candidate for candidate in candidates if candidate.classes]
    flat = [candidate for candidate in candidates if not candidate.classes]
    parts = {candidate.part for candidate in labelled}
    if not _are_parts(labelled, flat):
        return {}
    if "train" not in parts:
        unlabelled = next((one.folder.name for one in flat if one.part == "train"), None)
        lack = f"{printable(unlabelled)}/ has no class folders" if unlabelled else "there is no train/"
        names = listed([f"{one.folder.name}/" for one in candidates if one.folder.name != unlabelled])
        raise DataError(f"{printable(str(folder.path))} has {names}, but {lack}; {VALID}")
    for part in parts:
        same = [one.folder.name for one in labelled if one.part == part]
        if len(same) > 1:
            raise DataError(
                f"{printable(str(folder.path))} has {len(same)} folders for the {part} part: {listed(same)}; valid: one"
            )
    return {candidate.part: candidate.inner for candidate in labelled}


def _are_parts(labelled: list[_Candidate], flat: list[_Candidate]) -> bool:
    """Whether folders that are named after parts are parts, and not classes of such names."""
    parts = {candidate.part for candidate in labelled}
    plain = all(part_named(candidate.folder.name) for candidate in labelled)
    shared = max((sum(name in one.classes for one in labelled) for two in labelled for name in two.classes), default=0)
    if len(parts) > 1:
        return plain or shared > 1
    if plain and shared > 1:
        return True  # several folders of one part, which are refused
    if parts:
        return any(candidate.part not in parts for candidate in flat) and (plain or parts == {"train"})
    return len({candidate.part for candidate in flat if part_named(candidate.folder.name)}) > 1


def _names(folder: Folder) -> set[str]:
    return {inner.name for inner in folder.filled_folders}


def _inside(folder: Folder, known: set[str]) -> Folder:
    """The folder of a part that has its class folders; a lone folder around all pictures is no class, unless known."""
    inner = without_wrappers(folder)
    filled = inner.filled_folders
    lone = filled[0] if len(filled) == 1 and not inner.pictures and part_of(folder.name) != "train" else None
    return lone if lone and lone.name not in known and _is_no_class(lone.name) else inner


def _is_no_class(name: str) -> bool:
    """Whether a lone folder of a part is named as one that holds pictures without labels."""
    words = set(re.split(r"[\W_]+", name.casefold()))
    return bool(part_of(name)) or not words.isdisjoint({*_NOT_CLASSES, "all", "unknown", "unlabelled", "unlabeled"})


def _class_folders(folder: Folder, part: Part) -> dict[str, Folder]:
    """The folders of the classes of one part.

    Raises:
        DataError: if a class has no picture; but to test or validate, some may be missing.
    """
    filled = [inner for inner in folder.filled_folders if not _repeats(inner, folder)]
    empty = [inner for inner in folder.folders if not inner.picture_count and not _is_about_pictures(inner)]
    if empty and part == "train" and filled:
        others = empty[0].every_other()
        what = f"has no picture ({listed([path.name for path in others], 3)})" if others else "is empty"
        more = f" (and {listed([f'{inner.name}/' for inner in empty[1:]])})" if len(empty) > 1 else ""
        raise DataError(f"{printable(str(empty[0].path))}{more} {what}; valid: pictures in each class folder")
    if filled and all(inner.name.casefold() in _NOT_CLASSES for inner in filled):
        names = listed([f"{inner.name}/" for inner in filled])
        raise DataError(f"{printable(str(folder.path))} has {names}, which name no classes; {VALID}")
    return {inner.name: inner for inner in filled}


def _repeats(inner: Folder, folder: Folder) -> bool:
    """Whether a class folder holds all its neighbours again, as in some archives: it is a copy, and no class."""
    neighbours = _names(folder) - {inner.name}
    return len(neighbours) > 1 and neighbours <= _names(inner)


def _classes(
    root: Folder, parts: Mapping[Part, Folder], by_part: Mapping[Part, Mapping[str, Folder]]
) -> tuple[str, ...]:
    """The names of the classes, in natural order.

    Raises:
        DataError: if there are fewer than two, or if another part has a class that there is none of to train with.
    """
    classes = in_natural_order(by_part["train"])
    for part, folders in by_part.items():
        for name in in_natural_order(set(folders) - set(classes)):
            place, train = printable(str(folders[name].path)), printable(parts["train"].name)
            raise DataError(
                f"{place} is a class of the {part} part that {train}/ lacks{twin_hint(name, classes)}; valid: the same "
                "classes in all parts"
            )
    checked_number_of_classes(root.path, classes)
    return classes


def _check_no_inner_parts(by_part: Mapping[Part, Mapping[str, Folder]]) -> None:
    """Refuses classes with the parts inside, such as cats/train and cats/test: all would be mixed.

    Raises:
        DataError: if several classes have nothing but folders of several parts.
    """
    inside = [
        folder
        for folder in by_part["train"].values()
        if not folder.pictures
        and all(part_named(inner.name) for inner in folder.filled_folders)
        and len({part_of(inner.name) for inner in folder.filled_folders}) > 1
    ]
    if len(inside) > 1:
        names = listed([f"{inside[0].name}/{inner.name}/" for inner in inside[0].filled_folders])
        raise DataError(f"{printable(str(inside[0].path.parent))} has parts within its classes: {names}; {VALID}")


def _nested(by_part: Mapping[Part, Mapping[str, Folder]]) -> Iterator[str]:
    """A note on a class of which folders hold further folders."""
    nested = [folder for folders in by_part.values() for folder in folders.values() if folder.filled_folders]
    if nested:
        inner = [f"{folder.name}/{nested[0].filled_folders[0].name}" for folder in nested[:1]]
        yield f"pictures in folders of a class folder belong to that class, such as those in {listed(inner)}/"


def _reasons(folder: Folder, parts: Mapping[Part, Folder]) -> dict[Path, str]:
    """Why pictures below a folder of a data set are not used."""
    reasons: dict[Path, str] = {}
    for inner in folder.filled_folders:
        part = part_of(inner.name)
        if part and part not in parts and parts:
            text = f"without labels (with a table of their names and labels they are the {part} part)"
            reasons |= {one.path: text for one in inner.every_folder()}
        elif _repeats(inner, folder):
            reasons |= {
                one.path: f"since {printable(inner.name)}/ holds the other folders again"
                for one in inner.every_folder()
            }
    return reasons

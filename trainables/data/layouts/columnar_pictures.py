"""Pictures with labels in Parquet and Arrow files: one file, or a folder of the files that a data set is cut into."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layersweep.formatting import count
from trainables.data.layouts.folder_tree import Folder
from trainables.data.layouts.label_tables import (
    FILE_NAMES,
    LABEL_NAMES,
    OTHER_LABEL_NAMES,
    PART_NAMES,
    usual_form,
)
from trainables.data.layouts.labelled_rows import LabelledRow, picture_list
from trainables.data.layouts.layout_texts import unused_notes
from trainables.data.pictures.columnar_files import SUFFIXES, column_values, features, schema
from trainables.data.pictures.columns import Columns
from trainables.data.pictures.names import listed, natural_key, part_named, part_of, printable
from trainables.data.pictures.picture_list import PARTS, Part, PictureList
from trainables.errors import DataError

_NO_LABEL: Final = -1
"""The label of the rows of a test part without labels, by custom of Hugging Face's hub."""


@dataclass(frozen=True, kw_only=True)
class _Format:
    """The columns of a file, and the classes by their numbers if the file has their names."""

    picture: str
    label: str
    part: str | None
    names: tuple[str, ...]


def labelled_in_files(paths: Sequence[Path], place: Path, columns: Columns, notes: Sequence[str] = ()) -> PictureList:
    """The pictures of the rows of some files.

    Args:
        paths: the files; their names, or those of their folders, say the part that they belong to.
        place: the file or folder that a person gave.
        columns: the names of columns that a person gave.
        notes: what is to be said besides.

    Raises:
        DataError: if a file is damaged, or has no columns of pictures and labels, or if the files have other columns.
    """
    paths = sorted(paths, key=lambda path: (PARTS.index(_part(path, place) or "train"), natural_key(str(path))))
    forms = {path: _format(path, columns) for path in paths}
    first = forms[paths[0]]
    for path, form in forms.items():
        if form != first:
            raise DataError(
                f"{printable(str(path))} has other columns or classes than {printable(paths[0].name)}; valid: files of "
                "one data set"
            )
    rows: list[LabelledRow] = []
    unlabelled: Counter[str] = Counter()
    for path in paths:
        for row in _rows(path, place, first):
            if row.label:
                rows.append(row)
            else:
                unlabelled[row.part or "train"] += 1
    labelled = {row.part or "train" for row in rows}
    if mixed := next((part for part in unlabelled if part in labelled), None):
        number = count(unlabelled[mixed], "row")
        raise DataError(
            f"{printable(str(place))}: {number} of the {mixed} part without a label; valid: a label in each"
        )
    left_out = [f"{part}: {count(number, 'picture')} without labels: not used" for part, number in unlabelled.items()]
    files = printable(paths[0].name) + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")
    how = f"by {files} (columns {printable(first.picture)}, {printable(first.label)})"
    return picture_list(rows, place, how, [*left_out, *notes], first.names)


def columnar_files_in(tree: Folder) -> list[Path]:
    """The Parquet and Arrow files of a folder, if it has no pictures of its own; at any depth."""
    if tree.picture_count:
        return []
    return [path for path in tree.every_other() if path.suffix.lower() in SUFFIXES]


def labelled_in_folder(tree: Folder, paths: Sequence[Path], columns: Columns) -> PictureList:
    """The pictures of the files of a folder.

    Raises:
        DataError: as `labelled_in_files`.
    """
    return labelled_in_files(paths, tree.path, columns, list(unused_notes(tree, (), {}, paths)))


def _rows(path: Path, place: Path, form: _Format) -> Iterator[LabelledRow]:
    """The rows of a file; those without a label have an empty one."""
    part = _part(path, place)
    labels = column_values(path, form.label)
    parts = column_values(path, form.part) if form.part else [None] * len(labels)
    if form.part and (strange := next((str(value) for value in parts if not part_named(str(value))), None)) is not None:
        raise DataError(f"{printable(str(path))}: {strange!r} is no part; valid: train, validation or test")
    for index, (value, own) in enumerate(zip(labels, parts, strict=True)):
        label = _label(value, form.names, path, index)
        yield LabelledRow(path, label, part_named(str(own)) if form.part else part, index, form.picture)


def _label(value: Any, names: Sequence[str], path: Path, row: int) -> str:
    """The class that a value means; empty if it means none."""
    if value is None or value == "" or (names and value == _NO_LABEL):
        return ""
    if not isinstance(value, str | int | bool):
        raise DataError(f"{printable(str(path))}, row {row}: the label {value!r} is no text or whole number")
    if not names or isinstance(value, str):
        return str(value)
    if not 0 <= value < len(names):
        raise DataError(f"{printable(str(path))}, row {row}: there is no class {value}; valid: 0 to {len(names) - 1}")
    return names[value]


def _part(path: Path, place: Path) -> Part | None:
    """The part of a file: by its own name, or by that of the nearest folder that says it."""
    inner = path.relative_to(place).parts[:-1] if path != place else ()
    return next((part for name in (path.stem, *reversed(inner)) if (part := part_of(name))), None)


def _format(path: Path, columns: Columns) -> _Format:
    file_schema = schema(path)
    known = features(file_schema)
    for name in (columns.file, columns.label, columns.part):
        if name and name not in file_schema.names:
            names = listed(file_schema.names, 20)
            raise DataError(f"{printable(str(path))} has no column {name!r}; valid: {names}")
    picture = columns.file or _picture_column(path, file_schema, known)
    rest = [name for name in file_schema.names if name != picture]
    part = columns.part or next((name for name in rest if usual_form(name) in PART_NAMES), None)
    label = columns.label or _label_column(path, file_schema, known, [name for name in rest if name != part])
    classes = known.get(label, {}).get("names") if isinstance(known.get(label), dict) else None
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    return _Format(picture=picture, label=label, part=part, names=tuple(classes) if named and classes else ())


def _picture_column(path: Path, file_schema: Any, known: Mapping[str, Any]) -> str:
    """The column of pictures: so declared, or the only one of bytes, or one of those with a usual name."""
    import pyarrow as pa

    def has_bytes(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return any(field.name == "bytes" and has_bytes(field.type) for field in kind)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    binary = [field.name for field in file_schema if has_bytes(field.type)]
    declared = [name for name in binary if _declared(known, name) == "Image"]
    return _one(path, "pictures", [declared, binary], FILE_NAMES, "file")


def _label_column(path: Path, file_schema: Any, known: Mapping[str, Any], rest: Sequence[str]) -> str:
    import pyarrow as pa

    def holds_labels(kind: Any) -> bool:
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        tests = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean)
        return any(test(value) for test in tests)

    fitting = [name for name in rest if holds_labels(file_schema.field(name).type)]
    declared = [name for name in fitting if _declared(known, name) == "ClassLabel"]
    usual = [name for name in fitting if usual_form(name) in {*LABEL_NAMES, *OTHER_LABEL_NAMES}]
    return _one(path, "labels", [declared, usual, fitting], LABEL_NAMES, "label")


def _declared(known: Mapping[str, Any], name: str) -> object:
    """What Hugging Face's libraries say that a column is."""
    feature = known.get(name)
    return feature.get("_type") if isinstance(feature, dict) else None


def _one(path: Path, what: str, choices: Sequence[Sequence[str]], usual: Sequence[str], key: str) -> str:
    """The column in the first choices that are not empty; of several, the one with the first usual name."""
    names = next((choice for choice in choices if choice), [])
    if len(names) == 1:
        return names[0]
    by_form = {usual_form(name): name for name in names}
    plain = usual[: usual.index("labels") + 1] if "labels" in usual else usual
    preferred = [by_form[form] for form in plain if form in by_form]
    if preferred:
        return preferred[0]
    problem = f"several columns that could be the {what}: {listed(names)}" if names else f"no column of {what}"
    raise DataError(f"{printable(str(path))} has {problem}; valid: --columns {key}=NAME")

"""How a folder or table of pictures is understood (a small inside until the layouts are merged)."""

from dataclasses import dataclass
from pathlib import Path

from trainables.data.pictures.picture_list import Part, Picture, PictureList


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a table."""

    file: str
    label: str
    part: str | None = None


def pictures_of(path: Path, columns: Columns | None = None) -> PictureList:  # noqa: ARG001
    """The pictures of a folder with a folder for each class."""
    names: dict[str, Part] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
    parts = {
        part: path / name
        for name, part in names.items()
        if (path / name).is_dir() and any(f.is_dir() for f in (path / name).iterdir())
    }
    parts = parts if len(parts) > 1 else {"train": path}
    classes = sorted({f.name for root in parts.values() for f in root.iterdir() if f.is_dir()})
    pictures = [
        Picture(path=file, label=label, part=part)
        for part, root in parts.items()
        for label, name in enumerate(classes)
        for file in sorted((root / name).rglob("*.*"))
    ]
    return PictureList(pictures=pictures, classes=tuple(classes), layout=f"{path}: {', '.join(classes)}")

"""Which file a table means by a name: with or without its folder or its suffix, as people write it."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from trainables.data.layouts.folder_tree import Folder
from trainables.data.pictures.names import part_of
from trainables.data.pictures.picture_list import Part

_DRIVE = re.compile(r"[A-Za-z]:/")


@dataclass(frozen=True)
class FileIndex:
    """The files below a folder, by name.

    Attributes:
        root: the folder; names are relative to it, or to a folder in it.
        by_name: the files' paths, relative to the root, by their own name.
        by_stem: the same by their name without suffix; pictures only.
    """

    root: Path
    by_name: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_stem: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, tree: Folder) -> "FileIndex":
        """An index of everything below a folder, but for hidden files."""
        index = cls(tree.path)
        for folder in tree.every_folder():
            inner = "" if folder is tree else f"{folder.path.relative_to(tree.path)}/"
            for name in (*folder.pictures, *folder.others):
                index.by_name[name].append(inner + name)
            for name in folder.pictures:
                index.by_stem[name.rpartition(".")[0] or name].append(inner + name)
        return index

    @cached_property
    def _by_folded_name(self) -> dict[str, list[str]]:
        """The same by their name without the case of its letters, as Windows sees it."""
        folded: defaultdict[str, list[str]] = defaultdict(list)
        for name, paths in self.by_name.items():
            folded[name.casefold()] += paths
        return folded

    def cleaned(self, name: str) -> str | None:
        """A name with `/` between folders, relative to the root; None if it leads out of it."""
        path = name if name in self.by_name else name.replace("\\", "/")
        if path.startswith("/") or _DRIVE.match(path):
            for root in {str(self.root.absolute()), str(self.root.resolve())}:
                if posixpath.normpath(path).startswith(f"{root}/"):
                    return posixpath.normpath(path).removeprefix(f"{root}/")
            return None
        path = posixpath.normpath(path)
        return None if path == ".." or path.startswith("../") else path

    def files(self, name: str, part: Part | None = None) -> Sequence[str]:
        """The files that a cleaned name may mean; if there are several, those in a folder of the part, if there are."""
        own = posixpath.basename(name)
        paths = (
            _ending(self.by_name.get(own, ()), name)
            or _ending(self.by_stem.get(own, ()), name, stem=True)
            or _ending(self._by_folded_name.get(own.casefold(), ()), name)
        )
        if not paths and name.startswith(f"{self.root.name}/"):
            return self.files(name.removeprefix(f"{self.root.name}/"), part)
        if len(paths) > 1 and name in paths:
            return [name]
        in_part = [path for path in paths if part_of(path.partition("/")[0]) == (part or "train")]
        return in_part if len(paths) > 1 and in_part else paths


def _ending(paths: Sequence[str], name: str, *, stem: bool = False) -> list[str]:
    """The paths that are this name, or end with it below further folders; in any case of letters, if none does."""
    ends = [(path, path.rpartition(".")[0] if stem and "." in path.rpartition("/")[2] else path) for path in paths]
    exact = [path for path, end in ends if f"/{end}".endswith(f"/{name}")]
    return exact or [path for path, end in ends if f"/{end}".casefold().endswith(f"/{name}".casefold())]

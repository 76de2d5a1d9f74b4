"""A fingerprint of the source code of a family, and of everything that it may call."""

import ast
import functools
import hashlib
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from trainables.families.family_code import FamilyCode

_ROOT: Final = Path(__file__).parent
_PACKAGES: Final = ("layersweep", "search_spaces", "sweeps", "trainables")
"""What this project installs: a family that is not ours is not compared with it, `trainables` excepted."""


def source_fingerprint(code: FamilyCode) -> str | None:
    """32 hexadecimal digits: 16 of the family's own file, then 16 of all files of this package and of its user's,
    and of the values of its user's that it uses, such as one that a command line or the environment sets.

    None if its networks cannot be built without training.
    """
    if not code.has_build:
        return None
    own = hashlib.sha256(Path(code.file).read_bytes()).hexdigest() if code.file else code.used
    if code.is_ours:
        return own[:16] + _ours()[:16]
    everything = hashlib.sha256(_ours().encode() + code.used.encode())
    for path in user_files(code):
        everything.update(path.name.encode() + path.read_bytes())
    return own[:16] + everything.hexdigest()[:16]


@functools.cache
def _ours() -> str:
    everything = hashlib.sha256()
    for path in sorted(_ROOT.rglob("*.py")):
        everything.update(path.relative_to(_ROOT).as_posix().encode() + path.read_bytes())
    return everything.hexdigest()


def user_files(code: FamilyCode) -> list[Path]:
    """The files of its user that a family needs: modules that are imported already, or where its file says so."""
    folders = [Path(path) for path in code.paths]
    imported = {
        Path(file).resolve() for each in list(sys.modules.values()) if (file := getattr(each, "__file__", None))
    }
    files = imported | (_named_imports(Path(code.file), folders) if code.file else set())
    return sorted(
        file
        for file in files
        if file.is_file() and not _is_installed(file) and any(file.is_relative_to(folder) for folder in folders)
    )


def _is_installed(file: Path) -> bool:
    """Whether a file belongs to Python, to an installed package or to this project."""
    folders = [Path(sys.base_prefix), Path(sys.prefix), *(_ROOT.parent / package for package in _PACKAGES)]
    return "site-packages" in file.parts or any(map(file.is_relative_to, folders))


def _named_imports(file: Path, folders: Sequence[Path]) -> set[Path]:
    """The files that a file imports from these folders, inside its functions too, and what they import."""
    waiting, files = [file], {file}
    while waiting:
        for path in _imports_of(waiting.pop(), folders):
            if path not in files and not _is_installed(path):
                files.add(path)
                waiting.append(path)
    return files


def _imports_of(file: Path, folders: Sequence[Path]) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):  # Python itself says it when it imports the file
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield from _module_files(folders, each.name)
        elif isinstance(node, ast.ImportFrom):
            places = [file.parents[node.level - 1]] if 0 < node.level <= len(file.parents) else folders
            for each in node.names:
                yield from _module_files(places, f"{node.module or ''}.{each.name}".removeprefix("."))


def _module_files(folders: Sequence[Path], name: str) -> Iterator[Path]:
    """The files of a module of this dotted name and of the packages that it is in."""
    parts = name.split(".")
    for folder, number in itertools.product(folders, range(1, len(parts) + 1)):
        place = folder.joinpath(*parts[:number])
        yield from (path for path in (place / "__init__.py", place.with_name(f"{place.name}.py")) if path.is_file())

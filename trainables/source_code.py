"""A fingerprint of the source code of a family, and of everything that it may call."""

import functools
import hashlib
import sys
from collections.abc import Iterator
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Final

from trainables.families.family_code import FamilyCode

_ROOT: Final = Path(__file__).parent
_PACKAGES: Final = ("layersweep", "search_spaces", "sweeps", "trainables")
"""What this project installs: a family that is not ours is not compared with it, `trainables` excepted."""


def source_fingerprint(code: FamilyCode) -> str | None:
    """32 hexadecimal digits: 16 of the family's own file, then 16 of all files of this package and of its user's.

    None if its networks cannot be built without training.
    """
    if not code.has_build:
        return None
    own = hashlib.sha256(Path(code.file).read_bytes()).hexdigest() if code.file else code.cells
    if code.is_ours:
        return own[:16] + _ours()[:16]
    everything = hashlib.sha256(_ours().encode())
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
    files = {*_imported(), *(_named_imports(code.file, code.paths) if code.file else ())}
    return sorted(file for file in files if file.is_file() and any(file.is_relative_to(folder) for folder in folders))


def _imported() -> Iterator[Path]:
    """The Python files of modules that are imported in this process, without installed packages and ours."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.partition(".")[0] not in _PACKAGES and not _is_installed(Path(file)):
            yield Path(file).resolve()


def _is_installed(file: Path) -> bool:
    return "site-packages" in file.parts or file.is_relative_to(sys.base_prefix) or file.is_relative_to(sys.prefix)


def _named_imports(file: str, folders: tuple[str, ...]) -> Iterator[Path]:
    """The files that a file imports from these folders, inside its functions too, and what they import."""
    finder = ModuleFinder(path=list(folders), excludes=[*_PACKAGES, *sys.stdlib_module_names])
    try:
        finder.run_script(file)
    except (SyntaxError, OSError):  # Python itself says it when it imports that file
        return
    for module in finder.modules.values():
        path = getattr(module, "__file__", None)
        if path and not _is_installed(Path(path)):
            yield Path(path).resolve()

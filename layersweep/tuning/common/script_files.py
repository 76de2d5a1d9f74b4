"""A user's script with the Python files beside it, which travel to the machines of a cluster.

What travels, and where it lies there: docs/decisions/clusters.md.
"""

import ast
import contextlib
import functools
import hashlib
import io
import os
import shutil
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Self

from filelock import FileLock

from layersweep import project
from layersweep.escaping import is_unicode
from layersweep.formatting import count, first_names
from layersweep.records.files import make_folder
from layersweep.tuning.common.errors import UsageError
from trainables.data.cache import replacement

MOST_FILES: Final = 500
"""A script and the files beside it may be so many."""

MOST_BYTES: Final = 4 << 20
"""They may have so many bytes together."""

FOLDER_ON_HEAD: Final = ".scripts"
"""The folder in the head's project folder with the scripts that came from other machines."""

_SUFFIX: Final = ".py"
_ENVIRONMENT: Final = "pyvenv.cfg"
"""The file by which a virtual environment is known."""

_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Of each file in an archive, so that equal contents have equal archives."""

_LOCK_SECONDS: Final = 60.0
_UNUSED_SECONDS: Final = 30 * 24 * 3600.0

_OWN_ADVICE: Final = "put the script into a folder of its own, with the modules that it imports"


@dataclass(frozen=True, kw_only=True)
class ScriptFiles:
    """A script and the Python files that it may import from its folder.

    Attributes:
        script: the script's name.
        contents: the content of each file, by its path below the script's folder, the script's own too.
    """

    script: str
    contents: Mapping[str, bytes]

    @classmethod
    def of(cls, script: Path) -> Self:
        """The script, the Python files beside it, and those in packages beside it.

        A folder is a package if it has an `__init__.py`, or if one of the files names it in an import.

        Raises:
            UsageError: if they are too many or too large, or one cannot be read; with names.
        """
        folder, contents, size = script.parent, dict[str, bytes](), 0
        for path in _python_files(folder, contents):
            name = path.relative_to(folder).as_posix()
            if not is_unicode(name):
                raise UsageError(f"the file {path} cannot travel to a cluster: its name is not UTF-8")
            try:
                contents[name] = path.read_bytes()
            except OSError as error:
                raise UsageError(f"the file {path} cannot travel to a cluster: {error.strerror}") from error
            size += len(contents[name])
            if len(contents) > MOST_FILES or size > MOST_BYTES:
                raise _refusal(folder, contents)
        if script.name not in contents:
            raise UsageError(f"{script} cannot travel to a cluster; valid: a Python script whose name ends with .py")
        return cls(script=script.name, contents=contents)

    @functools.cached_property
    def name(self) -> str:
        """The name of a folder with these files; it stands for their content: `mine-0123456789abcdef`."""
        digest = hashlib.sha256()
        for path, content in sorted(self.contents.items()):
            digest.update(f"{path}\0{len(content)}\0".encode() + content)
        return f"{PurePosixPath(self.script).stem}-{digest.hexdigest()[:16]}"

    @property
    def path_on_head(self) -> str:
        """The script's path below the head's project folder."""
        return f"{FOLDER_ON_HEAD}/{self.name}/{self.script}"

    def archive(self) -> bytes:
        """The files as a ZIP archive; the script is its comment."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.comment = self.script.encode()
            for path, content in sorted(self.contents.items()):
                archive.writestr(zipfile.ZipInfo(path, _TIME), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    @classmethod
    def of_archive(cls, content: bytes, name: str) -> Self:
        """The files of an archive; `name` is that of their folder, which stands for what they must be.

        Raises:
            ValueError: if it is damaged, or holds something else.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = archive.infolist()
                if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
                    raise ValueError("the archive of a script is too large")
                contents = {member.filename: archive.read(member) for member in members}
                script = archive.comment.decode()
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"the archive of a script is damaged: {error}") from error
        for path in contents:
            if not path.endswith(_SUFFIX) or path.startswith("/") or ".." in path.split("/") or "\0" in path:
                raise ValueError(f"the archive of a script holds {path!r}")
        if script not in contents or "/" in script:
            raise ValueError(f"the archive of a script has no script {script!r}")
        files = cls(script=script, contents=contents)
        if files.name != name:
            raise ValueError(f"the archive of a script is damaged: it holds {files.name} instead of {name}")
        return files

    def written(self, parent: Path) -> Path:
        """The folder below `parent` with these files; it is made if it is missing or was changed.

        Folders of other scripts that nobody has used for a month are deleted.

        Raises:
            OSError: if it cannot be written.
        """
        folder = parent / self.name
        make_folder(parent, mode=0o700)
        with FileLock(parent / ".lock", timeout=_LOCK_SECONDS):
            if not self._lies_in(folder):
                with replacement(folder) as new_folder:
                    for path, content in self.contents.items():
                        (new_folder / path).parent.mkdir(parents=True, exist_ok=True)
                        (new_folder / path).write_bytes(content)
            os.utime(folder)  # it is in use
            _delete_unused(parent)
        return folder

    def _lies_in(self, folder: Path) -> bool:
        try:
            return all((folder / path).read_bytes() == content for path, content in self.contents.items())
        except OSError:
            return False


def _delete_unused(parent: Path) -> None:
    for folder in parent.glob("*-*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class RunningScript:
    """The script that runs on this machine, which other machines may lack.

    Attributes:
        folder: its folder.
        files: its files, as they were when it started.
    """

    folder: Path
    files: ScriptFiles


def running_script() -> RunningScript | None:
    """The script that runs; None if other machines have it, or if it is no script, as in a notebook.

    Raises:
        UsageError: as `ScriptFiles.of`.
    """
    file = getattr(sys.modules["__main__"], "__file__", None)  # a notebook has none
    script = Path(file or "").resolve()
    return RunningScript(folder=script.parent, files=ScriptFiles.of(script)) if is_own_script(script) else None


def is_everywhere(script: Path) -> bool:
    """Whether each machine of a cluster has this script: `ray up` copies it with the clone."""
    return project.IS_CLONE and any(script.is_relative_to(project.FOLDER / name) for name in project.CODE_FOLDERS)


def is_own_script(script: Path) -> bool:
    """Whether this is a script of the user's, not one of the project's, nor a program such as pytest."""
    installed = any(script.is_relative_to(Path(prefix).resolve()) for prefix in (sys.prefix, sys.base_prefix))
    return script.suffix == _SUFFIX and not installed and not is_everywhere(script)


def _python_files(folder: Path, contents: Mapping[str, bytes]) -> Iterator[Path]:
    """The Python files beside a script, then those of packages; `contents` holds those that were yielded before."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    yield from (entry for entry in entries if entry.suffix == _SUFFIX and entry.is_file())
    folders = {entry for entry in entries if entry.name.isidentifier() and entry.is_dir()}
    while folders:
        imported = {name for path, content in contents.items() for name in _imported_names(path, content)}
        packages = {each for each in folders if each.name in imported or (each / "__init__.py").is_file()}
        for package in sorted(packages):
            yield from _files_below(package)
        folders = folders - packages if packages else set()


def _files_below(package: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(package):
        if _ENVIRONMENT in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        yield from (Path(parent, name) for name in sorted(names) if name.endswith(_SUFFIX))


def _imported_names(path: str, content: bytes) -> set[str]:
    """The first words of what a file imports; none of a file that is no Python of this version."""
    try:
        nodes = [*ast.walk(ast.parse(content, filename=path))]
    except (SyntaxError, ValueError, RecursionError):
        return set()
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {module.partition(".")[0] for module in modules}


def _refusal(folder: Path, contents: Mapping[str, bytes]) -> UsageError:
    """The error for too much: it names where most files are, and the largest ones."""
    counts: dict[str, int] = {}
    for path in contents:
        place = path.partition("/")[0] + "/" if "/" in path else "."
        counts[place] = counts.get(place, 0) + 1
    largest = sorted(contents, key=lambda path: len(contents[path]), reverse=True)
    most = sorted(counts, key=lambda place: -counts[place])
    places = first_names([f"{place} ({count(counts[place], 'file')})" for place in most])
    return UsageError(
        f"the Python files in {folder} are too many to travel to a cluster: more than {MOST_FILES} files or "
        f"{MOST_BYTES >> 20} MiB; most are in {places}; the largest are {first_names(largest)}; {_OWN_ADVICE}"
    )

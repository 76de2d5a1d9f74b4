"""What a machine says of itself. Ray sends this module's functions to each node as they are: they need Python alone.

A node may lack the project, or have another version of it: that is what is asked. So nothing of the project is imported
at the top, and what other files have as well (the cache's folder, say) is said here again.
"""

import hashlib
import os
import platform
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("ray", "tensorflow", "keras", "numpy", "pyarrow")
"""Those that must be the same on every node."""

CODE: Final = ("benchmarks", "layersweep", "search_spaces", "sweeps", "trainables")
"""The project's folders of code, which `ray up` copies to each node."""


def versions() -> dict[str, str]:
    """The version of Python and of each package; empty where a package is missing."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def code(project: Path | None = None) -> dict[str, str]:
    """The digest of each of the project's Python files, by its path below the project; of those that are imported here.

    Empty where the project is not installed.
    """
    if project is None:
        spec = find_spec("layersweep")
        if spec is None or spec.origin is None:
            return {}
        project = Path(spec.origin).parent.parent
    files = [path for folder in CODE for path in sorted((project / folder).rglob("*.py"))]
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}


def brief() -> dict[str, Any]:
    """What a sweep asks of a node before it starts."""
    return {
        "host": socket.gethostname(),
        "versions": versions(),
        "code": code(),
        "auth_mode": os.environ.get("RAY_AUTH_MODE", ""),
    }


def full(asked: Mapping[str, Any]) -> dict[str, Any]:
    """All of it.

    Args:
        asked: `results`, a folder; `marker`, the name of a file in it, written elsewhere; `dataset`, the name of one
            to bring into the node's cache, or None; `data`, the folder of its files or None.
    """
    return {
        **brief(),
        "processor": _processor(),
        "memory_bytes": _memory_bytes(),
        "token_mode": _token_mode(),
        "cache": _cache(),
        "results": _results(Path(asked["results"]), str(asked["marker"])),
        "data": None if asked["dataset"] is None else _data(str(asked["dataset"]), asked["data"]),
    }


def _processor() -> str:
    """Its model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return models[0] if models else platform.machine()


def _memory_bytes() -> int:
    """This machine's memory, or that of the container it is confined to."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def _token_mode() -> int | None:
    """The permissions of the token's file; None without one."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _cache_root() -> Path:
    """As trainables.data.cache has it, which may be missing here."""
    if named := os.environ.get("LAYERSWEEP_CACHE"):
        return Path(named).absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "layersweep"


def _cache() -> dict[str, Any]:
    """The cache's folder, whether files can be made in it, and the bytes that are free."""
    folder = _cache_root()
    problem = _unwritable(folder)
    free = 0 if problem else shutil.disk_usage(folder).free
    return {"folder": str(folder), "problem": problem, "free_bytes": free}


def _results(folder: Path, marker: str) -> dict[str, Any]:
    """Whether the folder is the one in which the marker was written; and if it is, whether it can be written here."""
    shared = os.path.isfile(folder / marker)
    return {"folder": str(folder), "shared": shared, "problem": _unwritable(folder) if shared else ""}


def _unwritable(folder: Path) -> str:
    """Why no file can be made there; empty if one can. The folder is made where it is missing."""
    path = folder / f".doctor-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 4096)
        path.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _data(name: str, folder: str | None) -> dict[str, Any]:
    """Brings a data set into this machine's cache, as a trial here would, and says what that took.

    Nothing was said where it was in the cache already.
    """
    said: list[str] = []
    began = time.monotonic()
    try:
        from trainables.data.dataset import prepare
        from trainables.errors import DataError
    except ImportError as error:
        return {"problem": f"the project is not installed: {error}", "said": [], "seconds": 0.0}
    try:
        prepare(name, folder=None if folder is None else Path(folder), say=said.append)
    except DataError as error:
        return {"problem": " ".join(str(error).split()), "said": said, "seconds": time.monotonic() - began}
    return {"problem": "", "said": said, "seconds": time.monotonic() - began}

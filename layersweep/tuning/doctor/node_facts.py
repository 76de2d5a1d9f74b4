"""The facts about a machine. Ray sends this module's functions to each node, and they need nothing but Python there.

A node may lack the project, or have another version of it; the doctor must find that out. So this file imports nothing
of the project at the top, and repeats what other files define (the cache's folder, for example).
"""

import hashlib
import os
import platform
import secrets
import shutil
import socket
import stat
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("ray", "tensorflow", "keras", "numpy", "pyarrow")
"""The packages whose versions must be the same on every node."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_WHEEL: Final = ("layersweep", "search_spaces", "trainables")
"""The folders of code that a wheel installs."""

CODE: Final = ("benchmarks", *_WHEEL, "sweeps")
"""The project's folders of code, which `ray up` copies to each node."""


def versions() -> dict[str, str]:
    """The version of Python and of each package; empty where a package is missing."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = ""
    return versions


def code(project: Path | None = None) -> dict[str, str]:
    """The digest of each of the project's Python files, by its path below the project's folder.

    Args:
        project: the folder; None for the one from which this process imports. Without it the result is empty.
    """
    if project is None:
        spec = find_spec("layersweep")
        if spec is None or spec.origin is None:
            return {}
        project = Path(spec.origin).parent.parent
    folders = CODE if (project / "pyproject.toml").is_file() else _WHEEL
    files = [path for folder in folders for path in sorted((project / folder).rglob("*.py"))]
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}


def basic_facts() -> dict[str, Any]:
    """The facts that a sweep checks before it starts."""
    return {
        "host": socket.gethostname(),
        "versions": versions(),
        "code": code(),
        "auth_mode": os.environ.get("RAY_AUTH_MODE", ""),
    }


def all_facts(request: Mapping[str, Any]) -> dict[str, Any]:
    """All facts that the doctor checks.

    Args:
        request: `results`, a folder; `marker`, the name of a file that the head wrote in it; `dataset`, the name of a
            data set to load into the node's cache, or None; `data`, the folder of its files, or None.
    """
    return {
        **basic_facts(),
        "processor": _processor(),
        "memory_bytes": _memory_bytes(),
        "token_mode": _close_token(),
        "ray_folder": _ray_folder(),
        "cache": _cache(),
        "results": _results(Path(request["results"]), str(request["marker"])),
        "data": None if request["dataset"] is None else _data(str(request["dataset"]), request["data"]),
    }


def _processor() -> str:
    """The processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return models[0] if models else platform.machine()


def _memory_bytes() -> int:
    """The memory of this machine, or the limit of the container that it runs in."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def _close_token() -> int | None:
    """Takes all rights to the token's file from other users; returns its mode before, or None without a file."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return None
        if mode & _OTHERS:
            path.chmod(0o600)
    except OSError:
        return None
    return stat.S_IMODE(mode)


def _ray_folder() -> dict[str, Any] | None:
    """Ray's temporary folder on this machine, and whether other users can enter it; None outside of Ray."""
    if "ray" not in sys.modules:
        return None
    import ray

    if not ray.is_initialized():
        return None
    folder = Path(ray.get_runtime_context().get_temp_dir())
    states = [parent.stat() for parent in (folder, *folder.parents)]
    return {"folder": str(folder), "open": all(s.st_uid != os.getuid() or s.st_mode & _OTHERS for s in states)}


def _cache_root() -> Path:
    """The cache's folder, as in trainables.data.cache, which may be missing on this machine."""
    if folder := os.environ.get("LAYERSWEEP_CACHE"):
        return Path(folder).absolute()
    user_cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(user_cache) if user_cache else Path.home() / ".cache") / "layersweep"


def _cache() -> dict[str, Any]:
    """The cache's folder, why it cannot be written, its free bytes, and whether all users can change it."""
    folder = _cache_root()
    problem = _write_problem(folder)
    free = 0 if problem else shutil.disk_usage(folder).free
    return {"folder": str(folder), "problem": problem, "free_bytes": free, "open": not problem and _is_open(folder)}


def _results(folder: Path, marker: str) -> dict[str, Any]:
    """Whether this machine shares the folder, in which the head wrote the marker, and who can write it here."""
    is_shared = os.path.isfile(folder / marker)
    return {
        "folder": str(folder),
        "shared": is_shared,
        "problem": _write_problem(folder) if is_shared else "",
        "open": is_shared and _is_open(folder),
    }


def _is_open(folder: Path) -> bool:
    """Whether all users of this machine can change a folder."""
    return bool(folder.stat().st_mode & stat.S_IWOTH)


def _write_problem(folder: Path) -> str:
    """Why no file can be written in the folder, which is created if it is missing; empty if a file can."""
    path = folder / f".doctor-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 4096)
        path.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _data(name: str, folder: str | None) -> dict[str, Any]:
    """Loads a data set into this machine's cache, as a trial would: the messages, the seconds, and the problem if any.

    There are no messages if it was in the cache already.
    """
    messages: list[str] = []
    start = time.monotonic()
    try:
        from trainables.data.dataset import prepare
        from trainables.errors import DataError
    except ImportError as error:
        return {"problem": f"the project is not installed: {error}", "messages": [], "seconds": 0.0}
    try:
        prepare(name, folder=None if folder is None else Path(folder), say=messages.append)
    except DataError as error:
        return {"problem": " ".join(str(error).split()), "messages": messages, "seconds": time.monotonic() - start}
    return {"problem": "", "messages": messages, "seconds": time.monotonic() - start}

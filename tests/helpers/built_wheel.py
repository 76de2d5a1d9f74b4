"""The project's wheel, built from a copy of what belongs to it, and installed, without a network."""

import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from places import ROOT

PACKAGES = ("layersweep", "search_spaces", "trainables")
NOT_PACKAGES = ("benchmarks", "sweeps", "tests")

_BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


def build(folder: Path) -> Path:
    """Builds the wheel below a folder, and returns its file."""
    source = folder / "source"
    for name in (*PACKAGES, *NOT_PACKAGES):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "corpus"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "records.py", "studies.py", "tuning.py"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-c", _BUILD, str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def installed(wheel: Path, folder: Path, *, trains: bool) -> Path:
    """A virtual environment with the wheel and links to this one's packages; returns its Python.

    Args:
        wheel: the wheel's file.
        folder: the environment's folder, which is made.
        trains: whether it has the packages of the extra `train`.
    """
    site = Path(pytest.__file__).parent.parent
    own = folder / "lib" / site.parent.name / "site-packages"
    own.mkdir(parents=True)
    for name in _needed("layersweep", "train" if trains else "") - {"layersweep"}:
        tops = {file.parts[0] for file in metadata.distribution(name).files or ()}
        for top in tops - {"..", "__pycache__"}:
            if not (own / top).exists():  # google/ and mpl_toolkits/ are of several
                (own / top).symlink_to(site / top)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(own)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder / "pyvenv.cfg")
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    return python


def _needed(name: str, extra: str) -> set[str]:
    """The distributions that an installation of this one has, by the metadata of what is installed here."""
    needed, waiting = set(), [(name, extra)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in needed:
            continue
        needed.add((name, extra))
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(requirement.name), each) for each in (requirement.extras or {""})]
    return {name for name, _ in needed}

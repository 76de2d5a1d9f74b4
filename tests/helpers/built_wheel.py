"""The project's wheel, built from a copy of what belongs to it, without a network."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

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


def unpacked(wheel: Path, folder: Path) -> Path:
    """Unpacks a wheel, as an installation does; returns the folder for PYTHONPATH."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder

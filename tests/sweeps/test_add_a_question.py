"""docs/add_a_question.md, followed word for word: two files in a copy of the project, and the commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

PAGE = (ROOT / "docs" / "add_a_question.md").read_text()
FILES = dict(re.findall(r"`((?:search_spaces|sweeps)/\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the page's files."""
    folder = tmp_path_factory.mktemp("project")
    for room in ("layersweep", "search_spaces", "sweeps", "trainables"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in FILES.items():
        (folder / path).write_text(text)
    return folder


def run(project, *command):
    environment = os.environ | {"PYTHONPATH": str(project)}
    return subprocess.run(
        [sys.executable, *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        cwd=project,
        env=environment,
    )


def test_the_page_has_two_files_of_one_name():
    assert [Path(path).parent.name for path in FILES] == ["search_spaces", "sweeps"]
    assert {Path(path).stem for path in FILES} == {"kernel_sizes"}


def test_the_question_asks_for_its_arms(project, fashion_mnist):
    process = run(project, "sweeps/kernel_sizes.py", "--dry-run")
    assert process.returncode == 0, process.stderr
    assert "screening: 16 arms on 1 seed" in process.stdout
    assert "5-5-3-3" in process.stdout


def test_the_question_is_among_all(project, fashion_mnist):
    process = run(project, "sweeps/all.py", "--dry-run")
    assert process.returncode == 0, process.stderr
    assert "Which kernel size does each convolution of the Fashion-MNIST CNN want?" in " ".join(process.stdout.split())


def test_the_question_is_answered(project, fashion_mnist):
    narrow = [argument for k in (1, 2) for argument in ("--set", f"kernel_size_{k}=3")]
    size = ("--images", "400", "--epochs", "1", "--seeds", "1")
    process = run(project, "sweeps/kernel_sizes.py", *narrow, *size)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "3-3-5-5" in process.stdout
    again = run(project, "-m", "layersweep", "study", "kernel_sizes")
    assert again.returncode == 0, again.stderr
    assert "4 trainings at epoch 1 on 1 seed" in again.stdout
    for name in ("kernel_sizes.html", "kernel_sizes.png", "kernel_sizes_effects.png", "kernel_sizes_costs.png"):
        assert (project / "results" / "studies" / name).stat().st_size > 10_000

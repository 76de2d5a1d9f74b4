import subprocess
import sys

import pytest

from layersweep.tuning.common import code_commit
from layersweep.tuning.common.code_commit import SCRIPT_COMMIT, commit_of, git_commit


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A user's repository with a script, which is the program that runs."""
    folder = tmp_path / "experiments"
    folder.mkdir()
    script = folder / "mine.py"
    script.write_text("SWEEP = 1\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.delenv(SCRIPT_COMMIT, raising=False)
    return script


def head(script):
    words = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(words, cwd=script.parent, capture_output=True, text=True, check=True).stdout.strip()


def test_it_is_the_commit_of_the_scripts_folder_not_of_the_installed_packages(repository):
    assert git_commit() == head(repository)
    repository.write_text("SWEEP = 2\n")
    assert git_commit() == f"{head(repository)}-dirty"


def test_a_script_outside_a_repository_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "inside").mkdir()
    assert commit_of(tmp_path / "inside") is None
    assert commit_of(tmp_path / "missing") is None


def test_without_a_script_it_is_that_of_the_present_folder(repository, monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    monkeypatch.chdir(repository.parent)
    assert git_commit() == head(repository)


@pytest.mark.parametrize(("value", "commit"), [("0123abc-dirty", "0123abc-dirty"), ("", None)])
def test_a_script_from_another_machine_brings_its_commit(repository, monkeypatch, value, commit):
    monkeypatch.setenv(code_commit.SCRIPT_COMMIT, value)
    assert git_commit() == commit

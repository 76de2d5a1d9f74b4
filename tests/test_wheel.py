"""What the wheel holds, and that its packages work where there is no clone."""

import os
import subprocess
import zipfile
from pathlib import Path

import built_wheel
import pytest
from places import ROOT

pytest.importorskip("setuptools")

SCRIPT = '''"""Which optimizer is best?"""
import layersweep as ls
from trainables.families.fashion_cnn import train

SWEEP = ls.Sweep(name="mine", question="Which?", train=train, spaces=[{"optimizer": ["adam", "sgd"]}])
if __name__ == "__main__":
    ls.main(SWEEP)
'''


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return built_wheel.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Runs a command in an empty folder, in an environment with the wheel; `trains` says whether with the extra."""
    pythons = {
        trains: built_wheel.installed(built, tmp_path_factory.mktemp("environment") / "e", trains=trains)
        for trains in (True, False)
    }
    empty = tmp_path_factory.mktemp("empty")
    (empty / "mine.py").write_text(SCRIPT)

    def run(*words, trains=True):
        command = [pythons[trains], *words]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)

    return run


def files_of_the_clone():
    paths = [path for name in built_wheel.PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}


def test_it_holds_every_file_of_three_packages_and_no_other_package(built):
    with zipfile.ZipFile(built) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == files_of_the_clone()


def test_its_metadata_offer_what_trains_as_an_extra(built):
    with zipfile.ZipFile(built) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    assert "Provides-Extra: train" in lines
    needed = [line for line in lines if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert not [line for line in needed if any(name in line for name in ("ray", "keras", "tensorflow"))]


def test_a_script_in_an_empty_folder_has_every_flag(installed):
    done = installed("mine.py", "--help")
    assert done.returncode == 0, done.stderr
    assert "Which optimizer is best?" in done.stdout
    assert "--results" in done.stdout


def test_texts_name_commands_of_an_installation(installed):
    done = installed("-c", "from layersweep import cli, project; cli.main(['--help']); print(project.FOLDER)")
    assert "python your_sweep.py" in done.stdout
    assert "sweeps/" not in done.stdout
    assert not Path(done.stdout.splitlines()[-1]).is_relative_to(ROOT)


@pytest.mark.parametrize("words", [("mine.py", "--dry-run"), ("mine.py", "--quick"), ("-m", "layersweep", "doctor")])
def test_without_the_extra_one_line_says_what_to_install(installed, words):
    done = installed(*words, trains=False)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "not installed here: pip install 'layersweep[train]'" in line
    assert "psutil" in line


def test_without_the_extra_a_script_has_its_help(installed):
    assert "--results" in installed("mine.py", "--help", trains=False).stdout

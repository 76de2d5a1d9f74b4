"""The modules beside a user's script, on a machine that sees nothing of the driver's disk; without Ray."""

from pathlib import Path

import made_up
import pytest

from layersweep.tuning.common.script_files import RunningScript, ScriptFiles
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.worker.assignment import Assignment
from layersweep.tuning.worker.file_transfer import DriverFiles
from layersweep.tuning.worker.local_files import NotFetchedError, with_local_script
from trainables.data import cache
from trainables.families.family_code import FamilyCode


class Direct(DriverFiles):
    """The driver's files without Ray and without its actor."""

    def __init__(self, results, script):
        self.mark = results / ".state" / "here-mine-0"
        self.script = self._sealed(script)

    def call(self, function, *arguments, **options):
        return function(*arguments, **options)


@pytest.fixture
def script(tmp_path):
    folder = tmp_path / "driver" / "experiments"
    (folder / "blocks").mkdir(parents=True)
    (folder / "mine.py").write_text("import own_net")
    (folder / "own_net.py").write_text("import blocks.pair")
    (folder / "blocks" / "pair.py").write_text("NUMBER = 1")
    return folder / "mine.py"


@pytest.fixture
def assignment(tmp_path, script, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "cache here"))
    family = FamilyCode(name="mine", pickled=b"", paths=(str(script.parent), "/elsewhere"))
    trial = Trial(
        trial_id="0" * 16, arm=Arm(name="a", config=made_up.Config()), question="comparison", seed=1, epochs=1,
        precision="float32", data=made_up.data(tmp_path),
    )  # fmt: skip
    return Assignment(
        trial=trial, family=family, warm_up=made_up.WARM_UP, log=tmp_path / "log", slots=1, checkpoints=tmp_path,
        checkpoint_every=60.0,
    )  # fmt: skip


@pytest.fixture
def driver(tmp_path, script):
    return Direct(tmp_path / "driver" / "results", RunningScript(folder=script.parent, files=ScriptFiles.of(script)))


def test_a_family_is_imported_from_this_machines_copy(assignment, driver, script, tmp_path):
    first, second = with_local_script(assignment, driver).family.paths
    assert Path(first) == tmp_path / "cache here" / "scripts" / ScriptFiles.of(script).name
    assert second == "/elsewhere"
    assert (Path(first) / "blocks" / "pair.py").read_text() == "NUMBER = 1"
    assert with_local_script(assignment, driver).family.paths[0] == first, "it is copied once"


def test_an_edit_while_the_sweep_runs_reaches_no_slot(assignment, driver, script):
    (script.parent / "blocks" / "pair.py").write_text("NUMBER = 2")
    folder = Path(with_local_script(assignment, driver).family.paths[0])
    assert (folder / "blocks" / "pair.py").read_text() == "NUMBER = 1"


def test_files_that_are_gone_or_damaged_are_an_error_of_the_trial(assignment, driver):
    driver.script.archive.write_bytes(b"half of")
    with pytest.raises(
        NotFetchedError, match=r"the files of the script could not be copied to this machine: .*damaged"
    ):
        with_local_script(assignment, driver)
    driver.script.archive.unlink()
    with pytest.raises(NotFetchedError, match=r"could not be copied to this machine: .*No such file"):
        with_local_script(assignment, driver)


def test_a_sweep_of_the_project_needs_no_copy(assignment, driver):
    driver.script = None
    assert with_local_script(assignment, driver) is assignment

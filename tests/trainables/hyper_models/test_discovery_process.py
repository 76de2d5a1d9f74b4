import json
import threading

import pytest

from trainables.data.cache import ENVIRONMENT
from trainables.errors import ConfigError
from trainables.hyper_models import discovery_process
from trainables.hyper_models.discovery_process import discovered
from trainables.hyper_models.space import Hyperparameter, HyperSpace

WIDTHS = HyperSpace(hyperparameters=(Hyperparameter(name="n", key="n", kind="int", default=1, low=1, high=2),))


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """The answers that the process gives, one after another; it is not started."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    waiting = []

    def run(command, **options):
        code, text = waiting.pop(0)
        return discovery_process.subprocess.CompletedProcess(command, code, text.encode(), text.encode())

    monkeypatch.setattr(discovery_process.subprocess, "run", run)
    return waiting


def build(hp):
    return hp.Int("n", 1, 2)


def test_a_space_is_remembered_for_the_same_code(answers, tmp_path):
    answers.append((0, f"a print of the user\n{json.dumps(WIDTHS.as_json)}\n"))
    assert discovered(build) == WIDTHS
    assert discovered(build) == WIDTHS
    answers.append((0, json.dumps(HyperSpace(hyperparameters=()).as_json)))
    assert discovered(lambda hp: hp.Int("n", 1, 3)) == HyperSpace(hyperparameters=())
    assert len([*(tmp_path / "hypermodels").iterdir()]) == 2


def test_a_damaged_memory_is_made_anew(answers, tmp_path):
    answers.extend([(0, json.dumps(WIDTHS.as_json))] * 2)
    discovered(build)
    (file,) = (tmp_path / "hypermodels").iterdir()
    file.write_text(file.read_text()[:20])
    assert discovered(build) == WIDTHS
    assert not answers


def test_a_problem_is_said_and_not_remembered(answers):
    answers.extend([(0, json.dumps({"problem": "it changes"})), (1, "Traceback\nMemoryError: full\n")])
    with pytest.raises(ConfigError, match=r"^it changes$"):
        discovered(build)
    with pytest.raises(ConfigError, match=r"looks for hyperparameters failed: MemoryError: full"):
        discovered(build)


def test_what_cannot_be_sent_is_refused_with_its_name(answers):
    lock = threading.Lock()

    def locked(hp):
        with lock:
            return hp.Int("n", 1, 2)

    with pytest.raises(ConfigError, match=r"locked \(.*\) cannot be sent: locked uses .* 'lock'"):
        discovered(locked)


def one_width(hp):
    import keras

    hp.Int("n", 1, 2)
    return keras.Sequential([keras.layers.Flatten()])


def test_the_process_answers_with_the_space_of_the_hypermodel(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    assert [each.key for each in discovered(one_width).hyperparameters] == ["n"]

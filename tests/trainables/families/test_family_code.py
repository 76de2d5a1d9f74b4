"""A family of a script in another process: what arrives, what is refused, and what stays equal."""

import json
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass

import made_up
import pytest
from places import ROOT

from trainables.config import between
from trainables.errors import ConfigError
from trainables.families import fashion_cnn
from trainables.families.family import trains
from trainables.families.family_code import FamilyCode, check_not_loading
from trainables.keys import Keys
from trainables.source_code import source_fingerprint, user_files

SCRIPT = '''
"""A script with a family."""
from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass
from typing import ClassVar

import beside
import layersweep as ls
from trainables.families.family_code import FamilyCode
from trainables.source_code import source_fingerprint, user_files

Width = int
FACTOR = int(os.environ.get("FACTOR", "3"))


@dataclass(frozen=True, kw_only=True)
class Config(ls.Keys):
    minimum_size: ClassVar[int] = 3
    width: Width = ls.between(8, 1, 512, "filters")


def helper(width):
    import late
    from parts.pair import pair

    return late.twice(width) * FACTOR if pair else None


def build(c: Config, image_shape, classes):
    return beside.plus_one(helper(c.width))


if __name__ == "__main__":
    code = FamilyCode.of(ls.trains(build), "mine")
    files = [path.name for path in user_files(code)]
    sys.stdout.buffer.write(pickle.dumps((code, source_fingerprint(code), files)))
'''

LOAD = """
import json, pickle, sys
code = pickle.load(sys.stdin.buffer)
before = sorted({"beside", "late", "keras"} & sys.modules.keys())
from trainables import config as domains
config = domains.make(code.Config, {"width": 5})
answer = code.build(config, (1, 1, 1), 2)
same = pickle.loads(pickle.dumps(code)).build is code.build and type(config) is code.Config
print(json.dumps([before, answer, domains.stated(config)["width"], code.Config.minimum_size, same]))
"""


@pytest.fixture
def script(tmp_path):
    folder = tmp_path / "somewhere"
    folder.mkdir()
    (folder / "mine.py").write_text(SCRIPT)
    (folder / "beside.py").write_text("def plus_one(number):\n    return number + 1\n")
    (folder / "late.py").write_text("def twice(number):\n    return 2 * number\n")
    (folder / "parts").mkdir()  # a package without __init__.py
    (folder / "parts" / "pair.py").write_text("from .other import pair\n")
    (folder / "parts" / "other.py").write_text("pair = 2\n")
    (folder / "unused.py").write_text("")
    return folder / "mine.py"


def sealed(script, **variables):
    """The family of a script, its fingerprint and its files."""
    command = [sys.executable, str(script)]
    everything = environment() | variables
    return pickle.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=everything).stdout)


def environment():
    return {"PYTHONPATH": str(ROOT), "PATH": ""}


def test_a_family_of_a_script_arrives_in_another_process(script):
    """With a module beside it, one that a function imports, a global, and annotations that are text."""
    code, _, files = sealed(script)
    assert (code.name, code.file, code.has_build, code.is_ours) == ("mine", str(script), True, False)
    assert str(script.parent) == code.paths[0]
    assert {*files} - {"sitecustomize.py"} == {"beside.py", "late.py", "mine.py", "other.py", "pair.py"}
    out = subprocess.run(
        [sys.executable, "-c", LOAD], input=pickle.dumps(code), stdout=subprocess.PIPE, check=True, env=environment()
    ).stdout
    before, answer, width, minimum_size, same = json.loads(out)
    assert before == []  # who only passes it on imports nothing of its user's
    assert (answer, width, minimum_size, same) == (31, 5, 3, True)


@pytest.mark.parametrize("name", ["mine.py", "beside.py", "late.py", "parts/other.py"])
def test_a_change_of_any_file_is_another_source(script, name):
    """Also of a module that only a function imports."""
    first = sealed(script)[1]
    assert sealed(script)[1] == first
    file = script.parent / name
    file.write_text(file.read_text() + "\n# a comment\n")
    second = sealed(script)[1]
    assert (second[:16] == first[:16]) == (name != "mine.py")
    assert second != first


def test_a_value_from_outside_is_part_of_the_source(script):
    """The files are the same: an option of the script's own, or the environment, changes the network."""
    first, second = sealed(script)[1], sealed(script, FACTOR="5")[1]
    assert second != first
    assert second[:16] == first[:16]


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    width: int = between(4, 1, 512, "units")


lock = threading.Lock()
large = bytes(17 << 20)


def deep(_config):
    return lock


def of_global(config: Config, image_shape, classes):
    with lock:
        return


def of_helper(config: Config, image_shape, classes):
    return deep(config)


def of_default(config: Config, image_shape, classes, guard=lock):
    return None


def of_closure(numbers):
    def build(config: Config, image_shape, classes):
        return next(numbers)

    return build


def of_large(config: Config, image_shape, classes):
    return large


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (of_global, r"of_global \(.*, line \d+\) cannot be sent: of_global uses the global variable 'lock' \(lock\)"),
        (of_helper, r"of_helper \(.*\) cannot be sent: deep uses the global variable 'lock' \(lock\); make or open it"),
        (of_default, r"of_default uses the default of the parameter 'guard' \(lock\)"),
        (of_closure(number for number in range(3)), r"the variable of an outer function 'numbers' \(generator\)"),
        (of_large, r"of_large \(.*\) is too large to be sent: the global variable 'large' \(bytes\) takes 17 MiB"),
    ],
)
def test_what_cannot_be_sent_is_named(build, text, monkeypatch):
    module = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "script_of_a_test", module)
    for function in (build, deep, Config):
        monkeypatch.setattr(function, "__module__", "script_of_a_test")
    with pytest.raises(ConfigError, match=text):
        FamilyCode.of(trains(build), "mine")


def test_families_of_this_project_travel_by_name():
    code = FamilyCode.named("fashion_cnn")
    assert (code.train, code.Config, code.build) == (fashion_cnn.train, fashion_cnn.Config, fashion_cnn.build)
    assert (code.name, code.is_ours, len(code.pickled) < 1000) == ("fashion_cnn", True, True)
    with pytest.raises(ConfigError, match="did you mean 'fashion_cnn'"):
        FamilyCode.named("fashon_cnn")


def test_a_training_without_a_build_has_neither_build_nor_source():
    assert source_fingerprint(made_up.CODE) is None
    assert user_files(made_up.CODE)
    with pytest.raises(ConfigError, match="family 'made_up' has no build"):
        _ = made_up.CODE.build


def test_a_module_that_runs_a_sweep_when_it_is_imported_is_refused(script):
    (script.parent / "late.py").write_text("import layersweep as ls\n\ndef twice(number):\n    return 2 * number\n")
    (script.parent / "beside.py").write_text(
        "import sys\nimport layersweep as ls\n\ndef plus_one(number):\n    return number + 1\n\n"
        "if not sys.argv[0].endswith('mine.py'):\n"
        "    ls.main(ls.Sweep(name='s', train='fashion_cnn', spaces=[{}]), [])\n"
    )
    code, *_ = sealed(script)
    process = subprocess.run(
        [sys.executable, "-c", LOAD], input=pickle.dumps(code), capture_output=True, check=False, env=environment()
    )
    assert b"a module runs a sweep when it is imported; write `if __name__ == '__main__':`" in process.stderr
    check_not_loading()

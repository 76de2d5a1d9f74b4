"""A user's script outside the project on three hosts, from a laptop that has the wheel alone, without what trains.

The family is in a module beside the script, and its `build` imports another one when it is called. No other machine has
these files. `pytest -s` prints what the commands said.
"""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import built_wheel
import pytest
from ray_cluster import PATIENCE_SECONDS

from layersweep.records.read import read

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

FILES = {
    "mine.py": '''"""Does a wide or a narrow network of mine do better?"""

import layersweep as ls
from net import build

SWEEP = ls.Sweep(
    name="mine", question="Wide or narrow?", train=ls.trains(build), spaces=[{"width": [4, 16]}], epochs=2, seeds=3
)
if __name__ == "__main__":
    ls.main(SWEEP)
''',
    "net.py": """from dataclasses import dataclass

import layersweep as ls


@dataclass(frozen=True, kw_only=True)
class Config(ls.Keys):
    width: int = ls.between(8, 1, 512, "filters of the convolutions")


def build(config: Config, image_shape, classes):
    import keras

    from blocks.pair import pair

    image, x = ls.inputs(config, image_shape)
    x = keras.layers.GlobalAveragePooling2D()(pair(x, config.width))
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax", dtype="float32")(x))
""",
    "blocks/__init__.py": "",
    "blocks/pair.py": """import keras


def pair(x, width):
    for _ in range(2):
        x = keras.layers.Conv2D(width, 3, strides=2, activation="relu")(x)
    return x
""",
}
FLAGS = ("--images", "500", "--results", "own", "--scheduler", "none")


@pytest.fixture(scope="module")
def own_script(joined, fashion_mnist_files, tmp_path_factory):
    """The laptop's command, run twice: the second time after an edit of a module."""
    hosts = joined.hosts
    there = hosts.root("h1") / ".keras" / "datasets" / "fashion-mnist"
    shutil.copytree(fashion_mnist_files, there, dirs_exist_ok=True)
    wheel = built_wheel.build(tmp_path_factory.mktemp("wheel"))
    python = built_wheel.installed(wheel, joined.environment / "client", trains=False)
    for path, text in FILES.items():
        file = hosts.root("laptop") / "experiments" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def command():
        words = [str(python), "/root/experiments/mine.py", "--cluster", joined.file, *FLAGS]
        done = hosts.run("laptop", words, env={"PATH": os.environ["PATH"], "COLUMNS": "200"}, timeout=PATIENCE_SECONDS)
        print(f"\n== {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    first = command()
    module = hosts.root("laptop") / "experiments" / "blocks" / "pair.py"
    module.write_text(FILES["blocks/pair.py"].replace("range(2)", "range(1)"))
    return SimpleNamespace(first=first, second=command(), hosts=hosts, results=hosts.root("laptop") / "own")


def test_it_ends_well_with_the_study_on_the_laptop(own_script):
    assert own_script.first.returncode == 0
    assert "6/6 trials · 6 completed" in own_script.first.stdout
    assert (own_script.results / "studies" / "mine.html").is_file()


def test_trials_ran_on_all_hosts_which_have_the_files_by_now(own_script):
    trials = read(own_script.results, "trials")
    assert set(trials["outcome"]) == {"completed"}
    assert set(trials["host"]) == {"h1", "h2", "h3"}
    for host in ("h2", "h3"):
        caches = own_script.hosts.root(host) / ".cache" / "layersweep" / "scripts"
        assert [*caches.glob("mine-*/blocks/pair.py")], host
    assert not [*own_script.hosts.root("h2").glob("layersweep/.scripts")], "only the head's project folder has it"


def test_an_edited_module_is_another_job_that_trains_anew(own_script):
    assert own_script.second.returncode == 0
    assert "6/6 trials" in own_script.second.stdout
    scripts = own_script.hosts.root("h1") / "layersweep" / ".scripts"
    assert len([*scripts.glob("mine-*/mine.py")]) == 2
    assert read(own_script.results, "trials").height == 12


def test_records_name_the_script_and_no_commit_of_the_project(own_script):
    runs = read(own_script.results, "runs")
    assert runs["git_commit"].null_count() == runs.height
    assert Path(runs["command"][0].split()[0]).name == "mine.py"

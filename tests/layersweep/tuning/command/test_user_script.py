"""The script of docs/your_script.md, as it stands there, in a folder of its own: real Ray and Keras."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from places import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LAYER = '''

@keras.saving.register_keras_serializable("mine")
class Shift(layers.Layer):
    """Adds a number that a module beside the script knows."""

    def call(self, x):
        return x + beside.SHIFT
'''


@pytest.fixture
def folder(tmp_path):
    text = (ROOT / "docs" / "your_script.md").read_text()
    script = re.search(r"`mine.py`:\n\n```python\n(.*?)```", text, re.DOTALL).group(1)
    script = script.replace("import layersweep as ls\n", "import beside\nimport layersweep as ls\n" + LAYER)
    script = script.replace("(layers.Flatten()(x)))", "(Shift()(layers.Flatten()(x))))")
    assert "Shift()" in script
    (tmp_path / "mine.py").write_text("from __future__ import annotations\n" + script.partition('"""\n')[2])
    (tmp_path / "beside.py").write_text("import keras\n\nSHIFT = 0.0\n")
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    images = np.where(np.arange(12) // 3 == labels[:, None, None], 200, 20) + rng.integers(0, 30, (400, 12, 12))
    np.savez(tmp_path / "images.npz", x_train=images.astype(np.uint8), y_train=labels)
    return tmp_path


def command(*flags):
    always = ["--dataset", "npz", "--data", "images.npz", "--slots", "1", "--no-watch"]
    return [sys.executable, "mine.py", *always, *flags]


def run(folder, *flags):
    process = subprocess.run(
        command(*flags), cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    return process.returncode, process.stdout + process.stderr


def environment(folder):
    return {**os.environ, "PYTHONPATH": str(ROOT), "LAYERSWEEP_CACHE": str(folder / "cache"), "RAY_ADDRESS": "local"}


def epochs_of(folder):
    """The recorded epochs, in their order."""
    files = folder / "results" / "epochs" / "*" / "*.parquet"
    return pl.read_parquet(files).select("trial_id", "attempt", "epoch", "sequence", "seconds_build").sort("sequence")


def test_a_script_trains_goes_on_after_a_kill_and_trains_a_changed_network_anew(folder):
    """Its second training reuses the traced model of its first; an edit of a layer's code is another network."""
    flags = ("--epochs", "30", "--checkpoint-every", "0.1")
    with subprocess.Popen(command(*flags), cwd=folder, env=environment(folder), stdout=subprocess.PIPE) as process:
        while len(list((folder / "results").glob("epochs/mine/*.parquet"))) < 3:
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    before = epochs_of(folder)
    assert 0 < before.height < 120
    code, text = run(folder, *flags)
    assert code == 0, text
    after = epochs_of(folder)
    assert after.head(before.height).equals(before)
    assert after.unique(["trial_id", "epoch"]).height == 120
    assert after["attempt"].max() == 0  # it went on from its checkpoint, not from epoch 1
    builds = after.filter(epoch=1)["seconds_build"]
    assert builds.max() > builds.min() == 0  # wherever the kill came, two seeds of an arm share a traced model
    (folder / "beside.py").write_text("import keras\n\nSHIFT = 0.5\n")
    code, text = run(folder, *flags, "--dry-run")
    assert code == 0, text
    assert "has changed since it was recorded (other settings of its layers): it is trained anew" in text
    assert "0 recorded already" in text

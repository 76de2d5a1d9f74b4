"""All of Ray on the head is killed while a sweep runs; `ray up` again and the same command go on.

It takes two minutes and more. `pytest -s` prints how long each step took.
"""

import time

import pytest
from ray_cluster import PATIENCE_SECONDS, wait_until
from swept import Swept

from layersweep.exit_codes import FAILED, OK
from layersweep.records.read import read

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

TRIALS, EPOCHS = 4, 10
SWEEP = (
    "--set", "optimizer=rmsprop,nadam", "--seeds", "2", "--images", "500", "--epochs", str(EPOCHS),
    "--scheduler", "none", "--checkpoint-every", "5s",
)  # fmt: skip


@pytest.fixture(scope="module")
def gone_on(swept):
    """The sweep whose head was lost, to its end."""
    cluster, found = swept.cluster, Swept(swept.cluster, SWEEP)
    found.before = found.epochs().height
    laptop = found.command()
    found.more(6, "six epochs, before the head is lost")
    began = time.monotonic()
    found.kill("h1", "ray::|packages/ray/|ray-dashboard")
    driver = wait_until(
        lambda: not any("sweeps/optimizers.py" in line for line in cluster.hosts.processes(1)), seconds=PATIENCE_SECONDS
    )
    cluster.seconds["the head killed, the driver has ended"] = driver
    assert cluster.up("ray up, the head killed").returncode == 0
    found.codes = [laptop.wait(PATIENCE_SECONDS)]
    again = found.command()
    found.more(1, "an epoch from the same command, the head killed")
    cluster.seconds["an epoch from the head's end"] = time.monotonic() - began
    found.codes.append(again.wait(PATIENCE_SECONDS))
    print(found.said.read_text())
    return found


def test_the_laptop_says_so_and_the_same_command_ends_well(gone_on):
    assert gone_on.codes == [FAILED, OK]
    assert "because Ray was restarted. Every recorded epoch is kept" in gone_on.said.read_text()


def test_each_epoch_is_recorded_once(gone_on):
    epochs = gone_on.epochs()
    assert epochs.height == epochs.unique().height == gone_on.before + TRIALS * EPOCHS
    assert set(read(gone_on.results, "epochs")["attempt"]) == {0}


def test_no_slot_of_before_stays(gone_on):
    for i in (1, 2, 3):
        lines = gone_on.cluster.hosts.processes(i)
        assert not [
            line
            for line in lines
            if "trainables.worker.training_server" in line or "trainables.worker.fork_server" in line
        ]

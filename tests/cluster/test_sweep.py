"""A real sweep on three hosts, from a laptop closed meanwhile: a training, a raylet, a link and the driver are lost.

Nothing is shared between the hosts: the data set, checkpoints and logs travel through Ray. `pytest -s` prints how long
it took until work went on.
"""

import pytest
from swept import EPOCHS, TRIALS

from layersweep.records.read import read

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def test_it_ends_well_on_the_laptop_with_the_study(swept):
    assert swept.code == 0
    said = swept.said.read_text()
    assert said.count("submitted layersweep-optimizers-") == 2  # the second after the driver was killed
    assert f"on the cluster layersweep: root@{swept.cluster.hosts.outside}, records in /root/layersweep/results" in said
    here = swept.cluster.hosts.root("laptop") / "results"
    assert (here / "studies" / "optimizers.html").is_file()
    assert read(here, "epochs").height == TRIALS * EPOCHS


def test_each_epoch_is_recorded_once_whatever_was_lost(swept):
    epochs = swept.epochs()
    assert epochs.height == epochs.unique().height == TRIALS * EPOCHS
    assert set(read(swept.results, "epochs")["attempt"]) == {0}


def test_a_lost_process_and_a_lost_slot_are_rows_with_their_reason(swept):
    failed = read(swept.results, "trials").filter(outcome="failed")
    assert {"ProcessKilled", "SlotDied"} <= set(failed["error_type"])


def test_trials_ran_on_all_hosts(swept):
    assert swept.hosts() == {"h1", "h2", "h3"}


def test_the_doctor_names_the_host_whose_cable_is_cut(swept):
    assert swept.doctor.returncode == 1
    assert "not joined: not reached" in swept.doctor.stdout
    assert "port 22" in swept.doctor.stdout


def test_nothing_stays_on_hosts_whose_slots_went_on(swept):
    """What a killed slot has left goes when the next one starts on that host."""
    for host in swept.last_hosts() - {"h1"}:
        assert not list(swept.cluster.hosts.tmp(host).glob("layersweep-slot-*"))
    assert not list((swept.results / ".state" / "checkpoints").iterdir())

"""A sweep on several nodes of Ray, which come and go while it runs; all on this machine, so they share its disk."""

import json

import killable
import polars as pl
import pytest
from several_nodes import Nodes
from undisturbed import assert_as_if_undisturbed

from layersweep.records.read import read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EPOCHS = 40
QUALITIES, SEEDS = (0.3, 0.6), (1, 2, 3)
SWEEP = (
    "--scheduler", "none", "--search", "grid", "--checkpoint-every", "2s", "--epochs", str(EPOCHS),
    "--seeds", "3", "--set", "quality=0.3,0.6", "--set", "seconds=0.4", "--retries", "0",
)  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory, fashion_mnist):
    """Three nodes; one is lost with its trial; another joins; a fourth slot is asked for, and never there."""
    folder = tmp_path_factory.mktemp("nodes")
    results = folder / "results"
    with Nodes(folder, 3) as nodes:
        running = killable.Running(results, *SWEEP, slots=4, environment=nodes.joining)
        running.until(lambda: at_work(results) == 3)
        running.more(12)
        nodes.do("kill 1")
        running.until(lambda: "has left" in running.said.read_text())
        nodes.do("add")
        running.until(lambda: "has joined" in running.said.read_text())
        said = running.wait(expected=0)
    return results, said, nodes.address


def at_work(results):
    return read(results, "epochs")["trial_id"].n_unique()


def test_it_says_where_it_runs_and_what_changes(swept):
    _, said, address = swept
    nodes = [line for line in said.splitlines() if "node" in line and not line.startswith("watch")]
    assert nodes[0].startswith(f"on the cluster at {address}: 3 nodes (")
    assert nodes[0].endswith(", 3 slots of one thread")
    assert "time on 3 slots: unknown until the first trial is recorded" in said, "4 are asked for, and 2 are here"
    assert any(" has left: 2 nodes (" in line and line.endswith(", 2 slots") for line in nodes)
    assert any(" has joined: 3 nodes (" in line and line.endswith(", 3 slots") for line in nodes)


def test_the_result_is_that_of_an_undisturbed_sweep(swept):
    results, _, _ = swept
    assert_as_if_undisturbed(results, QUALITIES, SEEDS, EPOCHS)


def test_a_trial_whose_node_was_lost_is_a_row_and_is_tried_again_whatever_the_retries(swept):
    results, said, _ = swept
    lost = read(results, "trials").filter(pl.col("outcome") == "failed")
    assert lost["error_type"].to_list() == ["SlotDied"] * lost.height
    assert 1 <= lost.height <= 2
    assert said.count("tried again ") == lost.height


def test_the_run_names_every_node_that_was_there(swept):
    results, _, _ = swept
    end = read(results, "runs").filter(pl.col("event") == "end").to_dicts()[0]
    assert len(json.loads(end["hosts_json"])) == 3  # on one machine the node that joins takes a lost one's number


def test_nothing_of_the_slots_stays_at_the_results(swept):
    results, _, _ = swept
    assert not list((results / ".state").glob("here-*"))

"""The nodes of a cluster and their slots, without Ray."""

from layersweep.tuning.runtime.cluster_nodes import Nodes, slots_by_node


class Cluster:
    """Nodes that come and go, and a clock that stands; without slots the head does not answer."""

    def __init__(self, max_slots=None, **slots):
        self.slots, self.now = slots, 100.0
        self.nodes = Nodes(self.list_slots, max_slots=max_slots, clock=lambda: self.now)

    def list_slots(self):
        if not self.slots:
            raise OSError("no answer")
        return self.slots

    def after(self, seconds, **slots):
        self.now += seconds
        self.slots = slots
        return self.nodes.slots()


def test_slots_follow_the_nodes():
    cluster = Cluster(h1=1, h2=2)
    assert cluster.nodes.slots() == 3
    assert cluster.after(2, h1=1, h2=2, h3=1) == 4
    assert cluster.after(2, h1=1) == 1
    assert cluster.nodes.all_names == ("h1", "h2", "h3")
    assert cluster.nodes.take_news() == [
        "h3 has joined: 3 nodes (h1 1, h2 2, h3 1), 4 slots",
        "h2 has left, h3 has left: 1 node (h1 1), 1 slot",
    ]
    assert cluster.nodes.take_news() == []


def test_nodes_are_not_looked_at_all_the_time():
    cluster = Cluster(h1=1)
    assert cluster.after(1.9, h1=1, h2=1) == 1
    assert cluster.after(0.1, h1=1, h2=1) == 2


def test_a_head_that_does_not_answer_changes_nothing():
    cluster = Cluster(h1=1, h2=1)
    assert cluster.after(10) == 2
    assert cluster.nodes.slot_seconds() == 20
    assert cluster.nodes.take_news() == []


def test_no_more_slots_are_taken_than_were_asked_for():
    cluster = Cluster(max_slots=2, h1=1)
    assert cluster.nodes.slots() == 1
    assert cluster.after(2, h1=1, h2=4) == 2
    assert cluster.nodes.summary() == "2 nodes (h1 1, h2 4), 2 slots"


def test_seconds_are_those_of_the_slots_that_were_there():
    cluster = Cluster(h1=1)
    cluster.after(10, h1=1, h2=1)
    cluster.after(10, h1=1, h2=1)
    cluster.now += 5
    assert cluster.nodes.slot_seconds() == 10 + 2 * 10 + 2 * 5


def test_nodes_of_one_name_are_told_apart_and_dead_ones_left_out():
    nodes = (("a", "h", 1, True), ("b", "h", 2, True), ("c", "g", 1, False), ("d", "g", 3, True))
    ray_nodes = [
        {"NodeID": name, "NodeManagerHostname": host, "Alive": alive, "Resources": {"CPU": float(cpus)}}
        for name, host, cpus, alive in nodes
    ]
    assert slots_by_node(ray_nodes) == {"h": 1, "h#2": 2, "g": 3}

"""What tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from several_nodes import Nodes

HELPERS = Path(__file__).parent / "helpers"

# Children and Ray's workers must find the made-up trainings as well.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HELPERS), os.environ.get("PYTHONPATH")]))


os.environ["RAY_ADDRESS"] = "local"  # whatever cluster runs on this machine


LONGEST = (
    "test_faults.py", "test_loop.py", "test_first_phase.py", "test_autokeras_sampler.py", "test_autokeras.py",
    "test_nothing_lost.py", "test_sweep_command.py", "test_transfer.py", "test_families.py", "test_nodes.py",
    "test_architectures.py", "test_optimizers.py", "test_applications.py", "test_add_a_question.py",
    "test_timed_searches.py", "test_failed_trials.py", "test_fork_server.py", "test_training_process.py",
)  # fmt: skip
"""The files that take longest: they begin first, so that at the end no worker waits for another's."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(scope="session")
def joining(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment that joins one Ray of four slots, begun once: half the work of a Ray of its own."""
    with Nodes(tmp_path_factory.mktemp("ray"), 1, slots=4) as nodes:
        yield nodes.joining


@pytest.fixture(scope="session")
def fashion_mnist():
    """1,000 real training images, 200 to validate and 200 to test; found, or fetched once as a user's would be."""
    from trainables.data.dataset import prepare

    return prepare("fashion_mnist", images=1000)


@pytest.fixture(scope="session")
def fashion_mnist_files(fashion_mnist):
    """The folder of the real files, which `fashion_mnist` has found or fetched."""
    from trainables.data.datasets.fashion_mnist import find

    return find()

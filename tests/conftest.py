"""What tests share."""

import os
from pathlib import Path

import pytest

HELPERS = Path(__file__).parent / "helpers"

# Children and Ray's workers must find the made-up trainings as well.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HELPERS), os.environ.get("PYTHONPATH")]))


os.environ["RAY_ADDRESS"] = "local"  # whatever cluster runs on this machine


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

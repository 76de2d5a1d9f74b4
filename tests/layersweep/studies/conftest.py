"""Fixtures of the studies' tests."""

from pathlib import Path

import pytest
from recorded_sweep import Sweep


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """An empty sweep of 3 epochs."""
    return Sweep(tmp_path / "results")

"""What the study makes of a made-up sweep."""

from typing import Any

from recorded_sweep import Sweep

from layersweep.studies.recorded_comparison import load
from layersweep.studies.statistics.arm_comparison import Comparison


def compared(sweep: Sweep) -> Comparison:
    """Writes the sweep, and compares its arms."""
    return load(sweep.write(), sweep.name)[0]


def arm(comparison: Comparison, name: str) -> dict[str, Any]:
    """The arm's row."""
    return next(row for row in comparison.arms.to_dicts() if row["arm"] == name)

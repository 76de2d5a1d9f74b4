"""The simulation of effects, in small: wide bounds around what 10,000 sweeps a cell give."""

import numpy as np
import pytest

from benchmarks.answers_effects import EffectsCell, effects_cells, simulate_effects


def test_seeds_that_prefer_choices_need_several_seeds() -> None:
    cells = effects_cells()
    assert len(cells) == 14
    assert all(cell.seeds > 1 for cell in cells if cell.noise == "seed x choice")


@pytest.mark.parametrize("noise", ["normal", "5 % failures", "one choice 4x", "seed x choice"])
def test_false_effects_and_intervals_stay_within_wide_bounds(noise: str) -> None:
    cell = EffectsCell(noise=noise, values=2, keys=4, seeds=3)
    row = simulate_effects(cell, sweeps=300, rng=np.random.default_rng(1))
    assert row.sweeps == 300
    assert row.false_effects[0] <= 0.09
    assert 0.91 <= row.coverage[0] <= 0.985

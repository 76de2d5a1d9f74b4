"""Twelve cells of the simulation of answers, with wide bounds; the whole table is in docs/statistics.md."""

import numpy as np
import pytest

from benchmarks.answers import Options, World, decided, later_looks, rates, survivors, tables

CELLS = [
    ("all equal", "normal", 4, 3), ("all equal", "normal", 16, 3), ("all equal", "skewed", 8, 5),
    ("all equal", "one arm 5x", 8, 3), ("all equal", "seed effect 2x", 4, 3), ("all equal", "cells missing", 8, 5),
    ("two on top", "normal", 8, 3), ("two on top", "top arm 5x", 8, 5), ("two on top", "seeds at chance", 4, 5),
    ("one on top by the margin", "normal", 8, 10), ("one on top", "normal", 8, 5), ("one on top", "normal", 8, 10),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "noise", "arms", "seeds"), CELLS)
def test_errors_and_intervals_of_a_cell(shape: str, noise: str, arms: int, seeds: int) -> None:
    rng = np.random.default_rng(1)
    cell = rates(World(shape=shape, noise=noise), arms=arms, seeds=seeds, sweeps=1000, rng=rng)
    allowed = 0.14 if noise.endswith("5x") else 0.085
    assert max(cell["false best"], cell["false worse"], cell["false as good"]) < allowed
    assert cell["differences"] > 1 - allowed
    assert cell["arm"] > 0.9
    assert cell["leader"] > 0.88
    if shape == "one on top":
        assert cell["best found"] > (0.45 if seeds == 5 else 0.9)


def test_the_seeds_that_are_asked_for_decide() -> None:
    assert 0.7 < decided(arms=4, difference=1.5, sweeps=300, rng=np.random.default_rng(2))["decided"] < 0.97


def test_adding_seeds_one_by_one_does_not_find_what_is_not_there() -> None:
    errors = later_looks(arms=8, last=10, sweeps=500, rng=np.random.default_rng(3))
    assert errors["false best"] < 0.06
    assert errors["false worse"] < 0.1


def test_survivors_of_a_screening_are_judged_on_fresh_seeds() -> None:
    cell = survivors(arms=16, seeds=3, sweeps=500, rng=np.random.default_rng(4))
    assert max(cell["false best"], cell["false worse"]) < 0.08
    assert min(cell["arm"], cell["leader"]) > 0.9


def test_a_table_has_a_row_for_each_world_and_number_of_arms() -> None:
    lines = list(tables(Options(sweeps=20, seeds=(2, 3), arms=(2,), noises=("normal",))))
    assert lines[0] == "\n### false worse\n"
    assert sum(line.startswith("| all equal | normal | 2 |") for line in lines) == 9

"""How often the effects of a grid are wrong, by simulation with the study's own functions.

The unit is the standard deviation of one training's noise; no key has an effect. `answers.py` prints the rows.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import stdtrit

from layersweep.studies.statistics.effects import coded_column, fit_coded, level_errors, term_tests
from layersweep.studies.statistics.inference.arrays import Array
from layersweep.studies.statistics.inference.multiplicity import ALPHA

NOISES: Final = ("normal", "5 % failures", "one choice 4x", "seed x choice")
GRIDS: Final = ((2, 4), (3, 4))
"""Numbers of values and of keys."""
SEEDS: Final = (1, 3)
_FAILURE_RATE: Final = 0.05
_NOISY: Final = 4.0
_SEED_CHOICE_VARIANCE: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class EffectsCell:
    """A world: a full grid of `keys` keys with `values` values each, on `seeds` seeds."""

    noise: str
    values: int
    keys: int
    seeds: int


@dataclass(frozen=True, kw_only=True)
class EffectsRow:
    """What was counted in a cell; each share has its standard error.

    Attributes:
        cell: the world.
        sweeps: the number of simulated sweeps that were fitted.
        false_effects: the share with any effect or interaction that is shown.
        coverage: of the intervals of all values.
        worst_coverage: of the value that is covered least often.
    """

    cell: EffectsCell
    sweeps: int
    false_effects: tuple[float, float]
    coverage: tuple[float, float]
    worst_coverage: tuple[float, float]


def effects_cells() -> list[EffectsCell]:
    """All cells; seeds that prefer choices are seen on several seeds only."""
    cells = itertools.product(NOISES, GRIDS, SEEDS)
    return [
        EffectsCell(noise=noise, values=values, keys=keys, seeds=seeds)
        for noise, (values, keys), seeds in cells
        if noise != "seed x choice" or seeds > 1
    ]


def simulate_effects(cell: EffectsCell, *, sweeps: int, rng: np.random.Generator) -> EffectsRow:
    """Simulates one cell."""
    *choices, seed = np.array(list(itertools.product(*[range(cell.values)] * cell.keys, range(cell.seeds)))).T
    coded = {f"key {i}": coded_column(list(map(str, column))) for i, column in enumerate(choices)}
    seeds = coded_column(list(map(str, seed)))
    is_false, covers = [], []
    for _ in range(sweeps):
        values = _values(cell, choices, seed, rng)
        is_included = (
            rng.random(len(values)) >= _FAILURE_RATE
            if cell.noise == "5 % failures"
            else np.ones(len(values), dtype=np.bool_)
        )
        result = _one(
            {name: block[is_included] for name, block in coded.items()}, seeds[is_included], values[is_included]
        )
        if result is not None:
            is_false.append(result[0])
            covers.append(result[1])
    coverage = np.array(covers, dtype=float)
    worst = coverage.mean(0).argmin()
    return EffectsRow(
        cell=cell,
        sweeps=len(is_false),
        false_effects=_share(np.array(is_false, dtype=float)),
        coverage=_share(coverage.mean(1)),
        worst_coverage=_share(coverage[:, worst]),
    )


def _values(cell: EffectsCell, choices: list[Array], seed: Array, rng: np.random.Generator) -> Array:
    values = rng.standard_normal(len(seed))
    if cell.noise == "one choice 4x":
        values = np.where(choices[0] == 0, _NOISY * values, values)
    if cell.noise == "seed x choice":
        for choice in choices:
            shifts = rng.normal(0, np.sqrt(_SEED_CHOICE_VARIANCE), (cell.values, cell.seeds))
            values = values + shifts[choice, seed]
    return values


def _one(coded: Mapping[str, Array], seeds: Array, values: Array) -> tuple[bool, list[bool]] | None:
    """Whether any effect is shown, and whether each value's interval covers 0; None if nothing can be fitted."""
    model = fit_coded(coded, seeds, values)
    if model is None:
        return None
    tests, _ = term_tests(model, {})
    covers: list[bool] = []
    for name, block in coded.items():
        levels = block.shape[1] + 1
        weights = np.vstack([np.eye(levels - 1), -np.ones((1, levels - 1))])
        means, errors, df = level_errors(model, (name,), weights)
        covers += (np.abs(means) <= stdtrit(df, 1 - ALPHA / 2) * errors).tolist()
    return any(test.p < ALPHA for test in tests), covers


def _share(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))

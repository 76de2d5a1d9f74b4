"""How often the answers of a study are wrong, by simulation with the study's own functions.

Command: `python -m benchmarks.answers`. Each cell is a world (what the arms and their noise are like), a number of
arms and a number of seeds. In each simulated sweep the truth is known, so false verdicts and missed intervals can be
counted. The unit is the standard deviation of one training's noise. The table and the targets: docs/statistics.md.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import tyro

from benchmarks.answers_effects import effects_cells, simulate_effects
from layersweep.studies.statistics.inference import new_trainings
from layersweep.studies.statistics.inference.arm_model import fit
from layersweep.studies.statistics.inference.arrays import Array
from layersweep.studies.statistics.inference.critical_values import FIRST_LOOK, alpha_of_look, pair_value
from layersweep.studies.statistics.inference.seeds_needed import seeds_needed
from layersweep.studies.statistics.inference.verdicts import judge

SEEDS: Final = (2, 3, 5, 10)
ARMS: Final = (2, 4, 8, 16)
SHAPES: Final = ("all equal", "two on top", "one on top", "one on top by the margin")
NOISES: Final = (
    "normal", "skewed", "one arm 5x", "top arm 5x", "seed effect 1x", "seed effect 2x", "seeds at chance",
    "cells missing",
)  # fmt: skip
_TOP_BY: Final[Mapping[str, float]] = {"one on top": 2.0, "two on top": 4.0, "one on top by the margin": 2.0}
_MARGIN: Final = 2.0
_LOST_SHARE: Final = 0.1
_CHUNK: Final = 2_500
_PILOT_SEEDS: Final = 3
_SPREAD_OF_ARMS: Final = 0.7
_SCREENED: Final = (16, 81)

Rates = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class World:
    """What the arms are like (`shape`) and what their noise is like (`noise`)."""

    shape: str
    noise: str

    def true_means(self, arms: int) -> Array:
        """The mean of new trainings of each arm."""
        means = np.zeros(arms)
        means[2 if self.shape == "two on top" else 1 :] -= _TOP_BY.get(self.shape, 0.0)
        return means

    def simulate(self, rng: np.random.Generator, sweeps: int, arms: int, seeds: int) -> Array:
        """The values of simulated sweeps (sweeps, arms, seeds); NaN where a training is lost."""
        size = (sweeps, arms, seeds)
        noise = -(rng.gamma(2.0, size=size) - 2) / np.sqrt(2) if self.noise == "skewed" else rng.standard_normal(size)
        if self.noise in ("one arm 5x", "top arm 5x"):
            noise[:, 0 if self.noise == "top arm 5x" else -1] *= 5
        seed_effect = {"seed effect 1x": 1.0, "seed effect 2x": 2.0}.get(self.noise, 0.0)
        values = self.true_means(arms)[:, None] + noise + seed_effect * rng.standard_normal((sweeps, 1, seeds))
        if self.noise in ("seeds at chance", "cells missing"):
            is_missing = rng.random(size) < _LOST_SHARE
            is_missing[..., 0] &= ~is_missing.all(-1)  # each arm and each seed keeps a value
            is_missing[:, 0] &= ~is_missing.all(-2)
            values = np.where(is_missing, np.nan, values)
        return values


def worlds() -> Iterator[World]:
    """All worlds."""
    yield from (World(shape=shape, noise=noise) for shape in SHAPES for noise in NOISES)


def rates(world: World, *, arms: int, seeds: int, sweeps: int, rng: np.random.Generator) -> Rates:
    """The shares of simulated sweeps with a false verdict, a found one, and intervals that contain the truth."""
    sizes = [min(_CHUNK, sweeps - done) for done in range(0, sweeps, _CHUNK)]
    parts = [_rates(world, world.simulate(rng, size, arms, seeds)) for size in sizes]
    return {name: float(np.average([part[name] for part in parts], weights=sizes)) for name in parts[0]}


def _rates(world: World, values: Array) -> Rates:
    arms = values.shape[-2]
    truth = world.true_means(arms)
    is_top = truth == truth.max()
    model = fit(values)
    is_reliable = model.counts == values.shape[-1] if world.noise == "seeds at chance" else None
    verdicts = judge(model, margin=_MARGIN, alpha=FIRST_LOOK, is_reliable=is_reliable)
    is_leader = np.arange(arms) == verdicts.leader[:, None]
    is_best = verdicts.is_best if is_reliable is None else verdicts.is_best & (is_reliable & is_leader).any(-1)
    gaps = truth[verdicts.leader][:, None] - truth
    low, high = new_trainings.mean_intervals(model, verdicts.leader)
    covers = (low <= truth) & (truth <= high)
    is_wide = np.isfinite(high - low) & (model.counts > 1)
    own = _own_widths(values)
    result = {
        "false worse": (verdicts.is_worse & is_top).any(-1),
        "false best": is_best & ((is_top.sum() > 1) | ~is_top[verdicts.leader]),
        "best found": is_best & is_top[verdicts.leader],
        "false as good": (verdicts.is_as_good & (gaps >= _MARGIN)).any(-1),
        "differences": ((verdicts.low <= gaps) & (gaps <= verdicts.high) | is_leader).all(-1),
        "arm": covers,
        "noisy arm": covers[:, 0 if world.noise == "top arm 5x" else -1],
        "leader": covers[is_leader],
        "width": np.nan_to_num((high - low)[is_wide].mean() / own[is_wide].mean()) if is_wide.any() else np.nan,
    }
    return {name: float(np.mean(value)) for name, value in result.items()}


def _own_widths(values: Array) -> Array:
    """The widths of the arms' t intervals from their own values alone."""
    counts = (~np.isnan(values)).sum(-1)
    means = np.nansum(values, -1) / counts
    variances = np.nansum((values - means[..., None]) ** 2, -1) / np.maximum(counts - 1, 1)
    widths: Array = 2 * pair_value(np.maximum(counts - 1.0, 1), 0.05) * np.sqrt(variances / counts)
    return widths


def decided(*, arms: int, difference: float, sweeps: int, rng: np.random.Generator) -> Rates:
    """The share of sweeps that call the best arm best, with as many seeds as the first answer asks for.

    One arm is ahead of all others by `difference`. The first answer is given after three seeds; the second look keeps
    the trainings of the first.
    """
    truth = np.zeros(arms)
    truth[1:] -= difference
    pilot = truth[:, None] + rng.standard_normal((sweeps, arms, _PILOT_SEEDS))
    alpha = alpha_of_look(2)
    seed_counts = seeds_needed(fit(pilot), np.ones((sweeps, arms), dtype=np.bool_), difference=difference, alpha=alpha)
    is_decided = np.zeros(sweeps, dtype=bool)
    for seeds in np.unique(seed_counts):
        is_selected = seed_counts == seeds
        more = truth[:, None] + rng.standard_normal((is_selected.sum(), arms, max(seeds - _PILOT_SEEDS, 0)))
        verdicts = judge(fit(np.concatenate([pilot[is_selected], more], -1)), margin=0.0, alpha=alpha)
        is_decided[is_selected] = verdicts.is_best & (verdicts.leader == 0)
    return {"decided": float(is_decided.mean()), "seeds, median": float(np.median(seed_counts))}


def survivors(*, arms: int, seeds: int, sweeps: int, rng: np.random.Generator) -> Rates:
    """Verdicts on the best quarter of arms by one screening training each, compared on fresh seeds.

    The arms' true means scatter by .7 of the noise.
    """
    truth = _SPREAD_OF_ARMS * rng.standard_normal((sweeps, arms))
    screening = truth + rng.standard_normal((sweeps, arms))
    selected = np.argsort(-screening, -1)[:, : arms // 4]
    truth = np.take_along_axis(truth, selected, -1)
    model = fit(truth[..., None] + rng.standard_normal((*truth.shape, seeds)))
    verdicts = judge(model, margin=_MARGIN, alpha=FIRST_LOOK)
    is_top = truth == truth.max(-1, keepdims=True)
    is_leader = np.arange(truth.shape[-1]) == verdicts.leader[:, None]
    low, high = new_trainings.mean_intervals(model, verdicts.leader)
    covers = (low <= truth) & (truth <= high)
    result = {
        "false worse": (verdicts.is_worse & is_top).any(-1),
        "false best": verdicts.is_best & ~(is_top & is_leader).any(-1),
        "arm": covers,
        "leader": covers[is_leader],
    }
    return {name: float(value.mean()) for name, value in result.items()}


def later_looks(*, arms: int, last: int, sweeps: int, rng: np.random.Generator) -> Rates:
    """False verdicts of a user who adds seeds one by one, from 2 to `last`, and stops at the first verdict."""
    values = rng.standard_normal((sweeps, arms, last))
    is_best, is_worse = np.zeros(sweeps, dtype=bool), np.zeros(sweeps, dtype=bool)
    for look, seeds in enumerate(range(2, last + 1), 1):
        verdicts = judge(fit(values[..., :seeds]), margin=0.0, alpha=alpha_of_look(look))
        is_best |= verdicts.is_best
        is_worse |= verdicts.is_worse.any(-1)
    return {"false best": float(is_best.mean()), "false worse": float(is_worse.mean())}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to simulate."""

    sweeps: int = 10_000
    """The number of simulated sweeps in each cell."""
    seeds: tuple[int, ...] = SEEDS
    """Numbers of seeds."""
    arms: tuple[int, ...] = ARMS
    """Numbers of arms."""
    noises: tuple[str, ...] = NOISES
    """Kinds of noise."""
    random_seed: int = 1
    """The seed of the simulation."""


def tables(options: Options) -> Iterator[str]:
    """Tables in Markdown, one for each rate: a row for each world and number of arms, a column per number of seeds."""
    cells: dict[tuple[World, int], list[Rates]] = {}
    for world in worlds():
        for arms in options.arms:
            if world.noise in options.noises:
                sys.stderr.write(f"{world.shape}, {world.noise}, {arms} arms\n")
                cells[world, arms] = [
                    rates(
                        world,
                        arms=arms,
                        seeds=seeds,
                        sweeps=options.sweeps,
                        rng=np.random.default_rng([options.random_seed, arms, seeds]),
                    )
                    for seeds in options.seeds
                ]
    for name in next(iter(cells.values()))[0]:
        yield f"\n### {name}\n"
        yield from _table(cells, name, options.seeds)


def _table(cells: Mapping[tuple[World, int], Sequence[Rates]], name: str, seeds: Sequence[int]) -> Iterator[str]:
    yield "| arms | noise | k | " + " | ".join(f"n = {n}" for n in seeds) + " |"
    yield "| --- | --- | ---: |" + " ---: |" * len(seeds)
    for (world, arms), row in cells.items():
        yield f"| {world.shape} | {world.noise} | {arms} | " + " | ".join(f"{cell[name]:.4f}" for cell in row) + " |"


def main() -> None:
    """Prints the tables."""
    options = tyro.cli(Options, description=__doc__)
    for line in tables(options):
        print(line, flush=True)  # noqa: T201
    for arms, seeds in ((arms, seeds) for arms in _SCREENED for seeds in options.seeds):
        rng = np.random.default_rng([options.random_seed, arms, seeds])
        print("survivors of", arms, seeds, survivors(arms=arms, seeds=seeds, sweeps=options.sweeps, rng=rng))  # noqa: T201
    for arms in options.arms:
        rng = np.random.default_rng([options.random_seed, arms])
        for difference in (1.0, 2.0):
            sweeps = max(options.sweeps // 5, 1)
            print(arms, difference, decided(arms=arms, difference=difference, sweeps=sweeps, rng=rng))  # noqa: T201
        print(arms, later_looks(arms=arms, last=10, sweeps=options.sweeps, rng=rng), flush=True)  # noqa: T201
    for cell in effects_cells():
        rng = np.random.default_rng(options.random_seed)
        print(simulate_effects(cell, sweeps=options.sweeps, rng=rng), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

"""A made-up sweep of optimizers at their defaults and tuned, as `--scheduler asha` and a search would record it."""

import math
from collections.abc import Mapping, Sequence

from recorded_sweep import Sweep

RATES = (1e-5, 1e-4, 1e-3, 3.2e-3, 1e-2, 1e-1)


def default_arm(sweep: Sweep, name: str, finals: Sequence[float], rate: float = 0.001) -> None:
    """An arm at its default rate, on a seed for each final accuracy."""
    _seeds(sweep, name, name, finals, rate)


def tune(
    sweep: Sweep,
    name: str,
    best: float,
    finals: Sequence[float] = (),
    *,
    top: float = 0.9,
    rates: Sequence[float] = RATES,
    ends: Mapping[int, str] | None = None,
) -> None:
    """A tuning of `name` whose best rate is `best`, then that rate on a seed for each final accuracy.

    `ends` gives candidates (by number) another outcome than completed; a stopped one ran one epoch.
    """
    arm = f"{name} tuned"
    for number, rate in enumerate(rates):
        reached = max(0.1, top - 0.12 * abs(math.log10(rate / best)))
        end = (ends or {}).get(number, "completed")
        stopped = {"rung": 1, "cutoff": 0.6} if end == "stopped" else {}
        curve = [reached * 0.6] if end != "completed" else [reached * 0.6, reached * 0.9, reached]
        sweep.trial(
            arm, 0, curve, None if end == "unfinished" else end, question="tuning", candidate=number,
            trial_id=f"{name}-c{number}", config={"optimizer": name, "learning_rate": rate}, **stopped,
        )  # fmt: skip
    _seeds(sweep, name, arm, finals, best)


def _seeds(sweep: Sweep, name: str, arm: str, finals: Sequence[float], rate: float) -> None:
    config = {"optimizer": name, "learning_rate": rate}
    for seed, final in enumerate(finals, 1):
        sweep.trial(arm, seed, [final * 0.6, final * 0.9, final], config=config, test=final - 0.01)


def eight(sweep: Sweep) -> None:
    """Eight optimizers with finals like the measured ones, each tuned: 16 arms."""
    finals = {
        "nadam": (0.8768, 0.884, 3.2e-3), "adam": (0.8752, 0.885, 3.2e-3), "rmsprop": (0.8725, 0.874, 1e-3),
        "adamax": (0.8638, 0.882, 1e-2), "sgd": (0.8523, 0.889, 1e-1), "adagrad": (0.8188, 0.872, 1e-1),
        "adadelta": (0.5375, 0.865, 1e-1), "ftrl": (0.1, 0.1, 1e-1),
    }  # fmt: skip
    for i, (name, (default, tuned, best)) in enumerate(finals.items()):
        spread = 0.0 if name == "ftrl" else 0.004
        seeds = [[value + spread * d for d in _ORDERS[(i + k) % 3]] for k, value in enumerate((default, tuned))]
        default_arm(sweep, name, seeds[0])
        ends = {0: "stopped", 1: "stopped", 5: "diverged" if i % 2 else "hopeless"} if best < 1e-1 else {0: "stopped"}
        tune(sweep, name, best, seeds[1], top=tuned, ends=ends)


_ORDERS = ((-1.0, 0.1, 0.9), (0.8, -1.1, 0.3), (-0.5, 1.2, -0.7))

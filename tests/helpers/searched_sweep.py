"""A made-up sweep of architecture searches, as it would be recorded: candidates by the clock, their layers, choices."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from recorded_sweep import START, Sweep

CONFIG = {"block": "vanilla", "optimizer": "adam", "learning_rate": 0.001}


def candidate(
    sweep: Sweep,
    search: str,
    number: int,
    curve: Sequence[float],
    outcome: str | None = "completed",
    *,
    start: float = 0.0,
    seconds: float = 10.0,
    choices: Mapping[str, Any] | None = None,
    layers: Sequence[tuple[str, str, int]] = (),
    **more: Any,
) -> str:
    """A candidate that begins at `start` and ends 1 s after its last epoch; layers are (kind, shape, parameters).

    An `outcome` of None leaves it without an end: it runs, or its command was killed.
    """
    own = {"parameters": 1000 * (number + 1), "trial_id": f"{search}-c{number}", "seed": 0, "family": "autokeras"}
    ended = {"started_at": at(start), "ended_at": at(start + seconds * len(curve) + 1)}
    facts = own | ended | {"question": "tuning", "candidate": number, "config": config(number, choices)} | more
    trial_id: str = facts["trial_id"]
    rows = len(sweep.rows["epochs"])
    sweep.trial(search, facts.pop("seed"), curve, outcome, **facts)
    for place, row in enumerate(sweep.rows["epochs"][rows:], 1):
        row |= {"at": at(start + seconds * place), "seconds_train": seconds - 2, "sequence": rows + place}
    for index, (kind, shape, parameters) in enumerate(layers):
        where = {"trial_id": trial_id, "attempt": 0, "epoch": len(curve), "index": index}
        what = {"name": f"{kind.lower()}_{index}", "kind": kind, "output_shape": shape, "parameters": parameters}
        sweep.add("layers", where | what)
    return trial_id


def config(number: int, choices: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The configuration of a search's candidate."""
    return CONFIG | {"choices": json.dumps({"image_block_1/number": number} | dict(choices or {}))}


def chosen(sweep: Sweep, search: str, number: int, finals: Sequence[float]) -> None:
    """A search's candidate, trained anew on a seed for each final accuracy."""
    for seed, final in enumerate(finals, 1):
        curve = [final * 0.6, final * 0.9, final]
        trial_id = f"{search}-{seed}"
        candidate(sweep, search, number, curve, start=1e5, seed=seed, question="comparison", trial_id=trial_id)


def fixed(sweep: Sweep, arm: str, curves: Sequence[Sequence[float]], *, seconds: float = 10.0, **more: Any) -> None:
    """A fixed network on a seed for each curve."""
    for seed, curve in enumerate(curves, 1):
        own = {"question": "comparison", "candidate": None, "trial_id": f"{arm}-{seed}", "config": {"optimizer": "sgd"}}
        candidate(sweep, arm, 9, curve, start=2e5 * seed, seconds=seconds, seed=seed, family=arm, **own, **more)


def at(seconds: float) -> datetime:
    """A time so many seconds after the start."""
    return START + timedelta(seconds=seconds)

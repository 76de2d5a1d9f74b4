"""What each arm's tuning tried: candidates, what they cost, the values that were chosen and those of the default."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import polars as pl

from layersweep.studies.statistics.bad_ends import bad_ends, noted
from layersweep.studies.statistics.replicates import BAD_ENDS, Replicates, configuration, settings, untuned


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One configuration that a tuning tried; `accuracy` is its last finite one, `chosen` says that it was compared."""

    outcome: str
    accuracy: float | None
    config: Mapping[str, Any]
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """An arm's tuning.

    Attributes:
        arm: the arm whose ranges were searched, as `adam tuned`.
        candidates: in the order in which they were asked for.
        epochs: spent by all candidates; not part of the arm's own.
        seconds: of slots, of all candidates.
        keys: the configuration keys whose values differ between candidates, and are no values in one.
        chosen: their values in the configuration that is compared; empty as long as none is.
        default: their values in the arm of the same name at its defaults; empty if that is no arm of the sweep.
        notes: why candidates failed, and the candidates' warnings, counted.
    """

    arm: str
    candidates: tuple[Candidate, ...]
    epochs: int
    seconds: float
    keys: tuple[str, ...]
    chosen: Mapping[str, Any]
    default: Mapping[str, Any]
    notes: str

    @property
    def axis(self) -> str | None:
        """The numeric key that varies most: by its number of values, then by how far they reach; None if none does."""
        values = {key: _numbers([c.config.get(key) for c in self.candidates]) for key in self.keys}
        numeric = [key for key in self.keys if len(set(values[key])) > 1]
        return max(numeric, key=lambda key: (len(set(values[key])), _reach(values[key])), default=None)

    @property
    def unfinished(self) -> int:
        """How many candidates have not ended."""
        return sum(candidate.outcome == "unfinished" for candidate in self.candidates)

    @property
    def outcomes(self) -> str:
        """`12: 4 completed, 8 stopped`."""
        counts = Counter(candidate.outcome for candidate in self.candidates)
        order = ("completed", "stopped", *BAD_ENDS, "unfinished")
        return f"{len(self.candidates)}: {', '.join(f'{counts[name]} {name}' for name in order if counts[name])}"


def tunings(found: Replicates) -> tuple[Tuning, ...]:
    """The tuned arms, in the order of their names."""
    compared = settings(found.rows)
    parts = found.tuning.sort("arm", "candidate", "planned", nulls_last=True).group_by("arm", maintain_order=True)
    return tuple(_tuning(str(arm), part, compared) for (arm,), part in parts)


def _tuning(arm: str, part: pl.DataFrame, compared: Mapping[str, Mapping[str, Any]]) -> Tuning:
    read = [configuration(text) for text in part["config_json"]]
    stated = dict.fromkeys(key for config in read for key in config)
    configs = [_filled(config, row, stated) for config, row in zip(read, part.to_dicts(), strict=True)]
    several = dict.fromkeys(key for config in configs for key, value in config.items() if not nested(value))
    keys = [key for key in several if len({repr(config.get(key)) for config in configs}) > 1]
    mine, default = compared.get(arm), compared.get(untuned(arm)) if untuned(arm) != arm else None
    rows = zip(configs, read, part.select("outcome", "last").rows(), strict=True)
    return Tuning(
        arm=arm,
        candidates=tuple(
            Candidate(outcome=outcome, accuracy=last, config=config, chosen=before == mine)
            for config, before, (outcome, last) in rows
        ),
        epochs=int(part["spent"].sum()),
        seconds=float(part["seconds"].sum()),
        keys=tuple(keys),
        chosen={key: mine[key] for key in keys if key in mine} if mine else {},
        default={key: default[key] for key in keys if key in default} if default else {},
        notes="; ".join(filter(None, (bad_ends(part, ["failed"]), noted(part, "candidates")))),
    )


def _filled(config: dict[str, Any], row: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A configuration with the defaults that it does not state, as the columns of `trials` have them."""
    return {key: row[key] for key in keys if row.get(key) is not None} | config


def nested(value: object) -> bool:
    """Whether a configuration's value is a text of several, in JSON: too long for a cell, so shown by who knows it."""
    return isinstance(value, str) and value.startswith("{")


def shown_keys(tuned: Sequence[Tuning]) -> list[str]:
    """The keys that any tuning varied."""
    return list(dict.fromkeys(key for tuning in tuned for key in tuning.keys))


def numeric(value: object) -> TypeGuard[float]:
    """Whether a configuration's value has a place on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values] if all(map(numeric, values)) else []


def _reach(values: Sequence[float]) -> float:
    """How far values reach: the logarithm of the greatest over the least one, where that has a meaning."""
    low, high = min(values), max(values)
    return math.log(high / low) if low > 0 else (high - low) / max(abs(low), abs(high))

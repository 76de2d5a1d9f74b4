"""The tuning of each arm: its candidates and their cost, the selected values and the default values."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import polars as pl

from layersweep.records.tables import STOPPED_ON_REQUEST
from layersweep.studies.statistics.failure_reasons import failure_reasons, warning_counts
from layersweep.studies.statistics.replicates import (
    EXCLUDED_OUTCOMES,
    Replicates,
    configuration,
    configurations,
    default_arm,
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One configuration of a tuning; `accuracy` is its last finite one, `is_selected` says whether it was compared."""

    outcome: str
    accuracy: float | None
    config: Mapping[str, Any]
    is_selected: bool


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """An arm's tuning.

    Attributes:
        arm: the tuned arm, `adam tuned` for example.
        candidates: in the order in which they were planned.
        epochs: those of all candidates; they do not count as epochs of the arm.
        seconds: the slot time of all candidates.
        keys: the configuration keys whose values differ between candidates; without nested values.
        selected_values: their values in the configuration that is compared; empty as long as none is.
        default_values: their values in the default arm; empty if the sweep has no such arm.
        notes: the reasons of failed candidates and the warnings of candidates, with counts.
    """

    arm: str
    candidates: tuple[Candidate, ...]
    epochs: int
    seconds: float
    keys: tuple[str, ...]
    selected_values: Mapping[str, Any]
    default_values: Mapping[str, Any]
    notes: str

    @property
    def axes(self) -> list[str]:
        """The numeric keys that vary: those with the most values first, of several the one with the widest range."""
        values = {key: _numbers([c.config.get(key) for c in self.candidates]) for key in self.keys}
        numeric_keys = [key for key in self.keys if len(set(values[key])) > 1]
        return sorted(numeric_keys, key=lambda key: (len(set(values[key])), _range(values[key])), reverse=True)

    @property
    def unfinished(self) -> int:
        """The number of candidates that have not ended."""
        return sum(candidate.outcome == "unfinished" for candidate in self.candidates)

    @property
    def outcomes(self) -> str:
        """`12: 4 completed, 8 stopped`."""
        counts = Counter(candidate.outcome for candidate in self.candidates)
        outcomes = ("completed", "stopped", STOPPED_ON_REQUEST, *EXCLUDED_OUTCOMES, "unfinished")
        return f"{len(self.candidates)}: {', '.join(f'{counts[name]} {name}' for name in outcomes if counts[name])}"


def tunings(replicates: Replicates) -> tuple[Tuning, ...]:
    """The tunings of all tuned arms, in the order of their names."""
    compared_configs = configurations(replicates.rows)
    candidates = replicates.candidates.sort("arm", "candidate", "plan_order", nulls_last=True)
    by_arm = candidates.group_by("arm", maintain_order=True)
    return tuple(_tuning(str(arm), part, compared_configs) for (arm,), part in by_arm)


def _tuning(arm: str, part: pl.DataFrame, compared_configs: Mapping[str, Mapping[str, Any]]) -> Tuning:
    recorded_configs = [configuration(text) for text in part["config_json"]]
    recorded_keys = dict.fromkeys(key for config in recorded_configs for key in config)
    configs = [
        _with_defaults(config, row, recorded_keys)
        for config, row in zip(recorded_configs, part.to_dicts(), strict=True)
    ]
    flat_keys = dict.fromkeys(key for config in configs for key, value in config.items() if not is_nested(value))
    keys = [key for key in flat_keys if len({repr(config.get(key)) for config in configs}) > 1]
    selected_config = compared_configs.get(arm)
    default_config = compared_configs.get(default_arm(arm)) if default_arm(arm) != arm else None
    rows = zip(configs, recorded_configs, part.select("outcome", "last_finite_accuracy").rows(), strict=True)
    return Tuning(
        arm=arm,
        candidates=tuple(
            Candidate(outcome=outcome, accuracy=accuracy, config=config, is_selected=recorded == selected_config)
            for config, recorded, (outcome, accuracy) in rows
        ),
        epochs=int(part["epochs_spent"].sum()),
        seconds=float(part["seconds"].sum()),
        keys=tuple(keys),
        selected_values=_values(selected_config, keys),
        default_values=_values(default_config, keys),
        notes="; ".join(filter(None, (failure_reasons(part, ["failed"]), warning_counts(part, "candidate")))),
    )


def _values(config: Mapping[str, Any] | None, keys: Sequence[str]) -> dict[str, Any]:
    return {key: config[key] for key in keys if key in config} if config else {}


def _with_defaults(config: dict[str, Any], row: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A configuration completed with the default values of these keys, which are in the columns of `trials`."""
    return {key: row[key] for key in keys if row.get(key) is not None} | config


def is_nested(value: object) -> bool:
    """Whether a configuration's value is a JSON object as text, which is too long for a table cell."""
    return isinstance(value, str) and value.startswith("{")


def varied_keys(all_tunings: Sequence[Tuning]) -> list[str]:
    """The keys that differ between the candidates of at least one tuning."""
    return list(dict.fromkeys(key for tuning in all_tunings for key in tuning.keys))


def is_numeric(value: object) -> TypeGuard[float]:
    """Whether a configuration's value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values] if all(map(is_numeric, values)) else []


def _range(values: Sequence[float]) -> float:
    """The range of values: the logarithm of the largest over the smallest, if both are positive."""
    low, high = min(values), max(values)
    return math.log(high / low) if low > 0 else (high - low) / max(abs(low), abs(high))

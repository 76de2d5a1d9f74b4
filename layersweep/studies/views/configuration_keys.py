"""The configuration keys that vary between trials, with the value of each trial."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from layersweep.records.tables import TRIALS
from layersweep.studies.statistics.replicates import configuration
from layersweep.studies.statistics.tuning_candidates import is_nested, is_numeric

_LOG_RATIO: Final = 20.0
"""From this ratio of the largest to the smallest value on, and with three values or more, an axis is logarithmic."""
_MOST_LEVELS: Final = 200


@dataclass(frozen=True, kw_only=True)
class Key:
    """A configuration key.

    Attributes:
        name: its name.
        log: whether its axis is logarithmic.
        levels: its values as texts, in their order; None for numbers.
        values: the value of each trial: a number, or one of the levels; None if it is unknown.
    """

    name: str
    log: bool
    levels: Sequence[str] | None
    values: Sequence[Any]


def configuration_keys(rows: pl.DataFrame, trials: pl.DataFrame) -> list[Key]:
    """The keys that vary, in the order of the configurations; without nested ones.

    A configuration states what differs from the defaults; a default is in the column that `trials` has for the key.
    """
    texts = rows["config_json"].to_list()
    configs = {text: configuration(text) for text in dict.fromkeys(texts)}
    typed = [name for name in trials.columns if name not in TRIALS.schema.names]
    defaults = trials.unique("trial_id", keep="last").select("trial_id", *typed)
    columns = rows.select("trial_id").join(defaults, on="trial_id", how="left", maintain_order="left")
    stated = dict.fromkeys(key for config in configs.values() for key in config)
    keys = []
    for name in dict.fromkeys([*stated, *typed]):
        column = columns[name].to_list() if name in columns.columns else [None] * len(texts)
        values = [_value(configs[text].get(name), default) for text, default in zip(texts, column, strict=True)]
        key = _key(name, values)
        if key is not None:
            keys.append(key)
    return keys


def _value(value: Any, default: Any) -> Any:
    return default if value is None else value


def _key(name: str, values: Sequence[Any]) -> Key | None:
    """The key; None if it does not vary, or its values are too long or too many to show."""
    present = [value for value in values if value is not None]
    if any(map(is_nested, present)):
        return None
    if present and all(map(is_numeric, present)):
        distinct = {*present}
        low, high = min(distinct), max(distinct)
        is_log = len(distinct) > 2 and low > 0 and high >= _LOG_RATIO * low  # noqa: PLR2004
        return Key(name=name, log=is_log, levels=None, values=values) if len(distinct) > 1 else None
    labels = [None if value is None else _text(value) for value in values]
    levels = [*dict.fromkeys(label for label in labels if label is not None)]
    if not 1 < len(levels) <= _MOST_LEVELS:
        return None
    return Key(name=name, log=False, levels=sorted(levels, key=_rank), values=labels)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rank(text: str) -> tuple[float, str]:
    """The sorting key of a level: numbers by size, then texts by name."""
    try:
        return float(text), ""
    except ValueError:
        return math.inf, text


def keys_and_values(keys: Sequence[Key]) -> tuple[list[dict[str, Any]], Mapping[str, Sequence[Any]]]:
    """The keys as JSON, and the values of each key by trial."""
    heads = [{"name": key.name, "log": key.log, "levels": key.levels} for key in keys]
    return heads, {key.name: key.values for key in keys}

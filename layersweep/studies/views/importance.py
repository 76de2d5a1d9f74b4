"""How much each configuration key explains: its share of the variance between trials, alone."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from layersweep.formatting import count
from layersweep.studies.statistics.inference.arrays import Array
from layersweep.studies.views.configuration_keys import Key

LEAST_TRIALS: Final = 10
_BINS: Final = 5
_NOTE: Final = (
    "The share of the variance between trials that a key explains alone, whatever the others are: omega squared of a "
    "one-way analysis of variance (Hays 1963), which is about 0 for a key without effect; numbers are cut into at most "
    f"{_BINS} groups of equal size."
)


def importance(keys: Sequence[Key], values: Sequence[float | None]) -> tuple[list[dict[str, Any]], str]:
    """The share of each key, the largest first, and a note that says how it was computed; or why there is none.

    Omega squared estimates the share of the variance of a population (Hays, Statistics for Psychologists, 1963): unlike
    the share of the sum of squares, it is about 0 on average if the values do not depend on the key. It is the
    first-order effect of an analysis of variance, as in functional ANOVA (Hutter et al. 2014), without a model.

    Args:
        keys: the keys that vary.
        values: the last value of the metric of each trial; None or NaN if it has none.
    """
    observed = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    is_known = np.isfinite(observed)
    if is_known.sum() < LEAST_TRIALS:
        return [], f"Importance needs {count(LEAST_TRIALS, 'trial')} with a value."
    if len(keys) < 2:  # noqa: PLR2004
        return [], "Importance needs two configuration keys that vary."
    shares = [{"key": key.name, "share": _omega_squared(_groups(key, is_known), observed[is_known])} for key in keys]
    return sorted(shares, key=lambda item: -item["share"]), _NOTE


def _groups(key: Key, is_known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The number of each trial's group; a missing value is a group of its own."""
    values = [value for value, known in zip(key.values, is_known, strict=True) if known]
    if key.levels is not None:
        return np.unique([str(value) for value in values], return_inverse=True)[1]
    column = np.array([np.nan if value is None else float(value) for value in values])
    distinct, places = np.unique(column, return_inverse=True)
    if len(distinct) <= _BINS:
        return places
    limits = np.unique(np.nanquantile(column, np.arange(1, _BINS) / _BINS))
    return np.where(np.isnan(column), len(limits) + 1, np.searchsorted(limits, column, side="right"))


def _omega_squared(groups: NDArray[np.intp], values: Array) -> float:
    """(between - (groups - 1) * within) / (total + within), where `within` is the mean square; never negative."""
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    free = len(values) - len(sizes)
    total = float(((values - values.mean()) ** 2).sum())
    if len(sizes) < 2 or free < 1 or total <= 0:  # noqa: PLR2004
        return 0.0
    means = np.bincount(places, values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum())
    within = (total - between) / free
    return round(max(0.0, (between - (len(sizes) - 1) * within) / (total + within)), 4)

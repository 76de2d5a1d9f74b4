"""Tests of several hypotheses together."""

import math
from collections.abc import Mapping
from typing import Final

ALPHA: Final = 0.05
"""The error of a family of tests."""


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction (1979): adjusted p-values, in the order of `p_values`.

    Raises:
        ValueError: if a p-value is NaN.
    """
    if any(math.isnan(p) for p in p_values.values()):
        raise ValueError(f"a p-value is NaN: {dict(p_values)}")
    adjusted: dict[str, float] = {}
    highest = 0.0
    for i, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - i) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}

"""The parts of a search space: lists of values, and ranges of numbers for a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, drawn uniformly, or uniformly in their logarithm with `log`.

    Raises:
        ValueError: if the range is empty, or logarithmic but not positive.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Checks the bounds."""
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"Range({self.low}, {self.high}, log={self.log}) is not valid; valid: low < high, and 0 < low with log"
            )


Space = Mapping[str, Sequence[bool | int | float | str] | Range]
"""Each key's values, from which arms are made, or its range for a search."""

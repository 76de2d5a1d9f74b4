"""The parts of a search space: lists of values, and ranges of numbers for a search."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, drawn uniformly, or uniformly in their logarithm with `log`.

    With a `step` only `low`, `low + step` and so on up to `high` are drawn; with `log` too, `low`, `low * step` and so
    on: `Range(16, 256, log=True, step=2)` are 16, 32, 64, 128 and 256.

    Raises:
        ValueError: if the range is empty, logarithmic but not positive, or its step leads to no further number.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        """Checks the bounds and the step."""
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"Range({self.low}, {self.high}, log={self.log}) is not valid; valid: low < high, and 0 < low with log"
            )
        if self.step is not None and not (1 if self.log else 0) < self.step < math.inf:
            raise ValueError(f"the step {self.step} of a Range is not valid; valid: above {1 if self.log else 0}")

    def __str__(self) -> str:
        """The range as `--set` reads it: `1e-05..0.1`."""
        return f"{self.low!r}..{self.high!r}"

    @property
    def numbers(self) -> list[float]:
        """The numbers that the step leads to; empty without a step."""
        if self.step is None:
            return []
        slack = 1 + 1e-9  # 0.1 + 2 * 0.1 is a little more than 0.3
        if self.log:
            count = int(math.log(self.high / self.low * slack) / math.log(self.step))
            return [min(self.low * self.step**k, self.high) for k in range(count + 1)]
        count = int((self.high - self.low) * slack / self.step)
        return [min(self.low + k * self.step, self.high) for k in range(count + 1)]


Space = Mapping[str, Sequence[bool | int | float | str] | Range]
"""Each key's values, from which arms are made, or its range for a search."""

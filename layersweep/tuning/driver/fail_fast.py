"""Ends a sweep whose first trials all fail of one error."""

import re
from collections import Counter
from typing import Final

from layersweep.formatting import first_line
from layersweep.records.tables import REFUSAL_TYPES
from layersweep.tuning.common.errors import BrokenOffError
from layersweep.tuning.common.worker_report import Error

_NUMBERS: Final = re.compile(r"\d+(\.\d+)?")
"""Errors that differ only in their numbers, such as an amount of memory, are one error."""


class FailFast:
    """Counts the errors of the trials that end first.

    Args:
        limit: the number of trials; 0 for never.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._one_ended_well = False
        self._errors: Counter[str] = Counter()
        self._last_error = ""

    def note(self, error: Error | None) -> None:
        """A trial has ended, with this error or well. A refused candidate is neither."""
        if error is None:
            self._one_ended_well = True
        elif error.type not in REFUSAL_TYPES:
            text = f"{error.type}: {error.message}"
            self._errors[_NUMBERS.sub("#", text)] += 1
            self._last_error = first_line(text)

    def check(self) -> None:
        """Raises BrokenOffError once the first trials have all failed of one error."""
        failures = self._errors.total()
        if self._limit and not self._one_ended_well and len(self._errors) == 1 and failures >= self._limit:
            raise BrokenOffError(
                f"the first {failures} trials all failed: {self._last_error} (see the logs below the results; "
                "--fail-fast 0 continues all the same)"
            )

"""The values of one sweep's page as the records have them now, however many browsers ask."""

import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from layersweep.records.errors import ResultsError
from layersweep.records.metrics import ACCURACY

REFRESH_SECONDS: Final = 1.8
"""Records are read at most once in this time: a browser that asks every 2 s gets new values each time."""

_COST_FACTOR: Final = 4
"""Values that take long to compute are computed less often: at most a fifth of the time goes into them."""

_TRIAL_COLUMNS: Final = (
    "id", "arm", "question", "seed", "fold", "state", "epoch", "epochs", "value", "best", "seconds", "start", "end",
    "host", "rung", "cutoff", "attempts", "reason",
)  # fmt: skip

Payload = Mapping[str, Any]


class Source(Protocol):
    """The views of one sweep (`layersweep.studies.views`)."""

    def refresh(self) -> bool:
        """Reads what is new in the records; returns whether anything is."""

    def payload(self) -> Payload:
        """The values of all views."""

    def details(self, trial_id: str) -> Mapping[str, Any]:
        """The details of one trial."""


class LiveSweep:
    """One sweep.

    Args:
        sweep: its name.
        source: its views.
        clock: the time in seconds.
    """

    def __init__(self, sweep: str, source: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self._sweep, self._source, self._clock = sweep, source, clock
        self._lock = threading.Lock()
        self._payload: Payload | None = None
        self._notes: tuple[str, ...] = ()
        self._next_refresh = -float("inf")

    def payload(self) -> Payload:
        """The values as they are now, at most `REFRESH_SECONDS` old.

        What is wrong with the records is among the notes; then the values are the last ones that could be read.
        """
        with self._lock:
            start = self._clock()
            if start >= self._next_refresh:
                self._refresh()
                end = self._clock()
                self._next_refresh = max(start + REFRESH_SECONDS, end + _COST_FACTOR * (end - start))
            payload = self._payload or empty(self._sweep)
            return {**payload, "notes": [*payload["notes"], *self._notes]} if self._notes else payload

    def details(self, trial_id: str) -> Mapping[str, Any]:
        """The details of one trial.

        Raises:
            ResultsError: if its records cannot be read.
        """
        with self._lock:
            return self._source.details(trial_id)

    def _refresh(self) -> None:
        notes: list[str] = []
        with warnings.catch_warnings(record=True) as damage:
            warnings.simplefilter("always")
            try:
                if self._source.refresh() or self._payload is None:
                    self._payload = self._source.payload()
            except ResultsError as error:
                notes.append(f"the records cannot be read, so these values are old: {error}")
        notes += (str(each.message) for each in damage if issubclass(each.category, UserWarning))
        self._notes = tuple(dict.fromkeys(notes))


def live_sweep(results: Path, sweep: str) -> LiveSweep:
    """A sweep, which need not be recorded yet."""
    from layersweep.watch.live_views import LiveViews

    return LiveSweep(sweep, LiveViews(results, sweep))


def empty(sweep: str) -> Payload:
    """The values of a sweep of which nothing can be shown."""
    state = {"running": False, "sentence": "", "seconds_left": None, "slots": None, "slot_hours": 0.0, "look": ""}
    trials: dict[str, Any] = {name: [] for name in _TRIAL_COLUMNS}
    return {
        "sweep": sweep, "question": "", "metric": ACCURACY, "higher": True, "epochs": 0, "state": state,
        "answer": "", "sentences": [], "cautions": [], "notes": [], "arms": {"columns": [], "rows": []},
        "arm_names": [], "keys": [],
        "trials": {**trials, "config": {}}, "curves": {}, "curves_note": "",
        "rungs": {name: [] for name in ("id", "arm", "rung", "value", "cutoff", "stopped")},
        "slots": {"edges": [], "classes": {}}, "effects": [], "importance": [], "importance_note": "", "pareto": [],
        "confusion": [], "provenance": [], "details": {},
    }  # fmt: skip

"""The state of a running sweep as metrics for Prometheus, served by the agent that Ray runs on each machine.

Ray puts `ray_` before each name and `_total` behind a counter's: Prometheus sees `ray_layersweep_epochs_total`. Only
`ray[default]` has an agent that serves metrics.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from layersweep.records.tables import OUTCOMES

STATES: Final = ("waiting", "running", *OUTCOMES)
"""The states of a trial: not started, in a slot, or ended with an outcome."""

_AGENT: Final = ("opencensus", "prometheus_client")
"""The packages that Ray's agent needs to serve metrics."""


def count_by_state(outcomes: Counter[str], *, trials: int, running_trials: int) -> dict[str, int]:
    """How many trials of a plan are in each state; `outcomes` counts those that ended."""
    waiting_trials = max(0, trials - outcomes.total() - running_trials)
    ended_trials = {outcome: outcomes[outcome] for outcome in OUTCOMES}
    return {"waiting": waiting_trials, "running": running_trials, **ended_trials}


class Metrics:
    """A sweep's metrics. Each gauge must be set again and again: Ray forgets one that is not set for two reports.

    Args:
        sweep: its name, a label of each metric.
        metric: the sweep's metric, a label of its best value.
        slots: how many trials can run at once, now.
        gauge: `ray.util.metrics.Gauge`.
        counter: `ray.util.metrics.Counter`.
    """

    def __init__(
        self,
        *,
        sweep: str,
        metric: str,
        slots: Callable[[], int],
        gauge: Callable[..., Any],
        counter: Callable[..., Any],
    ) -> None:
        self._sweep, self._metric, self._all_slots = {"sweep": sweep}, {"metric": metric}, slots
        self._reported_epochs = 0
        self._trials = gauge("layersweep_trials", "Trials of a sweep, by state", tag_keys=("sweep", "state"))
        self._slots = gauge("layersweep_slots", "Slots of a sweep, by state", tag_keys=("sweep", "state"))
        self._best = gauge("layersweep_best", "The best value of the metric so far", tag_keys=("sweep", "metric"))
        self._epochs = counter("layersweep_epochs", "Epochs trained", tag_keys=("sweep",))

    def show(self, *, trials: Mapping[str, int], epochs: int, best: float | None) -> None:
        """Sets all metrics to the sweep's present state; Ray reports them within its interval, 10 s by default.

        Args:
            trials: how many are in each of `STATES`.
            epochs: how many this command has trained.
            best: the best value of the metric; None before the first epoch.
        """
        for state, number in trials.items():
            self._trials.set(number, tags={**self._sweep, "state": state})
        busy = trials["running"]
        for state, slots in (("busy", busy), ("idle", max(0, self._all_slots() - busy))):
            self._slots.set(slots, tags={**self._sweep, "state": state})
        if best is not None:
            self._best.set(best, tags=self._sweep | self._metric)
        if epochs > self._reported_epochs:
            self._epochs.inc(epochs - self._reported_epochs, tags=self._sweep)
            self._reported_epochs = epochs


def open_metrics(*, sweep: str, metric: str, slots: Callable[[], int]) -> Metrics | None:
    """A sweep's metrics; None if this environment cannot serve them."""
    if any(find_spec(package) is None for package in _AGENT):
        return None
    from ray.util.metrics import Counter as RayCounter
    from ray.util.metrics import Gauge

    return Metrics(sweep=sweep, metric=metric, slots=slots, gauge=Gauge, counter=RayCounter)

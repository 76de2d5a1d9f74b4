"""Asynchronous successive halving that says what it decided and why.

Li et al. 2020, https://arxiv.org/abs/1810.05934.
"""

import math
from dataclasses import dataclass
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from records.tables import SCREENING


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What became of a trial after an epoch; rung (epochs) and cutoff (metric) if it had reached one.

    The cutoff is None for the first trial at a rung, which is never stopped.
    """

    action: str
    rung: int | None = None
    cutoff: float | None = None


class Screening(ASHAScheduler):
    """ASHA over the trials of the question `screening`; all others go on to their end."""

    def __init__(self, *, metric: str, mode: str, epochs: int, grace: int, reduction: float) -> None:
        super().__init__(
            time_attr="epoch", metric=metric, mode=mode, max_t=epochs, grace_period=grace, reduction_factor=reduction
        )
        self.decisions: dict[str, Decision] = {}

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """ASHA's decision, kept in `decisions` until the recorder takes it."""
        if _question(trial) != SCREENING:
            return str(TrialScheduler.CONTINUE)
        rung, cutoff = self._rung(trial, result)
        action = str(super().on_trial_result(tune_controller, trial, result))
        stopped = action == TrialScheduler.STOP
        self.decisions[trial.trial_id] = Decision(action="stop" if stopped else "continue", rung=rung, cutoff=cutoff)
        return action

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> None:
        """Lets ASHA see the last value of a screened trial."""
        if _question(trial) == SCREENING:
            super().on_trial_complete(tune_controller, trial, result)

    def _rung(self, trial: TuneTrial, result: dict[str, Any]) -> tuple[int | None, float | None]:
        """The rung that this result is about to enter, and its cutoff before it does."""
        epoch = result.get(self._time_attr)
        if epoch is None or self._metric not in result:
            return None, None
        bracket = self._trial_info[trial.trial_id]
        for milestone, recorded in bracket._rungs:  # highest first, as ASHA goes through them
            if epoch >= milestone and trial.trial_id not in recorded:
                cutoff = bracket.cutoff(recorded)
                return math.ceil(milestone), None if cutoff is None else float(self._metric_op * cutoff)
        return None, None


def _question(trial: TuneTrial) -> str:
    return str(trial.config["ticket"].trial.question)

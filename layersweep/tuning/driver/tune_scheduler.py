"""Tune's scheduler: decides which trial starts next, and after each epoch whether its trial goes on.

The decisions are in docs/decisions/early_stopping.md and docs/decisions/resuming.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from layersweep.records.values import Epoch
from layersweep.tuning.common.worker_report import unpack
from layersweep.tuning.driver.early_stopping import Asha
from layersweep.tuning.experiment.asha_settings import GO_ON, Decision
from layersweep.tuning.experiment.trials import Trial


class TrialJudge(Protocol):
    """Knows other reasons than ASHA's to end a trial."""

    def hopeless(self, trial: Trial, epoch: Epoch) -> str | None:
        """Why the trial is hopeless after this epoch; None if it is not. Called for all epochs, in their order."""

    def stop_reason(self, trial: Trial) -> str | None:
        """Why the trial ends now, if a person asks for that, or the time of its search is spent."""


class TuneScheduler(FIFOScheduler):
    """The one scheduler that Tune gets.

    Args:
        asha: ASHA, in its state after the recorded epochs.
        judge: knows other reasons to end a trial.
    """

    def __init__(self, asha: Asha, judge: TrialJudge) -> None:
        super().__init__()
        self._asha, self._judge = asha, judge
        self._new_trials: list[TuneTrial] = []
        self._decisions: dict[str, Sequence[Decision]] = {}

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune pickles its scheduler to resume from, but the records are the only state."""
        return {}

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Notes a trial that waits for an actor, for the first time or again."""
        self._new_trials.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """The first trial that was added since the last call: a free actor takes it, or else an actor is started.

        A trial that was added earlier is not returned: its own actor is starting, and Tune would end that actor if
        another one took the trial. With trials that are shorter than starts, one slot would then do all the work.
        """
        trial = next((trial for trial in self._new_trials if trial.status == TuneTrial.PENDING), None)
        self._new_trials.clear()  # Tune starts actors for all of them at once
        return trial

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> str:
        """Decides on the epochs of a report one after another, up to the first that ends the trial."""
        our_trial: Trial = trial.config["assignment"].trial
        epochs = unpack(result["record"]).epochs
        decisions: list[Decision] = []
        for epoch in epochs:
            decisions.append(self._decide(our_trial, epoch))
            if decisions[-1].action != "continue":
                break
        if decisions and decisions[-1].action == "continue":
            decisions[-1] = self._unless_ended(our_trial, epochs[-1], decisions[-1])
        self._decisions[our_trial.trial_id] = decisions
        ends_trial = decisions and decisions[-1].action != "continue"
        return str(TrialScheduler.STOP if ends_trial else TrialScheduler.CONTINUE)

    def decisions(self, trial: Trial) -> Sequence[Decision]:
        """The decisions on the epochs that a trial has just reported, up to the first that ends it; given out once.

        Tune does not ask about a result that ends its trial by itself: the decision is then to go on.
        """
        return self._decisions.pop(trial.trial_id, (GO_ON,))

    def _unless_ended(self, trial: Trial, epoch: Epoch, decision: Decision) -> Decision:
        """The decision on the last epoch of a report, or a stop on request or if the search's time is spent by now.

        ASHA has seen the epoch in any case, so that a replay puts it into the same state.
        """
        reason = self._judge.stop_reason(trial)
        if reason is None or epoch.epoch >= trial.epochs:
            return decision
        return Decision(action="stop", reason=reason)

    def _decide(self, trial: Trial, epoch: Epoch) -> Decision:
        reason = self._judge.hopeless(trial, epoch)
        if reason is not None:
            return Decision(action="hopeless", reason=reason)
        return self._asha.decide(trial, epoch)

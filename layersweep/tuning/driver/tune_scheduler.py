"""Asynchronous successive halving (ASHA) that says what it decided and why, and that records can rebuild.

Li et al. 2020, https://arxiv.org/abs/1810.05934. Trials are halved among their like: the screening's arms, and each
tuned arm's candidates. Those of a comparison all run to their end.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from layersweep.records.questions import TUNING
from layersweep.records.values import Epoch
from layersweep.tuning.common.worker_report import unpack
from layersweep.tuning.experiment.halving import GO_ON, Decision, Halving
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.storage.history import RecordedEpoch
from trainables.nas import configuration

Hopeless = Callable[[Trial, Epoch], str | None]
"""Why a trial is to be ended as hopeless after an epoch; None if it is not. It is told all epochs, in their order."""

OutOfTime = Callable[[Trial], str | None]


class TuneScheduler(FIFOScheduler):
    """The one Tune scheduler.

    Args:
        halving: ASHA's settings.
        hopeless: judges trials that learn nothing; None lets them run.
        out_of_time: why a trial is to be stopped now, if the time of its search is spent; None lets them run.
    """

    def __init__(
        self, halving: Halving, hopeless: Hopeless | None = None, out_of_time: OutOfTime | None = None
    ) -> None:
        super().__init__()
        self._halving, self.hopeless, self.out_of_time = halving, hopeless, out_of_time
        self._rungs = halving.rungs
        self._groups: dict[str, ASHAScheduler] = {}
        self._recalled: dict[str, dict[int, Decision]] = {}
        self._added: list[TuneTrial] = []
        self._decisions: dict[str, Sequence[Decision]] = {}

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune pickles its scheduler to resume from, but the records are the only state."""
        return {}

    def replay(self, trials: Iterable[Trial], seen: Iterable[RecordedEpoch]) -> dict[str, dict[int, Decision]]:
        """Feeds recorded epochs in their order; returns what is decided of them now, by trial and epoch.

        These epochs are not judged again when a trial that goes on repeats them.
        """
        by_id: dict[str, Trial] = {}
        for trial in trials:
            by_id.setdefault(trial.trial_id, trial)  # a training that two questions ask for runs for the first
        for epoch in seen:
            trial = by_id[epoch.trial_id]
            if epoch.value is None or epoch.decision.action == "hopeless":  # ASHA was not asked
                decision = GO_ON
            else:
                decision = self._judge(trial, epoch.epoch, epoch.value)
            self._recalled.setdefault(trial.trial_id, {})[epoch.epoch] = decision
        return self._recalled

    def rungs(self, trial: Trial) -> frozenset[int]:
        """The epochs after which the trial may be stopped for its metric."""
        return self._rungs if self._halves(trial) else frozenset()

    def _halves(self, trial: Trial) -> bool:
        """Whether the trial is judged: not one that Hyperband trains for so many epochs, and goes on with or not."""
        own = isinstance(trial.arm.config, configuration.Config) and trial.arm.config.epochs is not None
        return trial.question in self._halving.questions and not (own and trial.question == TUNING)

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Notes a trial that waits for an actor, for the first time or again."""
        self._added.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """The first trial that came since the last time: an actor that is free takes it, or else one is started.

        Not one that came before: its own actor is being started, and Tune ends that one if it gives the trial to
        another. Where trials are shorter than starts are, one slot would then do all the work.
        """
        added = next((trial for trial in self._added if trial.status == TuneTrial.PENDING), None)
        self._added.clear()  # Tune has actors started for all of them, at once
        return added

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> str:
        """Decides on the epochs of a report one after another, to the first that ends the trial."""
        ours: Trial = trial.config["ticket"].trial
        decisions: list[Decision] = []
        epochs = unpack(result["record"]).epochs
        for epoch in epochs:
            decisions.append(self._decide(ours, epoch))
            if decisions[-1].action != "continue":
                break
        if decisions and decisions[-1].action == "continue":
            decisions[-1] = self._in_time(ours, epochs[-1], decisions[-1])
        self._decisions[ours.trial_id] = decisions
        ended = decisions and decisions[-1].action != "continue"
        return str(TrialScheduler.STOP if ended else TrialScheduler.CONTINUE)

    def decisions(self, trial: Trial) -> Sequence[Decision]:
        """What was decided of the epochs that a trial has just reported, to the first that ends it; taken once.

        Tune does not ask about what ends a trial by itself: it goes on, for all that is decided.
        """
        return self._decisions.pop(trial.trial_id, (GO_ON,))

    def _in_time(self, trial: Trial, epoch: Epoch, decision: Decision) -> Decision:
        """The decision on the last epoch that came, unless the search's time was spent by then.

        ASHA has been asked all the same: when more time is given and its epochs are replayed, it stands as it did.
        """
        if self.out_of_time is None or epoch.epoch >= trial.epochs:
            return decision
        reason = self.out_of_time(trial)
        return decision if reason is None else Decision(action="stop", reason=reason)

    def _decide(self, trial: Trial, epoch: Epoch) -> Decision:
        reason = self.hopeless(trial, epoch) if self.hopeless is not None else None
        if reason is not None:
            return Decision(action="hopeless", reason=reason)
        recalled = self._recalled.get(trial.trial_id, {})
        for earlier in sorted(e for e in recalled if e < epoch.epoch):
            if recalled[earlier].action == "stop":  # it goes on from a checkpoint behind that epoch
                return recalled[earlier]
        if epoch.epoch in recalled:
            return recalled[epoch.epoch]
        return GO_ON if epoch.diverged else self._judge(trial, epoch.epoch, getattr(epoch, self._halving.metric))

    def _judge(self, trial: Trial, epoch: int, value: float) -> Decision:
        if not self._halves(trial) or epoch >= self._halving.epochs:  # nothing is left to stop
            return GO_ON
        asha = self._group(f"{TUNING} {trial.arm.name}" if trial.question == TUNING else trial.question)
        named = SimpleNamespace(trial_id=trial.trial_id)  # ours keeps its id over commands and retries, Tune's does not
        if trial.trial_id not in asha._trial_info:
            asha.on_trial_add(None, named)
        rung, cutoff = self._rung(asha, trial.trial_id, epoch)
        result = {"epoch": epoch, self._halving.metric: value}
        stopped = asha.on_trial_result(None, named, result) == TrialScheduler.STOP
        return Decision(action="stop" if stopped else "continue", rung=rung, cutoff=cutoff)

    def _group(self, name: str) -> ASHAScheduler:
        if name not in self._groups:
            self._groups[name] = ASHAScheduler(
                time_attr="epoch",
                metric=self._halving.metric,
                mode=self._halving.mode,
                max_t=self._halving.epochs,
                grace_period=self._halving.grace,
                reduction_factor=self._halving.reduction,
            )
        return self._groups[name]

    def _rung(self, asha: ASHAScheduler, trial_id: str, epoch: int) -> tuple[int | None, float | None]:
        """The rung that a result of this epoch is about to enter, and its cutoff before it does."""
        bracket = asha._trial_info[trial_id]
        for milestone, recorded in bracket._rungs:  # highest first, as ASHA goes through them
            if epoch >= milestone and trial_id not in recorded:
                cutoff = bracket.cutoff(recorded)
                return math.ceil(milestone), None if cutoff is None else float(asha._metric_op * cutoff)
        return None, None

"""Asynchronous successive halving (ASHA) that names the rung and cutoff of each decision, and that records can rebuild.

Li et al. 2020, https://arxiv.org/abs/1810.05934, as Ray implements it. Trials compete within a group: the arms of the
screening are one group, and the candidates of each tuned arm are one. Trials of a comparison are never stopped.
"""

import math
from collections.abc import Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING

from layersweep.records.questions import TUNING
from layersweep.records.values import Epoch
from layersweep.tuning.experiment.asha_settings import GO_ON, AshaSettings, Decision
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.storage.history import RecordedEpoch
from trainables.nas import configuration

if TYPE_CHECKING:
    from ray.tune.schedulers import ASHAScheduler


class Asha:
    """ASHA's rungs, and what it has decided.

    Args:
        settings: the settings.
    """

    def __init__(self, settings: AshaSettings) -> None:
        self._settings = settings
        self._rungs = settings.rungs
        self._groups: dict[str, ASHAScheduler] = {}
        self._replayed: dict[str, dict[int, Decision]] = {}

    def replay(self, trials: Iterable[Trial], epochs: Iterable[RecordedEpoch]) -> dict[str, dict[int, Decision]]:
        """Decides on recorded epochs in the order in which drivers saw them; returns the decisions by trial and epoch.

        The flags may have changed since, so a decision may differ from the recorded one. When a trial trains such an
        epoch again, it gets the same decision and enters no rung twice.
        """
        trials_by_id: dict[str, Trial] = {}
        for trial in trials:
            trials_by_id.setdefault(trial.trial_id, trial)  # two questions may ask for one training: the first counts
        for epoch in epochs:
            trial = trials_by_id[epoch.trial_id]
            if epoch.value is None or epoch.decision.action == "hopeless":  # ASHA was not asked
                decision = GO_ON
            else:
                decision = self._judge(trial, epoch.epoch, epoch.value)
            self._replayed.setdefault(trial.trial_id, {})[epoch.epoch] = decision
        return self._replayed

    def rungs(self, trial: Trial) -> frozenset[int]:
        """The epochs after which the trial may be stopped for its metric."""
        return self._rungs if self._halves(trial) else frozenset()

    def decide(self, trial: Trial, epoch: Epoch) -> Decision:
        """Decides on an epoch that has just ended."""
        replayed = self._replayed.get(trial.trial_id, {})
        for earlier in sorted(e for e in replayed if e < epoch.epoch):
            if replayed[earlier].action == "stop":  # the trial continues from a checkpoint behind that epoch
                return replayed[earlier]
        if epoch.epoch in replayed:
            return replayed[epoch.epoch]
        value = getattr(epoch, self._settings.metric)
        return GO_ON if epoch.diverged or value is None else self._judge(trial, epoch.epoch, value)

    def _halves(self, trial: Trial) -> bool:
        """Whether ASHA judges the trial: not if AutoKeras' Hyperband sets the number of its epochs."""
        hyperband = isinstance(trial.arm.config, configuration.Config) and trial.arm.config.epochs is not None
        return trial.question in self._settings.questions and not (hyperband and trial.question == TUNING)

    def _judge(self, trial: Trial, epoch: int, value: float) -> Decision:
        if not self._halves(trial) or epoch >= self._settings.epochs:  # nothing is left to stop
            return GO_ON
        from ray.tune.schedulers import TrialScheduler

        group = self._group(f"{TUNING} {trial.arm.name}" if trial.question == TUNING else trial.question)
        ray_trial = SimpleNamespace(trial_id=trial.trial_id)  # our id stays over commands and retries, Tune's does not
        if trial.trial_id not in group._trial_info:
            group.on_trial_add(None, ray_trial)
        rung, cutoff = _next_rung(group, trial.trial_id, epoch)
        result = {"epoch": epoch, self._settings.metric: value}
        stopped = group.on_trial_result(None, ray_trial, result) == TrialScheduler.STOP
        return Decision(action="stop" if stopped else "continue", rung=rung, cutoff=cutoff)

    def _group(self, name: str) -> "ASHAScheduler":
        from ray.tune.schedulers import ASHAScheduler  # a second, which a command without a halved trial saves

        if name not in self._groups:
            self._groups[name] = ASHAScheduler(
                time_attr="epoch",
                metric=self._settings.metric,
                mode=self._settings.mode,
                max_t=self._settings.epochs,
                grace_period=self._settings.grace,
                reduction_factor=self._settings.reduction,
            )
        return self._groups[name]


def _next_rung(group: "ASHAScheduler", trial_id: str, epoch: int) -> tuple[int | None, float | None]:
    """The rung that a result of this epoch is about to enter, and the rung's cutoff before it does."""
    bracket = group._trial_info[trial_id]
    for milestone, recorded_values in bracket._rungs:  # highest first, in ASHA's order
        if epoch >= milestone and trial_id not in recorded_values:
            cutoff = bracket.cutoff(recorded_values)
            return math.ceil(milestone), None if cutoff is None else float(group._metric_op * cutoff)
    return None, None

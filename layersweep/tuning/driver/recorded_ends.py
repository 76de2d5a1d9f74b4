"""Which trials need not run, since the records say how they ended; and the rows that this adds to the records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from layersweep.records.questions import COMPARISON, FIRST_PHASE, TUNING
from layersweep.tuning.common import kept_weights
from layersweep.tuning.experiment.asha_settings import GO_ON, Decision
from layersweep.tuning.experiment.candidate_limits import SearchLimits, still_refused
from layersweep.tuning.experiment.search_clock import SearchClock
from layersweep.tuning.experiment.settings import Settings
from layersweep.tuning.experiment.trials import Ending, Trial, sign
from layersweep.tuning.runtime.machine import default_slots, memory_share
from layersweep.tuning.storage.history import History


@dataclass(frozen=True, kw_only=True)
class RecordedEnd:
    """How a trial ended; with the row to add if the present flags end it otherwise than its last recorded row says."""

    trial: Trial
    ending: Ending
    due_row: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedEnds:
    """Looks up recorded ends under the present flags. It changes nothing; it remembers what it has looked up.

    Attributes:
        history: the records.
        settings: the command's flags.
        metric: the metric that decides.
        mode: whether it is better when larger (max) or smaller (min).
        decisions: what ASHA decides of the recorded epochs now, by trial and epoch.
        search_clocks: the clock of each search that time limits, by its arm's name, as earlier commands left it.
    """

    history: History
    settings: Settings
    metric: str
    mode: str
    decisions: Mapping[str, Mapping[int, Decision]]
    search_clocks: Mapping[str, SearchClock]
    _cache: dict[tuple[str, str], RecordedEnd | None] = field(default_factory=dict)

    def ending(self, trial: Trial) -> Ending | None:
        """How a trial ended that need not run; None if it has to run."""
        end = self.of(trial)
        return None if end is None else end.ending

    def of(self, trial: Trial) -> RecordedEnd | None:
        """The recorded end of a trial that need not run; None if it has to run."""
        key = trial.trial_id, trial.question
        if key not in self._cache:
            self._cache[key] = self._of(trial)
        return self._cache[key]

    def due(self) -> list[RecordedEnd]:
        """Those with a row to add, in the order in which they were looked up."""
        return [end for end in self._cache.values() if end is not None and end.due_row is not None]

    def clock(self, trial: Trial) -> SearchClock | None:
        """The clock of the search to which a candidate belongs, if time limits it."""
        return self.search_clocks.get(trial.arm.name) if trial.question == TUNING else None

    def _of(self, trial: Trial) -> RecordedEnd | None:
        if trial.question == FIRST_PHASE and not self._has_weights(trial, trial.epochs):
            return None  # other trials are to continue from its weights
        decisions = self.decisions.get(trial.trial_id, {})
        ending = self.history.ending(trial, decisions=decisions, keep_hopeless=self.settings.keep_hopeless)
        if ending is None:
            return self._end_of_candidate(trial) if trial.question == TUNING else None
        if self._lacks_output(trial, ending):
            return None
        row = self.history.missing_row(trial, ending, decisions.get(ending.epoch, GO_ON))
        return RecordedEnd(trial=trial, ending=ending, due_row=row)

    def _end_of_candidate(self, trial: Trial) -> RecordedEnd | None:
        """The end of a candidate that has not ended by itself: it was refused, or its search has no time left."""
        if self._is_refused(trial):
            return RecordedEnd(trial=trial, ending=Ending(outcome="failed", epoch=0, value=None, refused=True))
        clock = self.clock(trial)
        if clock is None or not clock.over_before:
            return None
        ending, row = self.history.stop_at_recorded_end(trial, clock.reason)
        return RecordedEnd(trial=trial, ending=ending, due_row=row)

    def _is_refused(self, trial: Trial) -> bool:
        """Whether a candidate was refused by an estimate, and would be again with this memory and time."""
        refusal, clock = self.history.refusal(trial.trial_id), self.clock(trial)
        if refusal is None:
            return False
        seconds_left = None if clock is None else clock.budget - clock.before
        return still_refused(
            refusal.error,
            SearchLimits(seconds_left=seconds_left, flops_per_second=self.history.flops_per_second),
            flops=refusal.flops,
            train_images=refusal.train_images,
            share_bytes=memory_share(self.settings.slots or default_slots()),
        )

    def _lacks_output(self, trial: Trial, ending: Ending) -> bool:
        """Whether a trial that has completed runs again, for its weights or for a LiteRT conversion."""
        if trial.question != COMPARISON or ending.outcome != "completed":
            return False
        exported_epochs = self.history.attempt(trial.trial_id).alongside.get("exports", frozenset())
        if self.settings.lite and trial.epochs not in exported_epochs:
            return True
        keep = self.settings.keep_weights
        epoch = trial.epochs if keep == "last" else self._best_epoch(trial)
        if epoch is None:  # the records lack the metric: whatever was the best one then
            return keep != "none" and not kept_weights.weights_of(self.settings.results, trial.trial_id)
        return keep != "none" and not self._has_weights(trial, epoch)

    def _has_weights(self, trial: Trial, epoch: int) -> bool:
        return kept_weights.file(self.settings.results, trial.trial_id, epoch).exists()

    def _best_epoch(self, trial: Trial) -> int | None:
        """The first recorded epoch of a trial that no other is better than; None if none has the metric."""
        epochs, factor = self.history.attempt(trial.trial_id).epochs, sign(self.mode)
        values = {epoch: factor * e[self.metric] for epoch, e in epochs.items() if self.metric in e}
        comparable_epochs = [epoch for epoch in values if epoch <= trial.epochs]
        return max(comparable_epochs, key=lambda epoch: (values[epoch], -epoch), default=None)

"""The one Tune callback: hands what Tune brings to the journal, the plan and the display."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial as TuneTrial

from records.write import Writer
from tuning.display import Display
from tuning.journal import Journal
from tuning.plan import Ending, Plan
from tuning.report import Error, unpack
from tuning.scheduler import Decision, Screening
from tuning.sweep import Trial

_GO_ON = Decision(action="continue")


class Recorder(Callback):
    """Records every step; flushes at most once a second; raises KeyboardInterrupt between steps once asked to stop."""

    def __init__(
        self,
        *,
        journal: Journal,
        writer: Writer,
        plan: Plan,
        scheduler: Screening,
        display: Display,
        clock: Callable[[], float],
    ) -> None:
        self._journal, self._writer, self._plan = journal, writer, plan
        self._scheduler, self._display, self._clock = scheduler, display, clock
        self._flushed = clock()
        self.stop_asked = False

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune pickles its callbacks to resume from, but the records are the only state."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """A slot takes a trial."""
        self._journal.started(_trial(trial))
        self._display.started(_trial(trial))

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """A step has ended. The record is taken out of the result, so that Tune does not keep it."""
        ours, report = _trial(trial), unpack(result.pop("record"))
        decision = self._scheduler.decisions.pop(trial.trial_id, _GO_ON)
        ending = self._journal.reported(
            ours,
            report,
            action=decision.action,
            rung=decision.rung,
            cutoff=decision.cutoff,
            busy=len(self._journal.running) - 1,
        )
        if report.epoch is not None:
            self._display.epoch(ours, report.epoch, decision)
        if ending is not None:
            self._ended(ours, ending, report.error)

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The slot itself died, with the trial; once a trial has ended, its slot's death is none of its own."""
        ours = _trial(trial)
        if ours.trial_id not in self._plan.endings:
            error = Error(type="SlotDied", message=_last_words(trial))
            self._ended(ours, self._journal.lost(ours, error), error)

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Between two events: the moment to write, to draw, and to stop."""
        if self.stop_asked:
            raise KeyboardInterrupt
        now = self._clock()
        if now - self._flushed >= 1.0:
            self._writer.flush()
            self._flushed = self._clock()
            self._display.refresh()

    def _ended(self, trial: Trial, ending: Ending, error: Error | None) -> None:
        self._display.ended(trial, ending, error)
        more = self._plan.ended(trial, ending)
        self._journal.planned(more)
        self._display.planned(more)


def _trial(trial: TuneTrial) -> Trial:
    ours: Trial = trial.config["ticket"].trial
    return ours


def _last_words(trial: TuneTrial) -> str:
    """What Tune wrote of the error, below its heading."""
    written = Path(trial.error_file) if trial.error_file else None
    text = written.read_text() if written and written.exists() else ""
    return text.partition("\n")[2].strip() or "the slot's process died without a word"

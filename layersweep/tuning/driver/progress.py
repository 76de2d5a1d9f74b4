"""The display while a sweep runs: one live table in a terminal, one line for each trial elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from layersweep.formatting import count, duration, first_line
from layersweep.records.questions import TUNING
from layersweep.records.values import Epoch
from layersweep.terminal import Console
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.experiment.asha_settings import Decision
from layersweep.tuning.experiment.search_clock import wall
from layersweep.tuning.experiment.trials import Ending, Trial, sign


@dataclass(kw_only=True)
class RunningRow:
    """A trial that runs: a row of the live table. `value` is the metric after its last epoch; None before the first."""

    name: str
    seed: int
    epochs: int
    epoch: int
    value: float | None = None
    rung: str = ""
    is_candidate: bool = False


@dataclass(frozen=True, kw_only=True)
class SweepProgress:
    """How far a command is, by its own events or by its records.

    Attributes:
        trials: the number of trials that it has to run, of those known by now.
        running: those that run.
        outcomes: the number of trials that ended with each outcome.
        best: the best value of the metric by now, and where; None before the first epoch.
        epochs_done: the epochs that have ended.
        epochs_planned: those, and those to come.
        unplanned_epochs: further epochs, for the time left: of trials that are not planned yet.
        search_seconds: the time left of searches that time limits.
        start_time: when the command started.
        now: the time of the same clock.
        outcome: how the command ended; None if it has not.
    """

    trials: int
    running: Sequence[RunningRow]
    outcomes: Mapping[str, int]
    best: tuple[float, str] | None
    epochs_done: int
    epochs_planned: int
    unplanned_epochs: int = 0
    search_seconds: float = 0.0
    start_time: float
    now: float
    outcome: str | None = None

    @property
    def seconds(self) -> float:
        """The time since it started."""
        return max(0.0, self.now - self.start_time)

    @property
    def seconds_left(self) -> float | None:
        """The time left if the epochs to come take as long as those behind; None before the first, and at the end."""
        if not self.epochs_done or self.outcome is not None:
            return None
        to_come = self.epochs_planned - self.epochs_done + self.unplanned_epochs
        return self.seconds / self.epochs_done * to_come + self.search_seconds

    def summary(self, metric: str) -> str:
        """One line: how many trials ended how, the best so far, and the time left."""
        parts = [f"{sum(self.outcomes.values())}/{self.trials} trials"]
        parts += [f"{n} {outcome}" for outcome, n in sorted(self.outcomes.items())]
        if self.best is not None:
            parts.append(f"best {metric} {self.best[0]:.4f} ({self.best[1]})")
        if (left := self.seconds_left) is not None:
            parts.append(f"about {duration(left)} left")
        return " · ".join(parts)

    def footer(self, metric: str) -> str:
        """The text below the live table."""
        return self.summary(metric)

    def table(self, metric: str) -> RenderableType:
        """The live table: a row for each trial that runs, a bar, and a summary."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("running", "seed", "epoch", metric, "rung"):
            table.add_column(name, justify="left" if name in ("running", "rung") else "right", min_width=6)
        for row in self.running:
            value = "" if row.value is None else f"{row.value:.4f}"
            table.add_row(row.name, str(row.seed), f"{row.epoch}/{row.epochs}", value, row.rung)
        bar = Table.grid()  # a bar by itself does not end its line
        bar.add_row(ProgressBar(total=max(1, self.epochs_planned), completed=self.epochs_done, width=40))
        return Group(table, bar, self.footer(metric))


class Display:
    """Follows a sweep; use it as a context manager around the run.

    Args:
        console: where to draw; a live table if it is a terminal.
        metric: the column shown.
        mode: `max` or `min`, whether larger or smaller is better.
        slots: the number of slots now, for the time left of searches.
    """

    def __init__(self, console: Console, *, metric: str, mode: str, slots: Callable[[], int] = lambda: 1) -> None:
        self._console, self._metric, self._mode, self._slots = console, metric, mode, slots
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._rows: dict[str, RunningRow] = {}
        self._outcomes: Counter[str] = Counter()
        self._trials = self._epochs_planned = self._epochs_done = 0
        self._best: tuple[float, str] | None = None
        self._start_time: float | None = None
        self._warnings: set[str] = set()
        self._unplanned_epochs = 0
        self._search_seconds: float | None = None

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def plan(self, trials: Iterable[Trial]) -> None:
        """Adds trials that are to run."""
        for trial in trials:
            self._trials += 1
            self._epochs_planned += trial.epochs

    def start(self, trial: Trial, *, start_epoch: int = 0) -> None:
        """A slot has started a trial, which continues after epoch `start_epoch`."""
        self._start_time = self._start_time or time.monotonic()
        name = " ".join(filter(None, (trial.arm.name, trial.arm.note)))
        self._rows[trial.trial_id] = RunningRow(
            name=name, seed=trial.seed, epochs=trial.epochs, epoch=start_epoch, is_candidate=trial.question == TUNING
        )
        self._epochs_planned -= start_epoch

    def epoch(self, trial: Trial, epoch: Epoch, decision: Decision) -> None:
        """An epoch has ended; `refresh` shows it."""
        row = self._rows[trial.trial_id]
        row.epoch, row.value = epoch.epoch, float(getattr(epoch, self._metric))
        if decision.rung is not None:
            row.rung = rung_text(decision.rung, decision.cutoff)
        self._epochs_done += 1
        better = sign(self._mode)
        if not epoch.diverged and (self._best is None or better * row.value > better * self._best[0]):
            self._best = (row.value, f"{trial.label}, epoch {epoch.epoch}")

    def end(
        self, trial: Trial, ending: Ending, error: Error | None, *, retry: bool = False, reason: str | None = None
    ) -> None:
        """A trial has ended; `retry` if it runs once more, `reason` why it was hopeless or out of time."""
        self._rows.pop(trial.trial_id, None)
        if retry:
            self._epochs_planned += ending.epoch
        else:
            self._outcomes[ending.outcome] += 1
            self._epochs_planned -= trial.epochs - ending.epoch
        if error is not None:
            verb = "tried again" if retry else "failed"
            self.say(f"{verb} {trial.label}: {error.type}: {first_line(error.message)}", style="red")
        elif reason is not None:
            self.say(f"{ending.outcome} {trial.label}: {reason}", style="yellow")
        elif not self._live:
            value = "" if ending.value is None else f", {self._metric} {ending.value:.4f}"
            text = f"{ending.outcome} after {count(ending.epoch, 'epoch')}{value}"
            self.say(f"[{sum(self._outcomes.values())}/{self._trials}] {trial.label}: {text}")

    def drop(self, trial: Trial, reason: str) -> None:
        """A trial that waited is not run."""
        self._outcomes["stopped"] += 1
        self._epochs_planned -= trial.epochs
        self.say(f"stopped {trial.label}: {reason}", style="yellow")

    def warn(self, text: str, *, once: str | None = None) -> None:
        """Prints a warning; once for each text, or for each key `once`."""
        key = once or text
        if key not in self._warnings:
            self._warnings.add(key)
            self.say(f"warning: {text}", style="yellow")

    def say(self, line: str, style: str | None = None) -> None:
        """Prints a line."""
        self._console.print(line, style=style, soft_wrap=True)

    def refresh(self, *, epochs_to_come: int, search_seconds_left: Sequence[float] | None) -> None:
        """Draws the table again.

        Args:
            epochs_to_come: the epochs of trials that are not planned yet, for the time left.
            search_seconds_left: the seconds left of each search that time limits; None if there is no such search.
        """
        self._unplanned_epochs = epochs_to_come
        self._search_seconds = None if search_seconds_left is None else wall(search_seconds_left, self._slots())
        if self._live:
            self._live.update(self.table(), refresh=True)

    def table(self) -> RenderableType:
        """The live table: a row for each trial that runs, and a summary."""
        return self.progress().table(self._metric)

    def summary(self) -> str:
        """One line: how many trials ended how, the best so far, and the time left."""
        return self.progress().summary(self._metric)

    def progress(self) -> SweepProgress:
        """How far the sweep is.

        If time limits searches, the time left is theirs, and that of all epochs except their candidates'.
        """
        running = [*self._rows.values()]
        candidate_epochs = sum(row.epochs - row.epoch for row in running if row.is_candidate)
        now = time.monotonic()
        return SweepProgress(
            trials=self._trials,
            running=running,
            outcomes=self._outcomes,
            best=self._best,
            epochs_done=self._epochs_done,
            epochs_planned=self._epochs_planned,
            unplanned_epochs=self._unplanned_epochs - (0 if self._search_seconds is None else candidate_epochs),
            search_seconds=self._search_seconds or 0.0,
            start_time=now if self._start_time is None else self._start_time,
            now=now,
        )


def rung_text(rung: int, cutoff: float | None) -> str:
    """What a trial had to reach at a rung: `2 ≥ 0.7000`, or `2 first`."""
    return f"{rung}" + (f" ≥ {cutoff:.4f}" if cutoff is not None else " first")

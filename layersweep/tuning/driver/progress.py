"""What a person sees while a sweep runs: one live table in a terminal, one line a trial elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from layersweep.records.questions import TUNING
from layersweep.records.values import Epoch
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.experiment.trials import Ending, Trial, sign
from layersweep.words import count, duration


class Verdict(Protocol):
    """The part of a scheduler's decision that is shown."""

    @property
    def rung(self) -> int | None:
        """Epochs at which the trial was judged."""

    @property
    def cutoff(self) -> float | None:
        """What it had to reach."""


@dataclass
class _Row:
    trial: Trial
    epoch: int = 0
    value: float | None = None
    rung: str = ""


class Display:
    """Follows a sweep; use it as a context manager around the run.

    Args:
        console: where to draw; a live table if it is a terminal.
        metric: the column shown.
        mode: `max` or `min`, whether larger or smaller is better.

    Attributes:
        foreseen: the epochs of trials that are not planned yet, for the time left.
        searching: the seconds until searches end that time bounds; None where there are none.
    """

    def __init__(self, console: Console, *, metric: str, mode: str) -> None:
        self._console, self._metric, self._mode = console, metric, mode
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._rows: dict[str, _Row] = {}
        self._counts: Counter[str] = Counter()
        self._trials = self._epochs_planned = self._epochs_done = 0
        self._best: tuple[float, str] | None = None
        self._began: float | None = None
        self._warned: set[str] = set()
        self.foreseen: Callable[[], int] = lambda: 0
        self.searching: Callable[[], float | None] = lambda: None

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def planned(self, trials: Iterable[Trial]) -> None:
        """More trials are to run."""
        for trial in trials:
            self._trials += 1
            self._epochs_planned += trial.epochs

    def started(self, trial: Trial, *, start: int = 0) -> None:
        """A slot took a trial, which goes on after epoch `start`."""
        self._began = self._began or time.monotonic()
        self._rows[trial.trial_id] = _Row(trial, epoch=start)
        self._epochs_planned -= start
        self.refresh()

    def epoch(self, trial: Trial, epoch: Epoch, decision: Verdict) -> None:
        """An epoch has ended; `refresh` shows it."""
        row = self._rows[trial.trial_id]
        row.epoch, row.value = epoch.epoch, float(getattr(epoch, self._metric))
        if decision.rung is not None:
            row.rung = judged(decision.rung, decision.cutoff)
        self._epochs_done += 1
        better = sign(self._mode)
        if not epoch.diverged and (self._best is None or better * row.value > better * self._best[0]):
            self._best = (row.value, f"{trial.label}, epoch {epoch.epoch}")

    def ended(
        self, trial: Trial, ending: Ending, error: Error | None, *, again: bool = False, reason: str | None = None
    ) -> None:
        """A trial has ended; `again` if it is tried once more, `reason` why it was hopeless."""
        self._rows.pop(trial.trial_id, None)
        if again:
            self._epochs_planned += ending.epoch
        else:
            self._counts[ending.outcome] += 1
            self._epochs_planned -= trial.epochs - ending.epoch
        if error is not None:
            first = error.message.splitlines()[0] if error.message else ""
            word = "tried again" if again else "failed"
            self._say(f"{word} {trial.label}: {error.type}: {first}", style="red")
        elif reason is not None:
            self._say(f"{ending.outcome} {trial.label}: {reason}", style="yellow")
        elif not self._live:
            value = "" if ending.value is None else f", {self._metric} {ending.value:.4f}"
            ended = f"{ending.outcome} after {count(ending.epoch, 'epoch')}{value}"
            self._say(f"[{sum(self._counts.values())}/{self._trials}] {trial.label}: {ended}")
        self.refresh()

    def dropped(self, trial: Trial, reason: str) -> None:
        """A trial that waited is not run."""
        self._counts["stopped"] += 1
        self._epochs_planned -= trial.epochs
        self._say(f"stopped {trial.label}: {reason}", style="yellow")
        self.refresh()

    def warn(self, text: str, *, once: str | None = None) -> None:
        """Says what a person should know; once for each text, or for each key `once`."""
        key = once or text
        if key not in self._warned:
            self._warned.add(key)
            self._say(f"warning: {text}", style="yellow")

    def say(self, line: str) -> None:
        """Says something of interest."""
        self._say(line)

    def refresh(self) -> None:
        """Draws the table anew."""
        if self._live:
            self._live.update(self.table(), refresh=True)

    def table(self) -> RenderableType:
        """The live table: a row for each trial that runs, and a summary."""
        rows = []
        for row in self._rows.values():
            value = "" if row.value is None else f"{row.value:.4f}"
            name = " ".join(filter(None, (row.trial.arm.name, row.trial.arm.note)))
            rows.append((name, str(row.trial.seed), f"{row.epoch}/{row.trial.epochs}", value, row.rung))
        return drawn(
            rows, metric=self._metric, done=self._epochs_done, planned=self._epochs_planned, below=self.summary()
        )

    def summary(self) -> str:
        """One line: how many trials ended how, the best so far, and the time left."""
        ended = sum(self._counts.values())
        parts = [f"{ended}/{self._trials} trials"]
        parts += [f"{n} {outcome}" for outcome, n in sorted(self._counts.items())]
        if self._best is not None:
            parts.append(f"best {self._metric} {self._best[0]:.4f} ({self._best[1]})")
        if (left := self.seconds_left()) is not None:
            parts.append(f"about {duration(left)} left")
        return " · ".join(parts)

    @property
    def epochs_done(self) -> int:
        """The epochs that this command has trained."""
        return self._epochs_done

    @property
    def best(self) -> float | None:
        """The best value of the metric in them; None before the first."""
        return None if self._best is None else self._best[0]

    def seconds_left(self) -> float | None:
        """The time left if the epochs to come take as long as those behind; None before the first.

        Where time bounds searches, it is theirs, and that of all epochs but their candidates'.
        """
        if self._began is None or not self._epochs_done:
            return None
        to_come = self._epochs_planned - self._epochs_done + self.foreseen()
        searching = self.searching()
        if searching is not None:
            rows = self._rows.values()
            to_come -= sum(row.trial.epochs - row.epoch for row in rows if row.trial.question == TUNING)
        return (time.monotonic() - self._began) / self._epochs_done * to_come + (searching or 0.0)

    def _say(self, line: str, style: str | None = None) -> None:
        self._console.print(Text(line), style=style, soft_wrap=True)


def drawn(
    rows: Iterable[tuple[str, str, str, str, str]], *, metric: str, done: int, planned: int, below: str
) -> RenderableType:
    """The live table.

    Args:
        rows: of each trial that runs its name, seed, epoch, value of the metric, and last rung.
        metric: the column shown.
        done: the epochs behind.
        planned: the epochs in all.
        below: what stands below the bar.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("running", "seed", "epoch", metric, "rung"):
        table.add_column(name, justify="left" if name in ("running", "rung") else "right", min_width=6)
    for row in rows:
        table.add_row(*row)
    bar = Table.grid()  # a bar by itself does not end its line
    bar.add_row(ProgressBar(total=max(1, planned), completed=done, width=40))
    return Group(table, bar, Text(below))


def judged(rung: int, cutoff: float | None) -> str:
    """What a trial had to reach at a rung: `2 ≥ 0.7000`, or `2 first`."""
    return f"{rung}" + (f" ≥ {cutoff:.4f}" if cutoff is not None else " first")

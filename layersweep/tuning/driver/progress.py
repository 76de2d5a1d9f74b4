"""The display while a sweep runs: one live table in a terminal, one line for each trial elsewhere."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import rich.console
from rich.console import ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from layersweep.escaping import to_html
from layersweep.formatting import count, duration, first_line, wrapped_parts
from layersweep.records.values import Epoch
from layersweep.terminal import Console
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.driver.time_estimate import Pace, SweepTimes
from layersweep.tuning.experiment.asha_settings import Decision
from layersweep.tuning.experiment.search_clock import wall
from layersweep.tuning.experiment.trials import Ending, Trial, sign
from layersweep.tuning.runtime.frontend import LiveView

_NOTEBOOK_ROWS: Final = 20


@dataclass(kw_only=True)
class RunningRow:
    """A trial that runs: a row of the live table. `value` is the metric after its last epoch; None before the first."""

    name: str
    seed: int
    epochs: int
    epoch: int
    value: float | None = None
    rung: str = ""


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
        seconds_left: about how long it still takes; None if that cannot be told, and at the end.
        outcome: how the command ended; None if it has not.
    """

    trials: int
    running: Sequence[RunningRow]
    outcomes: Mapping[str, int]
    best: tuple[float, str] | None
    epochs_done: int
    epochs_planned: int
    seconds_left: float | None = None
    outcome: str | None = None

    def summary(self, metric: str) -> str:
        """One line: how many trials ended how, the best so far, and the time left."""
        return " · ".join(self.parts(metric))

    def parts(self, metric: str) -> list[str]:
        """The parts of the summary."""
        parts = [f"{sum(self.outcomes.values())}/{self.trials} trials"]
        parts += [f"{n} {outcome}" for outcome, n in sorted(self.outcomes.items())]
        if self.best is not None:
            parts.append(f"best {metric} {self.best[0]:.4f} ({self.best[1]})")
        if self.seconds_left is not None and (self.seconds_left or sum(self.outcomes.values()) < self.trials):
            parts.append(f"about {duration(self.seconds_left)} left")
        return parts

    def footer(self, metric: str) -> list[list[str]]:
        """The lines below the live table, each by its parts."""
        return [self.parts(metric)]

    def table(self, metric: str) -> RenderableType:
        """The live table: a row for each trial that runs, a bar, and a summary."""
        return LiveTable(progress=self, metric=metric)


@dataclass(frozen=True, kw_only=True)
class LiveTable:
    """The live table, as large as the terminal: rows that do not fit are counted, and lines end between words."""

    progress: SweepProgress
    metric: str

    def __rich_console__(self, console: rich.console.Console, options: ConsoleOptions) -> RenderResult:
        """As Rich draws it."""
        progress, width = self.progress, options.max_width
        footer = "\n".join(wrapped_parts(parts, width) for parts in progress.footer(self.metric))
        space = max(1, options.size.height - len(footer.splitlines()) - 3) if console.is_terminal else None
        most = len(progress.running) if space is None else min(space, len(progress.running))
        for number in range(most, -1, -1):
            table = self._table(progress.running[:number])
            if space is None or number == 0 or len(console.render_lines(table, options)) - 1 <= space:
                break
        yield table
        if more := len(progress.running) - number:
            yield Text(f"and {more} more", style="dim")
        bar = Table.grid()  # a bar by itself does not end its line
        bar.add_row(ProgressBar(total=max(1, progress.epochs_planned), completed=progress.epochs_done, width=40))
        yield bar
        yield Text(footer)

    def text(self) -> str:
        """The table as one line, for what shows nothing else."""
        return " · ".join(" · ".join(parts) for parts in self.progress.footer(self.metric))

    def html(self) -> str:
        """The table as HTML for a notebook, in its own colours."""
        progress = self.progress
        names = ("running", "seed", "epoch", self.metric, "rung")
        rows = [
            (row.name, row.seed, f"{row.epoch}/{row.epochs}", "" if row.value is None else f"{row.value:.4f}", row.rung)
            for row in progress.running[:_NOTEBOOK_ROWS]
        ]
        head = "".join(f"<th>{to_html(name)}</th>" for name in names)
        body = "".join(f"<tr>{''.join(f'<td>{to_html(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
        more = len(progress.running) - len(rows)
        notes = [f"and {more} more"] if more else []
        notes += [" · ".join(parts) for parts in progress.footer(self.metric)]
        bar = f'<progress max="{max(1, progress.epochs_planned)}" value="{progress.epochs_done}"></progress>'
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
        return f"<div>{table}{bar}{''.join(f'<div>{to_html(note)}</div>' for note in notes)}</div>"

    def _table(self, rows: Sequence[RunningRow]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("running", "seed", "epoch", self.metric, "rung"):
            is_text = name in ("running", "rung")
            table.add_column(name, justify="left" if is_text else "right", min_width=6, overflow="fold")
        for row in rows:
            value = "" if row.value is None else f"{row.value:.4f}"
            table.add_row(row.name, str(row.seed), f"{row.epoch}/{row.epochs}", value, row.rung)
        return table


class Display:
    """Follows a sweep; use it as a context manager around the run.

    Args:
        console: where to draw; a live table if it is a terminal.
        metric: the column shown.
        mode: `max` or `min`, whether larger or smaller is better.
        pace: what is known of the sweep's time, for the time left.
        live: what shows the live table; None for the console, if that is a terminal.
    """

    def __init__(
        self, console: Console, *, metric: str, mode: str, pace: Pace | None = None, live: LiveView | None = None
    ) -> None:
        self._console, self._metric, self._mode, self._pace = console, metric, mode, pace or Pace()
        self._times = SweepTimes(self._pace)
        self._live = live or (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._rows: dict[str, RunningRow] = {}
        self._outcomes: Counter[str] = Counter()
        self._trials = self._epochs_planned = self._epochs_done = 0
        self._best: tuple[float, str] | None = None
        self._warnings: set[str] = set()
        self._follower_epochs = self._other_epochs = 0
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
        trials = [*trials]
        self._times.plan(trials)
        for trial in trials:
            self._trials += 1
            self._epochs_planned += trial.epochs

    def start(self, trial: Trial, *, start_epoch: int = 0) -> None:
        """A slot has started a trial, which continues after epoch `start_epoch`."""
        self._times.start(trial, start_epoch)
        name = " ".join(filter(None, (trial.arm.name, trial.arm.note)))
        self._rows[trial.trial_id] = RunningRow(name=name, seed=trial.seed, epochs=trial.epochs, epoch=start_epoch)
        self._epochs_planned -= start_epoch

    def epoch(self, trial: Trial, epoch: Epoch, decision: Decision) -> None:
        """An epoch has ended; `refresh` shows it."""
        row = self._rows[trial.trial_id]
        row.epoch, row.value = epoch.epoch, getattr(epoch, self._metric)
        if decision.rung is not None:
            row.rung = rung_text(decision.rung, decision.cutoff)
        self._times.epoch(trial, epoch)
        self._epochs_done += 1
        better = sign(self._mode)
        if epoch.diverged or row.value is None:
            return
        if self._best is None or better * row.value > better * self._best[0]:
            self._best = (row.value, f"{trial.label}, epoch {epoch.epoch}")

    def end(
        self, trial: Trial, ending: Ending, error: Error | None, *, retry: bool = False, reason: str | None = None
    ) -> None:
        """A trial has ended; `retry` if it runs once more, `reason` why it was hopeless or out of time."""
        self._rows.pop(trial.trial_id, None)
        self._times.end(trial, retry=retry)
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
        self._times.end(trial, retry=False)
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

    def refresh(
        self, *, epochs_to_come: int, follower_epochs: int = 0, search_seconds_left: Sequence[float] | None
    ) -> None:
        """Draws the table again.

        Args:
            epochs_to_come: the epochs of trials that are not planned yet, for the time left.
            follower_epochs: those of them that follow when the planned trials have ended.
            search_seconds_left: the seconds left of each search that time limits; None if there is no such search.
        """
        self._follower_epochs, self._other_epochs = follower_epochs, epochs_to_come - follower_epochs
        self._search_seconds = None if search_seconds_left is None else wall(search_seconds_left, self._pace.slots())
        if self._live:
            self._live.update(self.table(), refresh=True)

    def table(self) -> RenderableType:
        """The live table: a row for each trial that runs, and a summary."""
        return self.progress().table(self._metric)

    def summary(self) -> str:
        """One line: how many trials ended how, the best so far, and the time left."""
        return self.progress().summary(self._metric)

    def progress(self) -> SweepProgress:
        """How far the sweep is."""
        return SweepProgress(
            trials=self._trials,
            running=[*self._rows.values()],
            outcomes=self._outcomes,
            best=self._best,
            epochs_done=self._epochs_done,
            epochs_planned=self._epochs_planned,
            seconds_left=self._times.seconds_left(
                follower_epochs=self._follower_epochs,
                other_epochs=self._other_epochs,
                search_seconds=self._search_seconds,
            ),
        )


def rung_text(rung: int, cutoff: float | None) -> str:
    """What a trial had to reach at a rung: `2 ≥ 0.7000`, or `2 first`."""
    return f"{rung}" + (f" ≥ {cutoff:.4f}" if cutoff is not None else " first")

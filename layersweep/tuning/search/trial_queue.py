"""Which trials run, in which order: those asked for, candidates that searches draw, what follows from their ends."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from layersweep.records.questions import TUNING
from layersweep.tuning.experiment.trials import Ending, Trial, sign
from layersweep.tuning.search.arm_search import ArmSearch
from layersweep.tuning.search.waiting_trials import WaitingTrials
from layersweep.words import count

SURVIVORS: Final = 2
"""At least this many arms are compared after a screening, if so many did not fail."""


Then = Callable[[Mapping[str, Ending]], Sequence[Trial]]


class Plan:
    """Trials that wait for a slot.

    Args:
        first: the trials to start with.
        then: when all of them have ended, names more from their endings (by trial id).
        searches: draw more whenever a slot is free and none of the others waits, each in its turn.
        known: how a trial ended that is recorded already, so that it is not run; None if it has to run.
        retries: how often a trial that lost its process is tried again.
        compared: the epochs that the trials of `then` take at most.
        together: whether a slot is given trials of one arm after another (see `waiting_trials`).

    Attributes:
        trials: those it has, in the order in which they came.
        endings: how those that ended did, by their id.
        outcomes: how many ended with each outcome.
        added: told of trials that searches draw.
        orphaned: told of a trial that cannot go on from its first phase, and how that ended.
        broken_off: told of a trial that waits and is not run, and why; says how it has ended.
    """

    def __init__(
        self,
        first: Sequence[Trial],
        *,
        then: Then | None = None,
        compared: int = 0,
        searches: Iterable[ArmSearch] = (),
        known: Callable[[Trial], Ending | None] | None = None,
        retries: int = 0,
        together: bool = False,
    ) -> None:
        self.trials: list[Trial] = []
        self.endings: dict[str, Ending] = {}
        self.outcomes: Counter[str] = Counter()
        self.added: Callable[[Sequence[Trial]], None] = _unheard
        self.orphaned: Callable[[Trial, Ending], None] = _unmourned
        self.broken_off: Callable[[Trial, str], Ending] = _not_begun
        self._waiting = WaitingTrials(together=together)
        self._held: dict[str, list[Trial]] = {}
        self._freed: deque[str] = deque()
        self._asked: set[str] = set()
        self._running: dict[str, Trial] = {}
        self._then, self._known, self._retries = then, known, retries
        self._compared = compared
        self._tries: Counter[tuple[str, bool]] = Counter()
        self._first = [trial.trial_id for trial in first]
        self._searches = deque(searches)
        self._add(first)
        self._go_on()
        for search in self._searches:
            for trial in self._add(search.recorded):
                if trial.trial_id in self.endings:
                    self.ended(trial, self.endings[trial.trial_id])

    def next(self) -> Trial | None:
        """The next trial to start; None if none is waiting now."""
        trial = self._next()
        if trial is not None:
            self._running[trial.trial_id] = trial
        return trial

    def _next(self) -> Trial | None:
        after = self._freed.popleft() if self._freed else None
        if (taken := self._take(after)) is not None:
            return taken
        for _ in range(len(self._searches)):
            self._searches.rotate(-1)
            search = self._searches[-1]
            while not self._holds(search) and (trial := search.next()) is not None:
                added = self._add([trial])
                ending = self.endings.get(trial.trial_id)  # another sweep may have trained it
                self.added([*added, *([] if ending is None else self.ended(trial, ending))])
                if (taken := self._take(after)) is not None:
                    return taken
            if followed := search.late():
                self.added(self._add(followed))
                if (taken := self._take(after)) is not None:
                    return taken
        return None

    def _take(self, after: str | None) -> Trial | None:
        """The next of those that wait, for a slot that has trained the arm `after`."""
        running = {trial.arm.name for trial in self._running.values()}
        return self._waiting.take(after=after, running=running, ready=self._ready)

    def _ready(self, trial: Trial) -> bool:
        return not any(search.holds_back(trial, self._running) for search in self._searches)

    def _holds(self, search: ArmSearch) -> bool:
        """Whether a trial that a search drew waits for its first phase: the search learns of it first."""
        return any(search.owns(child) for held in self._held.values() for child in held)

    def _searches_of(self, trial: Trial) -> list[ArmSearch]:
        """The searches of which the trial is an open candidate."""
        return [search for search in self._searches if search.owns(trial)]

    def started(self, trial: Trial) -> None:
        """Notes that a slot has taken a trial."""
        for search in self._searches_of(trial):
            search.started(trial)

    def again(self, trial: Trial, *, at_least: int = 0) -> bool:
        """Whether a trial that lost its process is tried once more; it then waits at the front."""
        if self.out_of_time(trial) is not None:
            return False
        of_its_kind = trial.trial_id, at_least > 0  # lost nodes do not use up the retries
        self._tries[of_its_kind] += 1
        if self._tries[of_its_kind] > max(self._retries, at_least):
            return False
        self._running.pop(trial.trial_id, None)
        for search in self._searches_of(trial):
            search.paused(trial)
        self._waiting.append_first(trial)
        return True

    def out_of_time(self, trial: Trial) -> str | None:
        """Why a candidate is to end after its present epoch, if its search has spent its time."""
        if trial.question != TUNING:
            return None
        return next(filter(None, (search.out_of_time for search in self._searches_of(trial))), None)

    def seconds_left(self, trial: Trial) -> float | None:
        """The time that is left to a candidate's search; None if nothing bounds it."""
        return min(_timed(search.seconds_left for search in self._searches_of(trial)), default=None)

    @property
    def searching(self) -> list[float] | None:
        """The seconds left of each search that time bounds, if one is left; None where there are none."""
        return _timed(search.seconds_left for search in self._searches) or None

    def ended(self, trial: Trial, ending: Ending) -> list[Trial]:
        """Notes how a trial ended. Returns the trials that this adds to the plan."""
        self._note(trial, ending)
        if self._running.pop(trial.trial_id, None) is not None:
            self._freed.append(trial.arm.name)
        for child in self._held.pop(trial.trial_id, []):
            if ending.outcome == "completed":
                self._waiting.append(child)
            else:
                self.orphaned(child, ending)
        followed = [self._add(search.ended(trial, ending)) for search in self._searches_of(trial)]
        return [*self._go_on(), *(t for trials in followed for t in trials), *self._break_off()]

    def _break_off(self) -> list[Trial]:
        """Ends candidates that wait though their search has spent its time; returns the trials that follow."""
        followed: list[Trial] = []
        while any(search.out_of_time for search in self._searches):
            late = next((trial for trial in self._waiting if self.out_of_time(trial)), None)
            if late is None:
                break
            self._waiting.remove(late)
            followed += self.ended(late, self.broken_off(late, self.out_of_time(late) or ""))
        return followed

    def _note(self, trial: Trial, ending: Ending) -> None:
        before = self.endings.get(trial.trial_id)
        if before is not None:
            self.outcomes[before.outcome] -= 1
        self.endings[trial.trial_id] = ending
        self.outcomes[ending.outcome] += 1

    @property
    def waiting(self) -> list[Trial]:
        """The trials that are known and not started, also those whose first phase is not over."""
        return [*self._waiting, *(child for held in self._held.values() for child in held)]

    @property
    def size(self) -> int:
        """How many trials it has: those that wait, run or ended."""
        return len(self._asked)

    @property
    def foreseen(self) -> int:
        """The epochs that trials which are not known yet may take at most."""
        return sum(search.foreseen for search in self._searches) + (self._compared if self._then else 0)

    def describe(self) -> str:
        """The trials counted by arm, seed and question."""
        parts = []
        for question in dict.fromkeys(trial.question for trial in self.trials):
            trials = [trial for trial in self.trials if trial.question == question]
            parts.append(f"{question}: {count(len({t.arm.name for t in trials}), 'arm')} on {_replicates(trials)}")
        return ", ".join([*parts, *(["then the survivors compared"] if self._then else [])])

    @property
    def finished(self) -> bool:
        """Whether no trial is left to start, now or later: one that runs may have to be tried again."""
        idle = not self._waiting and not self._running and not self._held
        return idle and self._then is None and all(search.over for search in self._searches)

    def _go_on(self) -> list[Trial]:
        if self._then is None or any(trial_id not in self.endings for trial_id in self._first):
            return []
        more, self._then = list(self._then(self.endings)), None
        return self._add(more)

    def _add(self, trials: Sequence[Trial]) -> list[Trial]:
        """Takes trials into the plan; returns them, with those that they go on from before them."""
        added: list[Trial] = []
        for trial in trials:  # two arms may be the same configuration: it is trained once
            added += [trial] if trial.trial_id in self._asked else self._enter(trial)
        self.trials.extend(added)
        return added

    def _enter(self, trial: Trial) -> list[Trial]:
        """Lets a new trial wait, for the one that it goes on from if it does; returns both, or it alone."""
        self._asked.add(trial.trial_id)
        parent, ending = trial.parent, self._known(trial) if self._known else None
        if ending is not None:
            self._note(trial, ending)
            return [trial]
        if parent is None:
            self._waiting.append(trial)
            return [trial]
        before = [] if parent.trial_id in self._asked else self._enter(parent)
        ending = self.endings.get(parent.trial_id)
        if ending is None:
            self._held.setdefault(parent.trial_id, []).append(trial)
        elif ending.outcome == "completed":
            self._waiting.append(trial)
        else:
            self._note(trial, Ending(outcome="failed", epoch=0, value=None))
            self.orphaned(trial, ending)
        return [*before, trial]


def _timed(seconds: Iterable[float | None]) -> list[float]:
    return [each for each in seconds if each is not None]


def _unheard(_trials: Sequence[Trial]) -> None:
    """Until somebody wants to know what searches draw."""


def _unmourned(_child: Trial, _ending: Ending) -> None:
    """Until somebody wants to know what cannot go on from its first phase."""


def _not_begun(_trial: Trial, _reason: str) -> Ending:
    """Until somebody knows what is recorded of a trial that is not run."""
    return Ending(outcome="stopped", epoch=0, value=None)


def survivors(screened: Sequence[Trial], endings: Mapping[str, Ending], *, control: str | None, mode: str) -> list[str]:
    """The names of the arms to compare: those that a screening did not stop, the control, and at least two.

    Arms that diverged or failed are not among them. Where fewer than two are left, the arms that came furthest and
    were best there fill up.
    """
    sound = [t for t in screened if endings[t.trial_id].sound]

    def merit(trial: Trial) -> tuple[int, float]:
        ending = endings[trial.trial_id]
        return ending.epoch, sign(mode) * (ending.value if ending.value is not None else float("-inf"))

    ranked = sorted(sound, key=merit, reverse=True)
    kept = [t.arm.name for t in ranked if endings[t.trial_id].outcome == "completed"]
    for trial in ranked:
        if trial.arm.name not in kept and (len(kept) < SURVIVORS or trial.arm.name == control):
            kept.append(trial.arm.name)
    return kept


def _replicates(trials: Sequence[Trial]) -> str:
    """`3 seeds`, `5 folds`, or `2 seeds x 5 folds`."""
    seeds = count(len({t.seed for t in trials}), "seed")
    folds = {t.data.fold for t in trials} - {None}
    if not folds:
        return seeds
    return count(len(folds), "fold") if seeds == "1 seed" else f"{seeds} x {count(len(folds), 'fold')}"

"""Which trial runs next: those that were asked for, candidates that searches draw, and what follows when trials end."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from layersweep.records.questions import TUNING
from layersweep.tuning.experiment.trials import Ending, Trial, sign
from layersweep.tuning.search.arm_search import ArmSearch
from layersweep.tuning.search.waiting_trials import WaitingTrials

FEWEST_SURVIVORS: Final = 2
"""After a screening at least so many arms are compared, if so many are sound."""

Followers = Callable[[Mapping[str, Ending]], Sequence[Trial]]
"""The trials that follow from how others ended, by trial id."""


def _not_recorded(_trial: Trial) -> None:
    """For a queue without records: every trial runs."""


@dataclass(frozen=True, kw_only=True)
class QueuePlan:
    """What a queue begins with.

    Attributes:
        first_trials: the trials that run first.
        followers: makes the trials that follow when all of the first have ended; None if none follow.
        follower_epochs: the epochs that those may take.
        recorded_end: how a trial ended that is recorded and need not run; None if it has to run.
        retries: how often a trial that lost its process runs again.
        by_arm: whether a slot gets the trials of one arm after another (`waiting_trials`).
    """

    first_trials: Sequence[Trial]
    followers: Followers | None = None
    follower_epochs: int = 0
    recorded_end: Callable[[Trial], Ending | None] = _not_recorded
    retries: int = 0
    by_arm: bool = False


@dataclass(frozen=True, kw_only=True)
class QueueChanges:
    """What a step of a queue has changed, for those who record and show it.

    Attributes:
        added: trials that are new in the queue.
        orphans: trials that cannot run, since their first phase ended badly; each with the ending of that.
        late_candidates: candidates that waited until their search's time was spent, each with the reason. They have
            left the queue, which has to be told how they ended.
    """

    added: Sequence[Trial] = ()
    orphans: Sequence[tuple[Trial, Ending]] = ()
    late_candidates: Sequence[tuple[Trial, str]] = ()

    @classmethod
    def join(cls, changes: Sequence["QueueChanges"]) -> Self:
        """Several changes as one, in their order."""
        return cls(
            added=[trial for each in changes for trial in each.added],
            orphans=[orphan for each in changes for orphan in each.orphans],
            late_candidates=[candidate for each in changes for candidate in each.late_candidates],
        )

    def __add__(self, other: "QueueChanges") -> "QueueChanges":
        return self.join([self, other])


class TrialQueue:
    """Trials that wait for a slot. It knows nothing of rows or displays: each step returns what it has changed.

    Args:
        plan: what it begins with.
        searches: they draw candidates whenever a slot is free and no other trial waits, each in its turn.

    Attributes:
        trials: all that it has had, in the order in which they came.
        endings: how those that ended did, by id.
        outcomes: how many ended with each outcome.
        closed: whether no other trial is to start.
    """

    def __init__(self, plan: QueuePlan, searches: Iterable[ArmSearch] = ()) -> None:
        self.trials: list[Trial] = []
        self.endings: dict[str, Ending] = {}
        self.outcomes: Counter[str] = Counter()
        self.closed = False
        self._plan, self._followers = plan, plan.followers
        self._searches = deque(searches)
        self._waiting = WaitingTrials(by_arm=plan.by_arm)
        self._children: dict[str, list[Trial]] = {}
        """Trials that wait for their first phase, by its id."""
        self._ready_children: list[Trial] = []
        """New trials whose first phase has ended."""
        self._arms_of_free_slots: deque[str] = deque()
        self._ids: set[str] = set()
        self._running: dict[str, Trial] = {}
        self._tries: Counter[tuple[str, bool]] = Counter()
        self._add(plan.first_trials)
        self._follow_first_trials()
        for search in self._searches:
            for trial in self._add(search.plan.recorded_candidates).added:
                if trial.trial_id in self.endings:
                    self._end_recorded(trial, self.endings[trial.trial_id])

    def _end_recorded(self, trial: Trial, ending: Ending) -> None:
        """Ends a recorded candidate, and those that wait for a search whose time earlier commands have spent."""
        for late_candidate, _ in self.end(trial, ending).late_candidates:
            self._end_recorded(late_candidate, _STOPPED_ENDING)

    def next(self) -> tuple[Trial | None, QueueChanges]:
        """The next trial to start, None if no trial is ready now."""
        if self.closed:
            return None, QueueChanges()
        trial, changes = self._next()
        if trial is not None:
            self._running[trial.trial_id] = trial
        return trial, changes

    def _next(self) -> tuple[Trial | None, QueueChanges]:
        last_arm = self._arms_of_free_slots.popleft() if self._arms_of_free_slots else None
        changes = QueueChanges()
        if (trial := self._pop(last_arm)) is not None:
            return trial, changes
        for _ in range(len(self._searches)):
            self._searches.rotate(-1)
            search = self._searches[-1]
            while not self._waits_for_first_phase(search) and (candidate := search.next()) is not None:
                changes += self._add([candidate])
                if (ending := self.endings.get(candidate.trial_id)) is not None:  # another sweep has trained it
                    changes += self.end(candidate, ending)
                if (trial := self._pop(last_arm)) is not None:
                    return trial, changes
            if comparison := search.comparison():
                changes += self._add(comparison)
                if (trial := self._pop(last_arm)) is not None:
                    return trial, changes
        return None, changes

    def _pop(self, last_arm: str | None) -> Trial | None:
        running_arms = {trial.arm.name for trial in self._running.values()}
        return self._waiting.pop(last_arm=last_arm, running_arms=running_arms, is_ready=self._is_ready)

    def _is_ready(self, trial: Trial) -> bool:
        return not any(search.holds_back(trial, self._running) for search in self._searches)

    def _waits_for_first_phase(self, search: ArmSearch) -> bool:
        """Whether a candidate of the search waits for its first phase: the search draws no other before."""
        return any(search.owns(child) for children in self._children.values() for child in children)

    def _searches_of(self, trial: Trial) -> list[ArmSearch]:
        """The searches of which the trial is an open candidate."""
        return [search for search in self._searches if search.owns(trial)]

    def start(self, trial: Trial) -> None:
        """Notes that a slot has started a trial."""
        for search in self._searches_of(trial):
            search.start_clock(trial)

    def retry(self, trial: Trial, *, at_least: int = 0) -> bool:
        """Whether a trial that lost its process runs once more; it then waits at the front.

        Args:
            trial: the trial.
            at_least: the number of tries for this kind of loss, if it is more than the plan's retries. Losses of a
                node, which have such a number, do not use up the retries of others.
        """
        if self.closed or self.out_of_time(trial) is not None:
            return False
        kind_of_loss = trial.trial_id, at_least > 0
        self._tries[kind_of_loss] += 1
        if self._tries[kind_of_loss] > max(self._plan.retries, at_least):
            return False
        self._running.pop(trial.trial_id, None)
        for search in self._searches_of(trial):
            search.stop_clock(trial)
        self._waiting.append_first(trial)
        return True

    def trial(self, trial_id: str) -> Trial | None:
        """The trial with this id; None if the queue has never had it."""
        return next((trial for trial in self.trials if trial.trial_id == trial_id), None)

    def is_running(self, trial: Trial) -> bool:
        """Whether a slot has the trial, or is about to."""
        return trial.trial_id in self._running

    def remove(self, trial: Trial) -> bool:
        """Takes out a trial that waits for a slot or its first phase; False if it does not. `end` must follow."""
        for children in self._children.values():
            if trial in children:
                children.remove(trial)
                return True
        if trial not in self._waiting:
            return False
        self._waiting.remove(trial)
        return True

    def out_of_time(self, trial: Trial) -> str | None:
        """Why a candidate ends after its present epoch, if its search's time is spent."""
        if trial.question != TUNING:
            return None
        return next(filter(None, (search.out_of_time for search in self._searches_of(trial))), None)

    def seconds_left(self, trial: Trial) -> float | None:
        """The time that is left to a candidate's search; None if time does not limit it."""
        return min(_numbers(search.seconds_left for search in self._searches_of(trial)), default=None)

    @property
    def search_seconds_left(self) -> list[float] | None:
        """The seconds left to each search that time limits; None if there is no such search."""
        return _numbers(search.seconds_left for search in self._searches) or None

    def end(self, trial: Trial, ending: Ending) -> QueueChanges:
        """Notes how a trial ended; what follows from that enters the queue."""
        self._note(trial, ending)
        if self._running.pop(trial.trial_id, None) is not None:
            self._arms_of_free_slots.append(trial.arm.name)
        changes = QueueChanges()
        for child in self._children.pop(trial.trial_id, []):
            if ending.outcome == "completed":
                self._waiting.append(child)
            else:
                changes += QueueChanges(orphans=[(child, ending)]) + self.end(child, _FAILED_ENDING)
        comparisons = [self._add(search.end(trial, ending)) for search in self._searches_of(trial)]
        changes += QueueChanges.join([self._follow_first_trials(), *comparisons])
        return changes + QueueChanges(late_candidates=self._remove_late_candidates())

    def _remove_late_candidates(self) -> list[tuple[Trial, str]]:
        """Takes out the candidates that wait although their search's time is spent; returns them with the reason."""
        if not any(search.out_of_time for search in self._searches):
            return []
        late = [(trial, reason) for trial in self._waiting if (reason := self.out_of_time(trial)) is not None]
        for trial, _ in late:
            self._waiting.remove(trial)
        return late

    def _note(self, trial: Trial, ending: Ending) -> None:
        earlier = self.endings.get(trial.trial_id)
        if earlier is not None:
            self.outcomes[earlier.outcome] -= 1
        self.endings[trial.trial_id] = ending
        self.outcomes[ending.outcome] += 1

    @property
    def waiting(self) -> list[Trial]:
        """The trials that have not started, those included that wait for their first phase."""
        return [*self._waiting, *(child for children in self._children.values() for child in children)]

    @property
    def size(self) -> int:
        """The number of trials that wait, run or have ended."""
        return len(self._ids)

    @property
    def has_followers(self) -> bool:
        """Whether trials are to follow from how the first ones end."""
        return self._followers is not None

    @property
    def epochs_to_come(self) -> int:
        """The most epochs that trials may take which are not in the queue yet."""
        return sum(search.epochs_to_come for search in self._searches) + self.follower_epochs

    @property
    def follower_epochs(self) -> int:
        """Those of them that follow from how the first trials end."""
        return self._plan.follower_epochs if self._followers else 0

    @property
    def finished(self) -> bool:
        """Whether no trial is left to start, now or later: a trial that runs may have to run again."""
        is_idle = not self._waiting and not self._running and not self._children
        return is_idle and self._followers is None and all(search.over for search in self._searches)

    def _follow_first_trials(self) -> QueueChanges:
        if self._followers is None or any(t.trial_id not in self.endings for t in self._plan.first_trials):
            return QueueChanges()
        trials, self._followers = self._followers(self.endings), None
        return self._add(trials)

    def _add(self, trials: Sequence[Trial]) -> QueueChanges:
        """Takes trials into the queue, and before them the first phases that they continue.

        A trial whose first phase is recorded waits behind the others, where it would be if its first phase had just
        ended: with one slot, a command that was killed then runs trials in the order of an undisturbed one.
        """
        changes = QueueChanges.join([  # two arms may have the same configuration, which is trained once
            QueueChanges(added=[trial]) if trial.trial_id in self._ids else self._enter(trial) for trial in trials
        ])  # fmt: skip
        self.trials.extend(changes.added)
        for child in self._ready_children:
            self._waiting.append(child)
        self._ready_children.clear()
        return changes

    def _enter(self, trial: Trial) -> QueueChanges:
        """Lets a new trial wait for a slot, or for its first phase, which enters before it."""
        self._ids.add(trial.trial_id)
        ending = self._plan.recorded_end(trial)
        if ending is not None:
            self._note(trial, ending)
            return QueueChanges(added=[trial])
        if trial.parent is None:
            self._waiting.append(trial)
            return QueueChanges(added=[trial])
        parent_id = trial.parent.trial_id
        before = QueueChanges() if parent_id in self._ids else self._enter(trial.parent)
        changes = before + QueueChanges(added=[trial])
        ending = self.endings.get(parent_id)
        if ending is None:
            self._children.setdefault(parent_id, []).append(trial)
        elif ending.outcome == "completed":
            self._ready_children.append(trial)
        else:
            self._note(trial, _FAILED_ENDING)
            changes += QueueChanges(orphans=[(trial, ending)])
        return changes


_FAILED_ENDING: Final = Ending(outcome="failed", epoch=0, value=None)
_STOPPED_ENDING: Final = Ending(outcome="stopped", epoch=0, value=None)


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def survivors(screened: Sequence[Trial], endings: Mapping[str, Ending], *, control: str | None, mode: str) -> list[str]:
    """The names of the arms to compare: those that a screening did not stop, the control, and at least two.

    Arms that diverged or failed are left out. If fewer than two remain, the stopped arms that trained longest and had
    the best metric fill up, except those that a person stopped.
    """
    sound = [t for t in screened if endings[t.trial_id].sound]

    def merit(trial: Trial) -> tuple[int, float]:
        ending = endings[trial.trial_id]
        return ending.epoch, sign(mode) * (ending.value if ending.value is not None else float("-inf"))

    by_merit = sorted(sound, key=merit, reverse=True)
    names = [t.arm.name for t in by_merit if endings[t.trial_id].outcome == "completed"]
    for trial in by_merit:
        fills_up = len(names) < FEWEST_SURVIVORS and not endings[trial.trial_id].requested
        if trial.arm.name not in names and (fills_up or trial.arm.name == control):
            names.append(trial.arm.name)
    return names

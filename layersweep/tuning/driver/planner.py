"""The planner: from what is asked for and what is recorded to a plan, without side effects.

The time of a trial is estimated from recorded trials of its family, data set and image size. The decisions behind the
plan are in docs/decisions/resuming.md and docs/decisions/early_stopping.md.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Final

from layersweep.formatting import count
from layersweep.records.questions import COMPARISON, SCREENING, TUNING
from layersweep.records.spans import total_seconds
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.driver.early_stopping import Asha
from layersweep.tuning.driver.recorded_ends import RecordedEnd, RecordedEnds
from layersweep.tuning.driver.search_factory import arm_search
from layersweep.tuning.driver.time_estimate import Pace, TimeEstimate, TrialToRun
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.asha_settings import AshaSettings
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import ALL_SEEDS_UP_TO, grace_epochs
from layersweep.tuning.experiment.trials import Ending, Trial, TrialFactory, visible_data
from layersweep.tuning.experiment.tuned_arms import TunedArm, sample_arms
from layersweep.tuning.search.arm_search import SearchPlan
from layersweep.tuning.search.autokeras_sampler import OracleProcess
from layersweep.tuning.search.trial_queue import QueuePlan, TrialQueue, survivors
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.storage.history import History
from trainables import config as domains
from trainables.data.dataset import Data
from trainables.meaning import MEANING
from trainables.nas import configuration

BY_ARM_UP_TO_IMAGES: Final = 30_000
"""If a trial trains on at most so many images, epoch by epoch, a slot trains one arm's seeds one after another: tracing
a model, which the slot then does once an arm, is a tenth of such a trial or more."""

SCREENING_SEED: Final = 0
"""The seed on which arms are screened and candidates tried, unless --search-seed says otherwise. Comparisons have the
seeds from 1 on."""

SEARCH_SEED_OFFSET: Final = 1_000_000
"""What is added to a --search-seed other than 0 for its candidates' trainings: no comparison has such a seed."""


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What a command has to do. Nothing in it changes, except ASHA, which the run takes over in its present state.

    Attributes:
        request: what the command asks for.
        data: the data.
        history: the records.
        asha_settings: ASHA's settings.
        asha: ASHA, in its state after the recorded epochs.
        queue: what the run's queue begins with.
        searches: the searches of tuned arms.
        trials: the trials that are known by now.
        endings: how those ended that need not run, by id.
        to_run: the others, with the epoch after which each continues.
        due_ends: recorded trials that end otherwise under the present flags: their rows are added to the records.
        finished: whether nothing is left to do.
        has_followers: whether a comparison follows the screening.
        epochs_to_come: the most epochs of trials that are not known yet.
        estimate: how long it takes.
    """

    request: Request
    data: Data
    history: History
    asha_settings: AshaSettings
    asha: Asha
    queue: QueuePlan
    searches: Sequence[SearchPlan]
    trials: Sequence[Trial]
    endings: Mapping[str, Ending]
    to_run: Sequence[TrialToRun]
    due_ends: Sequence[RecordedEnd]
    finished: bool
    has_followers: bool
    epochs_to_come: int
    estimate: TimeEstimate

    @property
    def arms_to_train(self) -> list[Arm]:
        """The arms of trials that are to run, and samples of each tuned arm."""
        return [*(each.trial.arm for each in self.to_run), *sample_arms(self.request.tuned_arms)]

    @property
    def earlier_meaning(self) -> int | None:
        """The meaning of the training code when the sweep was last run, if it was another one."""
        return self.history.other_meaning(MEANING)

    @property
    def trials_without_metric(self) -> list[Trial]:
        """The trials that need not run, and whose records lack the metric that decides."""
        metric, trials = self.request.sweep.metric, {trial.trial_id: trial for trial in self.trials}
        return [trials[id_] for id_ in trials if id_ in self.endings and self.history.lacks(id_, metric)]

    @property
    def uses_oracles(self) -> bool:
        """Whether AutoKeras' oracles search."""
        return any(arm.oracle for arm in self.request.tuned_arms)

    def pace(self, slots: Callable[[], int]) -> Pace:
        """What is known of the sweep's time before it runs; `slots` tells how many there are now."""
        asha = self.asha_settings
        stops = dict.fromkeys(asha.rungs, 1.0 - 1.0 / asha.reduction) if asha.questions else {}

        def epoch_seconds(trial: Trial) -> float | None:
            rate = seconds_per_image(self.history, self.request, trial)
            return None if rate is None else rate * trial.data.train_images

        return Pace(slots=slots, epoch_seconds=epoch_seconds, expected_stops=stops)

    def trial_queue(self, oracles: OracleProcess, now: Callable[[], float]) -> TrialQueue:
        """A new queue, in its state after what is recorded; `now` is the clock of searches that time limits."""
        searches = [arm_search(self.request, self.data, search, oracles, now) for search in self.searches]
        return TrialQueue(self.queue, searches)


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Computes a plan. It reads the records, and changes nothing but its own cache of what it has computed.

    Attributes:
        request: what a command asks for.
        data: its data.
        history: the records.
        network_revisions: see `TrialFactory`.
    """

    request: Request
    data: Data
    history: History
    network_revisions: Mapping[str, str] = field(default_factory=dict)

    def plan(self) -> SweepPlan:
        """The plan.

        Raises:
            ResultsError: if the results cannot be read.
            UsageError: if they hold searches of another seed.
        """
        self._check_search_seeds()
        ends, searches = self._recorded_ends, [*self._searches.values()]
        queue_plan = self._queue_plan(ends)
        oracles = OracleProcess()  # never started: an oracle draws nothing before the run
        queue = TrialQueue(queue_plan, [arm_search(self.request, self.data, each, oracles) for each in searches])
        to_run = [TrialToRun(trial=trial, start_epoch=self._start_epoch(trial)) for trial in queue.waiting]
        return SweepPlan(
            request=self.request,
            data=self.data,
            history=self.history,
            asha_settings=self._asha_settings,
            asha=self._asha,
            queue=queue_plan,
            searches=searches,
            trials=tuple(queue.trials),
            endings=dict(queue.endings),
            to_run=to_run,
            due_ends=ends.due(),
            finished=queue.finished,
            has_followers=queue.has_followers,
            epochs_to_come=queue.epochs_to_come,
            estimate=self._estimate(queue, to_run),
        )

    def _check_search_seeds(self) -> None:
        """Refuses to search beside recorded searches of another seed: a study counts all candidates of an arm as one's.

        Raises:
            UsageError: naming the recorded seed.
        """
        settings = self.request.settings
        for arm in self.request.tuned_arms:
            if other_seeds := self.history.candidate_seeds(arm.name) - {self._search_seed}:
                recorded_seed = max(0, min(other_seeds) - SEARCH_SEED_OFFSET)
                raise UsageError(
                    f"--search-seed {settings.search_seed}: {settings.results} holds candidates of {arm.name!r} by "
                    f"--search-seed {recorded_seed}; valid: that seed, or another --results"
                )

    @property
    def _search_seed(self) -> int:
        """The seed of the candidates' trainings."""
        seed = self.request.settings.search_seed
        return seed + SEARCH_SEED_OFFSET if seed else SCREENING_SEED

    @property
    def _factory(self) -> TrialFactory:
        settings = self.request.settings
        return TrialFactory(
            sweep=self.request.sweep,
            data=self.data,
            epochs=settings.epochs,
            precision=settings.precision,
            folds=settings.folds,
            network_revisions=self.network_revisions,
        )

    @cached_property
    def _asha_settings(self) -> AshaSettings:
        request, settings = self.request, self.request.settings
        many_arms = len(request.arms) > ALL_SEEDS_UP_TO
        screening = settings.scheduler == "asha" or (settings.scheduler == "auto" and many_arms)
        tuning = settings.scheduler != "none" and not request.sweep.in_turn
        batch_sizes = [arm.batch_size for arm in request.arms]
        batch_sizes += [size for arm in request.tuned_arms for size in arm.batch_sizes]
        train_images = [visible_data(arm, self.data).train_images for arm in request.arms]
        return AshaSettings(
            metric=request.sweep.metric,
            mode=request.sweep.mode,
            epochs=settings.epochs,
            grace=grace_epochs(settings, batch_sizes, min(train_images, default=self.data.train_images)),
            reduction=settings.reduction,
            questions=frozenset(({SCREENING} if screening else set()) | ({TUNING} if tuning else set())),
        )

    @cached_property
    def _screening_trials(self) -> list[Trial]:
        """The trials of the screening; none without one."""
        if SCREENING not in self._asha_settings.questions:
            return []
        return self._factory.trials(self.request.arms, SCREENING, [SCREENING_SEED])

    def _comparison_trials(self, arms: Sequence[Arm]) -> list[Trial]:
        return self._factory.trials(arms, COMPARISON, range(1, self.request.settings.seeds + 1))

    @cached_property
    def _asha(self) -> Asha:
        return Asha(self._asha_settings)

    @cached_property
    def _recorded_ends(self) -> RecordedEnds:
        halved = [*self._screening_trials, *(t for trials in self._recorded_candidates.values() for t in trials)]
        epochs = self.history.epochs_in_order(t.trial_id for t in halved)
        return RecordedEnds(
            history=self.history,
            settings=self.request.settings,
            metric=self.request.sweep.metric,
            mode=self.request.sweep.mode,
            decisions=self._asha.replay(halved, epochs) if epochs else {},
            search_clocks={
                name: clock
                for name, search in self._searches.items()
                if (clock := search.clock(time.monotonic)) is not None
            },
        )

    def _queue_plan(self, ends: RecordedEnds) -> QueuePlan:
        sweep, settings, screening = self.request.sweep, self.request.settings, self._screening_trials

        def followers(endings: Mapping[str, Ending]) -> list[Trial]:
            names = survivors(screening, endings, control=sweep.control, mode=sweep.mode)
            return self._comparison_trials([arm for arm in self.request.arms if arm.name in names])

        return QueuePlan(
            first_trials=screening or self._comparison_trials(self.request.arms),
            followers=followers if screening else None,
            follower_epochs=len(screening) * self.request.replicates * settings.epochs,
            recorded_end=ends.ending,
            retries=settings.retries,
            by_arm=settings.epochs * self.data.train_images <= BY_ARM_UP_TO_IMAGES,
        )

    @cached_property
    def _recorded_candidates(self) -> dict[str, list[Trial]]:
        """The recorded candidates of each tuned arm that its space still contains, and that had the present data."""
        candidates: dict[str, list[Trial]] = {}
        for arm in self.request.tuned_arms:
            trials = [
                (trial_id, self._candidate(arm, config, number))
                for trial_id, number, config in self.history.candidates(arm.name, arm.config_type)
                if arm.holds(config)
            ]
            candidates[arm.name] = [trial for trial_id, trial in trials if trial.trial_id == trial_id]
        return candidates

    def _candidate(self, tuned_arm: TunedArm, config: domains.Dataclass, number: int) -> Trial:
        note = tuned_arm.describe(config)
        arm = Arm(name=tuned_arm.name, family=tuned_arm.family, config=config, note=note)
        (trial,) = self._factory.trials([arm], TUNING, [self._search_seed])
        hyperband_epochs = config.epochs if isinstance(config, configuration.Config) else None
        return replace(trial, candidate=number, epochs=trial.epochs if hyperband_epochs is None else hyperband_epochs)

    @cached_property
    def _searches(self) -> dict[str, SearchPlan]:
        """The search of each tuned arm, by the arm's name."""
        return {arm.name: self._search(arm) for arm in self.request.tuned_arms}

    def _search(self, arm: TunedArm) -> SearchPlan:
        sweep, settings = self.request.sweep, self.request.settings
        candidates = self._recorded_candidates[arm.name]

        def comparison(candidate: Trial) -> list[Trial]:
            return [replace(t, candidate=candidate.candidate) for t in self._comparison_trials([candidate.arm])]

        spans = [] if settings.search_time is None else self.history.spans(trial.trial_id for trial in candidates)
        return SearchPlan(
            tuned_arm=arm,
            candidate=lambda config, number: self._candidate(arm, config, number),
            comparison=comparison,
            recorded_candidates=candidates,
            epochs=settings.epochs,
            mode=sweep.mode,
            comparison_epochs=self.request.replicates * settings.epochs,
            budget_epochs=None if settings.candidates is None else settings.candidates * settings.epochs,
            budget_seconds=settings.search_time,
            seconds_before=total_seconds(spans),
            parallel=1 if sweep.in_turn else None,
        )

    def _start_epoch(self, trial: Trial) -> int:
        """The epoch after which a trial continues; 0 if it begins."""
        last_epoch = self.history.attempt(trial.trial_id).start(trial.epochs)
        folder = checkpoints.folder_of(self.request.settings.results)
        checkpoint, _ = checkpoints.find(folder, trial.trial_id, recorded_epochs=last_epoch)
        return checkpoint.epoch if checkpoint else 0

    def _estimate(self, queue: TrialQueue, to_run: Sequence[TrialToRun]) -> TimeEstimate:
        def rate(trial: Trial) -> float | None:
            return seconds_per_image(self.history, self.request, trial)

        work = [
            (rate(each.trial), each.epochs * each.trial.data.train_images)
            for each in to_run
            if self._recorded_ends.clock(each.trial) is None
        ]
        rates = [seconds for trial in queue.trials if (seconds := rate(trial)) is not None]
        most_images = max((trial.data.train_images for trial in queue.trials), default=self.data.train_images)
        work.append((fmean(rates) if rates else None, queue.epochs_to_come * most_images))
        return TimeEstimate.of(work, search_seconds=queue.search_seconds_left or ())


def seconds_per_image(history: History, request: Request, trial: Trial) -> float | None:
    """The recorded seconds of a slot for one training image of trials like this one; None if there is none."""
    size = int(trial.arm.values.get("image_size", 0))
    return history.seconds_per_image(request.sweep.family_of(trial.arm), trial.data.name, size)


def trial_counts(trials: Sequence[Trial], *, has_followers: bool) -> str:
    """The number of arms and replicates of each question, such as `screening: 81 arms on 1 seed`."""
    parts = []
    for question in dict.fromkeys(trial.question for trial in trials):
        same_question = [trial for trial in trials if trial.question == question]
        parts.append(
            f"{question}: {count(len({t.arm.name for t in same_question}), 'arm')} on {_replicates(same_question)}"
        )
    return ", ".join([*parts, *(["then the survivors compared"] if has_followers else [])])


def _replicates(trials: Sequence[Trial]) -> str:
    """`3 seeds`, `5 folds`, or `2 seeds x 5 folds`."""
    seeds = count(len({t.seed for t in trials}), "seed")
    folds = {t.data.fold for t in trials} - {None}
    if not folds:
        return seeds
    return count(len(folds), "fold") if seeds == "1 seed" else f"{seeds} x {count(len(folds), 'fold')}"

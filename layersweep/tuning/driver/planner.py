"""From what is asked for and what is recorded to the plan: what is left to do, and how the scheduler stands."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final, Self

from layersweep.records.questions import COMPARISON, FIRST_PHASE, SCREENING, TUNING
from layersweep.records.spans import length
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment import options as flags
from layersweep.tuning.experiment.admission import SearchLimits, epoch_flops, estimated, stands
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.halving import GO_ON, Decision, Halving
from layersweep.tuning.experiment.options import Settings
from layersweep.tuning.experiment.search_clock import SearchClock, wall
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import Ending, Trial, arms, check_images, seen, sign, trials
from layersweep.tuning.experiment.tuned_arms import TunedArm, sampled, tuned_arms
from layersweep.tuning.runtime.machine import default_slots, memory_share
from layersweep.tuning.search.arm_search import ArmSearch
from layersweep.tuning.search.autokeras_sampler import OracleSampler, OracleProcess
from layersweep.tuning.search.samplers import Sampler, drawer
from layersweep.tuning.search.trial_queue import Plan, survivors
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.storage.history import History
from layersweep.words import count, duration, exact_duration
from trainables import config as domains
from trainables.data.dataset import Data, prepare
from trainables.meaning import MEANING
from trainables.nas import configuration
from trainables.nas.oracles import Search as OracleSearch

if TYPE_CHECKING:
    from layersweep.tuning.driver.tune_scheduler import TuneScheduler

TOGETHER_UP_TO: Final = 30_000
"""With trials of at most so many images, epoch by epoch, a slot trains one arm's seeds after another: tracing a model,
which it then does once an arm, is a tenth of such a trial or more."""

SCREENING_SEED: Final = 0
"""The seed on which arms are screened and candidates tried, unless --search-seed says otherwise; comparisons have the
seeds from 1 on."""


OTHER_SEARCHES: Final = 1_000_000
"""What is added to another --search-seed than 0 for its candidates' trainings: no comparison has such a seed."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The arms of a command: those that stand, and those that are tuned besides."""

    arms: Sequence[Arm]
    tuned: Sequence[TunedArm] = ()

    @classmethod
    def of(cls, sweep: Sweep, settings: Settings, say: Callable[[str], None]) -> Self:
        """What these settings ask for; `say` is told where values are from that nobody gave.

        Raises:
            UsageError: for bad input.
        """
        narrowed, source = flags.with_given(sweep, flags.narrowed(sweep, settings.set), settings.results)
        if source:
            say(source)
        sweep, narrowed = _sourced(sweep, narrowed, settings.results)
        tuned = [] if settings.search == "grid" else tuned_arms(sweep, narrowed)
        asked = cls(arms=arms(sweep, narrowed), tuned=tuned)
        if not asked.arms and not tuned:
            raise UsageError(f"the sweep {sweep.name!r} has nothing to train with these --set and --search")
        if settings.search_time is not None and not tuned:
            raise UsageError(
                f"--time-budget {exact_duration(settings.search_time)} is the time of each search of the sweep "
                f"{sweep.name!r}, and these --set leave none; valid: without it"
            )
        return asked


def _sourced(
    sweep: Sweep, narrowed: Mapping[str, list[domains.Value]], results: Path
) -> tuple[Sweep, dict[str, list[domains.Value]]]:
    """The sweep and what narrows it, with each trial whose weights are asked for by its id and epoch.

    Raises:
        UsageError: if there is no such trial, or it has no weights.
    """

    def of(space: Mapping[str, Any]) -> dict[str, Any]:
        values = space.get(kept_weights.KEY)
        if not isinstance(values, list | tuple):
            return dict(space)
        return {**space, kept_weights.KEY: [kept_weights.resolved(value, results) for value in values]}

    if kept_weights.KEY in narrowed:
        return sweep, of(narrowed)
    return replace(sweep, spaces=[of(s) for s in sweep.spaces], tuned=[of(s) for s in sweep.tuned]), dict(narrowed)


@dataclass(frozen=True, kw_only=True)
class TimeEstimate:
    """What is left of a sweep.

    Attributes:
        starts: the trials that are to run, each with the epoch after which it goes on.
        slot_seconds: about what those take at most, in seconds of a slot, of which the like is recorded.
        unknown: how many are left of which it is not: no trial of their family on this data set and size of images.
        searching: the seconds left of each search that time bounds, whose candidates are in neither.
    """

    starts: Sequence[tuple[Trial, int]]
    slot_seconds: float
    unknown: int
    searching: Sequence[float] = ()

    def said(self, slots: int) -> str:
        """The time in words; empty if nothing is left."""
        seconds = self.slot_seconds / slots + wall(self.searching, slots)
        about = f"about {duration(seconds)}"
        if self.unknown and not seconds:
            return "not known before a first trial is recorded"
        if self.unknown:
            return f"{about}, and {count(self.unknown, 'trial')} whose like is not recorded yet"
        return f"at most {about}" if seconds else ""


def prepared(sweep: Sweep, settings: Settings, asked: Asked, say: Callable[[str], None]) -> Data:
    """The data that is asked for, found to fit the arms; `say` is told what takes time, and what is done to images.

    Raises:
        UsageError, DataError: if there is no such data, or an arm cannot take it.
    """
    data = prepare(settings.dataset, folder=settings.data, images=settings.images, strict=settings.strict, say=say)
    for line in check_images(sweep, [*asked.arms, *sampled(asked.tuned)], data, folds=settings.folds):
        say(line)
    return data


@dataclass(kw_only=True)
class Agenda:
    """What a command has to do.

    Attributes:
        sweep: the sweep.
        settings: the command's flags.
        asked: its arms.
        data: its data.
        history: what is recorded.
        halving: ASHA's settings.
        closed: trials that the present flags end where earlier ones did not, with the rows that say so.
        oracles: the process of AutoKeras' oracles, which runs only where networks are searched.
    """

    sweep: Sweep
    settings: Settings
    asked: Asked
    data: Data
    history: History
    halving: Halving
    closed: list[tuple[Trial, Mapping[str, Any]]]
    oracles: OracleProcess

    @classmethod
    def make(cls, sweep: Sweep, settings: Settings, asked: Asked, data: Data) -> Self:
        """Reads the records and works out what is left.

        Raises:
            ResultsError: if the results cannot be read.
            UsageError: if they hold searches of another seed.
        """
        screening = settings.scheduler == "asha" or (
            settings.scheduler == "auto" and len(asked.arms) > flags.ALL_SEEDS_UP_TO
        )
        tuning = settings.scheduler != "none" and not sweep.in_turn
        questions = ({SCREENING} if screening else set()) | ({TUNING} if tuning else set())
        sizes = [arm.batch_size for arm in asked.arms]
        sizes += [size for arm in asked.tuned for size in arm.batch_sizes]
        halving = Halving(
            metric=sweep.metric,
            mode=sweep.mode,
            epochs=settings.epochs,
            grace=flags.grace_epochs(
                settings, sizes, min((seen(a, data).train_images for a in asked.arms), default=data.train_images)
            ),
            reduction=settings.reduction,
            questions=frozenset(questions),
        )
        made = cls(
            sweep=sweep,
            settings=settings,
            asked=asked,
            data=data,
            history=History(settings.results, sweep, set_aside=not settings.dry_run),
            halving=halving,
            closed=[],
            oracles=OracleProcess(),
        )
        made.check_seeds()
        made.plan  # noqa: B018 (bad input ends here, before anything starts)
        return made

    def check_seeds(self) -> None:
        """Refuses to search beside recorded searches of another seed: a study would take all candidates for one's.

        Raises:
            UsageError: naming the seed that is recorded.
        """
        for arm in self.asked.tuned:
            if others := self.history.candidate_seeds(arm.name) - {self._search_seed}:
                recorded = max(0, min(others) - OTHER_SEARCHES)
                raise UsageError(
                    f"--search-seed {self.settings.search_seed}: {self.settings.results} holds candidates of "
                    f"{arm.name!r} by --search-seed {recorded}; valid: that one, or another --results"
                )

    @property
    def _search_seed(self) -> int:
        """The seed of the candidates' trainings."""
        return self.settings.search_seed + OTHER_SEARCHES if self.settings.search_seed else SCREENING_SEED

    @cached_property
    def plan(self) -> Plan:
        """The trials that are asked for, and those that follow from them."""
        seeds = range(1, self.settings.seeds + 1)
        screened = self._screened

        def then(endings: Mapping[str, Ending]) -> list[Trial]:
            kept = survivors(screened, endings, control=self.sweep.control, mode=self.sweep.mode)
            return self._trials([a for a in self.asked.arms if a.name in kept], COMPARISON, seeds)

        return Plan(
            screened or self._trials(self.asked.arms, COMPARISON, seeds),
            then=then if screened else None,
            compared=len(screened) * self._replicates * self.settings.epochs,
            searches=[self._search(arm) for arm in self.asked.tuned],
            known=self._known,
            retries=self.settings.retries,
            together=self.settings.epochs * self.data.train_images <= TOGETHER_UP_TO,
        )

    @cached_property
    def scheduler(self) -> "TuneScheduler":
        """The scheduler, as it stands after what is recorded."""
        from layersweep.tuning.driver.tune_scheduler import TuneScheduler

        return TuneScheduler(self.halving)

    @property
    def other_meaning(self) -> int | None:
        """The meaning that the training code had when the sweep was last run, if it was another one."""
        return self.history.other_meaning(MEANING)

    @cached_property
    def outlook(self) -> TimeEstimate:
        """What is left to do, and about how long it takes at most."""
        starts = [(trial, self.start_epoch(trial)) for trial in self.plan.waiting]
        rates = [self._rate(trial) for trial in self.plan.trials]
        known = [rate for rate in rates if rate is not None]
        by_epochs = [(t, start) for t, start in starts if self._time_of(t) is None]
        left = [(self._rate(t), (t.epochs - start) * t.data.train_images) for t, start in by_epochs]
        most = max((trial.data.train_images for trial in self.plan.trials), default=self.data.train_images)
        left.append((fmean(known) if known else None, self.plan.foreseen * most))
        counted = [(rate, images) for rate, images in left if images]
        return TimeEstimate(
            starts=starts,
            slot_seconds=sum(rate * images for rate, images in counted if rate is not None),
            unknown=sum(rate is None for rate, _ in counted),
            searching=self.plan.searching or (),
        )

    def _rate(self, trial: Trial) -> float | None:
        size = int(trial.arm.values.get("image_size", 0))
        return self.history.seconds_per_image(self.sweep.family_of(trial.arm), trial.data.name, size)

    def start_epoch(self, trial: Trial) -> int:
        """The epoch after which a trial goes on; 0 if it begins."""
        recorded = self.history.past(trial.trial_id).start(trial.epochs)
        found, _ = checkpoints.find(checkpoints.below(self.settings.results), trial.trial_id, recorded=recorded)
        return found.epoch if found else 0

    def describe(self, trial: Trial, start: int) -> str:
        """One line about a trial that is to run, after epoch `start`: what it is, and from where it goes on."""
        recorded = self.history.past(trial.trial_id).last
        again = f" ({count(min(recorded, trial.epochs) - start, 'recorded epoch')} again)" if recorded > start else ""
        how = f"from its checkpoint after epoch {start}" if start else "from epoch 1"
        return f"{trial.trial_id}  {trial.question}  {trial.label}: {count(trial.epochs - start, 'epoch')} {how}{again}"

    def _trials(self, arms: Sequence[Arm], question: str, seeds: Sequence[int]) -> list[Trial]:
        return trials(
            self.sweep,
            arms,
            self.data,
            question=question,
            seeds=seeds,
            epochs=self.settings.epochs,
            precision=self.settings.precision,
            folds=self.settings.folds if question == COMPARISON else 0,
        )

    @property
    def _replicates(self) -> int:
        """How many an arm has in a comparison."""
        return self.settings.seeds * max(1, self.settings.folds)

    @cached_property
    def _screened(self) -> list[Trial]:
        """The trials of the screening; none without one."""
        asked = SCREENING in self.halving.questions
        return self._trials(self.asked.arms, SCREENING, [SCREENING_SEED]) if asked else []

    @cached_property
    def _candidates(self) -> dict[str, list[Trial]]:
        """The recorded candidates of each tuned arm that are still within its space, with the present data."""
        found: dict[str, list[Trial]] = {}
        for arm in self.asked.tuned:
            recorded = self.history.candidates(arm.name)
            made = [(i, self._candidate(arm, config, k)) for i, k, config in recorded if arm.holds(config)]
            found[arm.name] = [trial for trial_id, trial in made if trial.trial_id == trial_id]
        return found

    def _candidate(self, arm: TunedArm, config: domains.Dataclass, number: int) -> Trial:
        drawn = Arm(name=arm.name, config=config, note=arm.describe(config))
        (trial,) = self._trials([drawn], TUNING, [self._search_seed])
        own = config.epochs if isinstance(config, configuration.Config) else None
        return replace(trial, candidate=number, epochs=trial.epochs if own is None else own)

    def _search(self, arm: TunedArm) -> ArmSearch:
        settings, recorded = self.settings, self._candidates[arm.name]

        def compare(chosen: Trial) -> list[Trial]:
            compared = self._trials([chosen.arm], COMPARISON, range(1, settings.seeds + 1))
            return [replace(t, candidate=chosen.candidate) for t in compared]

        return ArmSearch(
            drawer=self._drawer(arm, [t.arm.config for t in recorded]),
            make=lambda config, number: self._candidate(arm, config, number),
            recorded=recorded,
            compare=compare,
            following=self._replicates * settings.epochs,
            budget=None if settings.candidates is None else settings.candidates * settings.epochs,
            epochs=settings.epochs,
            mode=self.sweep.mode,
            at_once=1 if self.sweep.in_turn else None,
            time=self.times.get(arm.name),
        )

    def _drawer(self, arm: TunedArm, recorded: Sequence[domains.Dataclass]) -> Sampler:
        """What draws an arm's candidates."""
        settings = self.settings
        if arm.oracle:
            return OracleSampler(self.oracles, self._oracle_search(arm), recorded)
        assert settings.search in ("random", "hyperopt")
        return drawer(
            arm,
            search=settings.search,
            seed=settings.search_seed,
            metric=self.sweep.metric,
            mode=self.sweep.mode,
            recorded=recorded,
        )

    def _oracle_search(self, arm: TunedArm) -> OracleSearch:
        (sampled_arm,) = sampled([arm])
        seen_data = seen(sampled_arm, self.data)
        return OracleSearch(
            name=arm.name,
            oracle=arm.oracle,
            config=arm.fixed,
            image_shape=seen_data.image_shape,
            classes=len(seen_data.classes),
            seed=self.settings.search_seed,
            epochs=self.settings.epochs,
            mode=self.sweep.mode,
        )

    def check_searches(self) -> None:
        """Builds the network that each oracle's space begins with; an epoch of it must fit the search's time.

        From then on candidates are drawn.

        Raises:
            UsageError: naming the search, and what is wrong with its space or budget.
            BrokenOffError: if the process of the oracles died.
        """
        for arm in self.asked.tuned:
            if not arm.oracle:
                continue
            search, clock = self._oracle_search(arm), self.times.get(arm.name)
            first = self.oracles.first(search)
            if first.problem is not None or first.flops is None:
                raise UsageError(f"search {arm.name}: its space builds no valid network: {first.problem}")
            peak = first.flops_per_second if self.settings.precision == "float32" else None
            rate = max(filter(None, (self.history.flops_per_second, peak)), default=None)
            seconds = None if rate is None else epoch_flops(first.flops, self.data.train_images) / rate
            if clock is not None and seconds is not None and seconds > clock.budget:
                raise UsageError(
                    f"--time-budget {exact_duration(clock.budget)}: one epoch of the network that search {arm.name} "
                    f"begins with takes at least {estimated(seconds)} by estimate; valid: more, or fewer --images"
                )
        self.oracles.ready = True

    @cached_property
    def times(self) -> Mapping[str, SearchClock]:
        """The clock of each search that time bounds, by its arm's name, as earlier commands left it."""
        budget = self.settings.search_time
        if budget is None:
            return {}
        before = {
            name: length(self.history.spans(trial.trial_id for trial in candidates))
            for name, candidates in self._candidates.items()
        }
        return {name: SearchClock(budget, before=spent, clock=time.monotonic) for name, spent in before.items()}

    def _time_of(self, trial: Trial) -> SearchClock | None:
        """The clock of the search that a candidate is of, if time bounds it."""
        return self.times.get(trial.arm.name) if trial.question == TUNING else None

    @cached_property
    def _decided(self) -> Mapping[str, Mapping[int, Decision]]:
        """What the scheduler decides of the recorded epochs, by trial and epoch; it is rebuilt by them."""
        halved = [*self._screened, *(t for candidates in self._candidates.values() for t in candidates)]
        seen = self.history.seen(t.trial_id for t in halved)
        return self.scheduler.replay(halved, seen) if seen else {}

    def _known(self, trial: Trial) -> Ending | None:
        """How a trial ended that need not run; where the present flags end it otherwise, a row is due."""
        if (
            trial.question == FIRST_PHASE
            and not kept_weights.file(self.settings.results, trial.trial_id, trial.epochs).exists()
        ):
            return None  # it is asked for since trials are to go on from it
        decided = self._decided.get(trial.trial_id, {}) if trial.question in self.halving.questions else {}
        ending = self.history.ending(trial, decided=decided, keep_hopeless=self.settings.keep_hopeless)
        if ending is not None and (row := self.history.unsaid(trial, ending, decided.get(ending.epoch, GO_ON))):
            self.closed.append((trial, row))
        if ending is None and trial.question == TUNING and self._is_refused(trial):
            return Ending(outcome="failed", epoch=0, value=None, refused=True)
        clock = self._time_of(trial)
        if ending is None and clock is not None and clock.over_before:
            return self._broken_off(trial, clock.reason)
        return None if ending is not None and self._lacks(trial, ending) else ending

    def _is_refused(self, trial: Trial) -> bool:
        """Whether a candidate was refused by an estimate, as it would be again with this memory and time."""
        refused, clock = self.history.refused(trial.trial_id), self._time_of(trial)
        if refused is None:
            return False
        left = None if clock is None else clock.budget - clock.before
        return stands(
            refused.error,
            SearchLimits(seconds_left=left, flops_per_second=self.history.flops_per_second),
            flops=refused.flops,
            train_images=refused.train_images,
            share_bytes=memory_share(self.settings.slots or default_slots()),
        )

    def _broken_off(self, trial: Trial, reason: str) -> Ending:
        """How a candidate ended that does not go on, since its search has no time left; a row may be due."""
        ending, row = self.history.broken_off(trial, reason)
        if row is not None:
            self.closed.append((trial, row))
        return ending

    def _lacks(self, trial: Trial, ending: Ending) -> bool:
        """Whether a trial that has completed is to be trained again, for its weights or to be converted."""
        if trial.question != COMPARISON or ending.outcome != "completed":
            return False
        exported = self.history.past(trial.trial_id).alongside.get("exports", frozenset())
        return (self.settings.lite and trial.epochs not in exported) or self._lacks_weights(trial)

    def _lacks_weights(self, trial: Trial) -> bool:
        keep, results = self.settings.keep_weights, self.settings.results
        if keep == "none":
            return False
        epoch = trial.epochs if keep == "last" else self._best_epoch(trial)
        return not kept_weights.file(results, trial.trial_id, epoch).exists()

    def _best_epoch(self, trial: Trial) -> int:
        """The first recorded epoch of a trial that none is better than."""
        epochs = self.history.past(trial.trial_id).epochs
        better = sign(self.sweep.mode)
        return max(
            (epoch for epoch in epochs if epoch <= trial.epochs),
            key=lambda epoch: (better * epochs[epoch][self.sweep.metric], -epoch),
        )

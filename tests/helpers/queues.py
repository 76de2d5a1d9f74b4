"""Trial queues and searches for tests, made in one call."""

from layersweep.tuning.search.arm_search import ArmSearch, SearchPlan
from layersweep.tuning.search.trial_queue import QueuePlan, TrialQueue


def queue(trials=(), *, searches=(), followers=None, recorded=lambda _trial: None, retries=0, by_arm=False):
    """A queue; `recorded` gives a trial's recorded ending."""
    plan = QueuePlan(
        first_trials=list(trials), followers=followers, recorded_end=recorded, retries=retries, by_arm=by_arm
    )
    return TrialQueue(plan, searches)


def take(trial_queue):
    """The next trial of a queue."""
    return trial_queue.next()[0]


def end(trial_queue, trial, ending):
    """Ends a trial; returns the trials that this has added."""
    return list(trial_queue.end(trial, ending).added)


def arm_search(sampler, *, clock=None, **plan):
    """A search with this sampler; `clock` is what says the time, where the plan has a budget of seconds."""
    search_plan = SearchPlan(tuned_arm=None, **plan)
    return ArmSearch(search_plan, sampler, None if clock is None else search_plan.clock(clock))

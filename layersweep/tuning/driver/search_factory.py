"""Searches as they run: each with its sampler, and those by AutoKeras' oracles checked before any trial starts."""

import time
from collections.abc import Callable

from layersweep.formatting import exact_duration
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.candidate_limits import epoch_flops, estimated
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.trials import visible_data
from layersweep.tuning.experiment.tuned_arms import TunedArm, sample_arms
from layersweep.tuning.search.arm_search import ArmSearch, SearchPlan
from layersweep.tuning.search.autokeras_sampler import OracleProcess, OracleSampler
from layersweep.tuning.search.samplers import sampler
from trainables.data.dataset import Data
from trainables.nas.oracles import Search as OracleSearch


def arm_search(
    request: Request,
    data: Data,
    plan: SearchPlan,
    oracles: OracleProcess,
    now: Callable[[], float] = time.monotonic,
) -> ArmSearch:
    """The search of a tuned arm with its sampler and clock, in its state after the recorded candidates were drawn."""
    settings, earlier_configs = request.settings, [trial.arm.config for trial in plan.recorded_candidates]
    if plan.tuned_arm.oracle:
        by_oracle = OracleSampler(oracles, oracle_search(request, data, plan.tuned_arm), earlier_configs)
        return ArmSearch(plan, by_oracle, plan.clock(now))
    assert settings.search in ("random", "hyperopt")
    drawing = sampler(
        plan.tuned_arm,
        search=settings.search,
        seed=settings.search_seed,
        metric=request.sweep.metric,
        mode=request.sweep.mode,
        earlier_configs=earlier_configs,
    )
    return ArmSearch(plan, drawing, plan.clock(now))


def oracle_search(request: Request, data: Data, arm: TunedArm) -> OracleSearch:
    """What an oracle searches for a tuned arm."""
    (sample,) = sample_arms([arm])
    arm_data = visible_data(sample, data)
    return OracleSearch(
        name=arm.name,
        oracle=arm.oracle,
        config=arm.fixed_values,
        image_shape=arm_data.image_shape,
        classes=len(arm_data.classes),
        seed=request.settings.search_seed,
        epochs=request.settings.epochs,
        mode=request.sweep.mode,
    )


def check_searches(request: Request, data: Data, oracles: OracleProcess, *, flops_per_second: float | None) -> None:
    """Builds the network that each oracle's space begins with; one epoch of it must fit the search's time.

    From then on candidates are drawn.

    Args:
        request: what the command asks for.
        data: its data.
        oracles: the process of the oracles.
        flops_per_second: the highest rate of any recorded training; None if there is none.

    Raises:
        UsageError: naming the search, and what is wrong with its space or budget.
        BrokenOffError: if the process of the oracles died.
    """
    settings = request.settings
    for arm in request.tuned_arms:
        if not arm.oracle:
            continue
        first = oracles.first(oracle_search(request, data, arm))
        if first.problem is not None or first.flops is None:
            raise UsageError(f"search {arm.name}: its space builds no valid network: {first.problem}")
        peak = first.flops_per_second if settings.precision == "float32" else None
        rate = max(filter(None, (flops_per_second, peak)), default=None)
        if rate is None or settings.search_time is None:
            continue
        seconds = epoch_flops(first.flops, data.train_images) / rate
        if seconds > settings.search_time:
            raise UsageError(
                f"--time-budget {exact_duration(settings.search_time)}: one epoch of the network that search "
                f"{arm.name} begins with takes at least {estimated(seconds)} by estimate; valid: more time, or fewer "
                "--images"
            )
    oracles.ready = True

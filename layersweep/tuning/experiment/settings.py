"""Options filled in from the sweep and checked against it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE
from layersweep.tuning.experiment.key_ranges import arm_text
from layersweep.tuning.experiment.key_values import families, key_of, key_values
from layersweep.tuning.experiment.options import CANDIDATES, Options
from layersweep.tuning.experiment.sweep import Search, Sweep
from search_spaces.ranges import Range
from trainables.precision import automatic

ALL_SEEDS_UP_TO: Final = 12
"""With at most this many arms every arm gets every seed; with more, ASHA screens them first."""

CHECKPOINT_SECONDS: Final = 60.0

TRUSTED_STEPS: Final = 500
"""Before so many steps, the averages of batch normalisation make a ranking by validation accuracy noise."""

_FEWEST_FOLDS: Final = 2

_SEARCH_SEEDS: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """Options that are filled in and checked.

    Attributes:
        search_time: the time limit of each search, in seconds; None without one.
        exact_images: whether the command line gives the number of images; `--quick` takes what there is.
        candidates: the budget of each search, in full trainings; None for no limit.
    """

    epochs: int
    seeds: int
    metric: str  # type: ignore[assignment]  # a sweep's own may be any column of the epochs
    search: Search  # type: ignore[assignment]  # a sweep's own may be `oracle`, which no flag names
    checkpoint_every: float
    dataset: str
    folds: int
    candidates: int | None
    search_time: float | None = None
    exact_images: bool = True


def resolve(sweep: Sweep, options: Options) -> Settings:
    """Fills in what the command line leaves open, from `--quick` or the sweep, and checks it.

    Raises:
        UsageError: naming the flag, the value and what is valid.
    """
    if options.quick and sweep.quick is None:
        raise UsageError(f"--quick is not defined for the sweep {sweep.name!r}; give --epochs, --seeds and --images")
    sweep.check_sections()
    sweep.check_spaces()
    sweep.check_metric()
    if options.fetch and options.cluster is None:
        raise UsageError("--fetch copies records from a cluster to this machine; valid: with --cluster and its file")
    search: Search = sweep.search if options.search == "auto" else options.search
    _check_search(sweep, options, search)
    exact_images, options = options.images is not None, _with_fit(options)
    if options.quick:
        options = _with_quick_flags(sweep, options, has_searches=search != "grid")
    search_time = options.time_budget if sweep.timed_searches else None
    folds = sweep.folds if options.folds is None else options.folds
    values = {
        "epochs": sweep.epochs if options.epochs is None else options.epochs,
        "metric": sweep.metric if options.metric is None else options.metric,
        "folds": folds,
        "seeds": (1 if folds else sweep.seeds) if options.seeds is None else options.seeds,
        "search": search,
        "candidates": options.trials if options.trials or search_time is not None else CANDIDATES,
        "time_budget": None if sweep.timed_searches else options.time_budget,
        "search_time": search_time,
        "exact_images": exact_images,
        "checkpoint_every": CHECKPOINT_SECONDS if options.checkpoint_every is None else options.checkpoint_every,
        "keep_weights": sweep.keep_weights if options.keep_weights == "auto" else options.keep_weights,
        "lite": sweep.lite or options.lite,
        "dataset": sweep.dataset if options.dataset is None else options.dataset,
        "results": options.results.absolute(),
    }
    settings = Settings(**vars(options) | values)
    _check(sweep, settings)
    if options.precision == "auto":
        return Settings(**vars(settings) | {"precision": automatic(families(sweep, options.set))[0]})
    return settings


def _with_fit(options: Options) -> Options:
    """The options, with `--fit` as a value of the key `fit`.

    Raises:
        UsageError: if `--set fit=` is given, too.
    """
    if options.fit == "auto":
        return options
    if others := [text for text in options.set if key_of(text) == "fit"]:
        raise UsageError(f"--fit {options.fit} and --set {others[0]} set the same key; valid: one of them")
    return replace(options, fit="auto", set=(*options.set, f"fit={options.fit}"))


def _check_search(sweep: Sweep, options: Options, search: Search) -> None:
    """Refuses a search that the sweep does not have, and budgets of searches if there is no search."""
    has_oracles = any(ORACLE in space for space in sweep.tuned)
    if has_oracles and search not in ("grid", "oracle"):
        raise UsageError(f"--search {search}: AutoKeras' oracles search the sweep {sweep.name!r}; valid: auto, grid")
    valid = "auto" if has_oracles else "random or hyperopt"
    if options.trials and search == "grid":
        raise UsageError(f"--trials {options.trials} is for searches; valid: with --search {valid}")
    if options.time_budget is not None and sweep.timed_searches and search == "grid":
        raise UsageError(
            f"--time-budget {options.time_budget:g} is the time of each search of the sweep {sweep.name!r}; valid: "
            f"with --search {valid}"
        )


def _with_quick_flags(sweep: Sweep, options: Options, *, has_searches: bool) -> Options:
    """The options, with the flags that `--quick` stands for if the command line does not have them.

    A key that the command line sets itself is not set by `--quick`. If the command line selects families, `--quick`
    sets no key, since its keys may belong to others.
    """
    open_flags = {f.name for f in fields(Options) if getattr(options, f.name) == f.default}
    search_flags = {"trials", *(["time_budget"] if sweep.timed_searches else [])}
    flags = open_flags if has_searches else open_flags - search_flags
    quick = sweep.quick or {}
    keys = {key_of(text) for text in options.set}
    sets = () if FAMILY in keys else tuple(text for text in quick.get("set", ()) if key_of(text) not in keys)
    values = {flag: value for flag, value in quick.items() if flag in flags}
    return replace(options, **values | {"set": (*sets, *options.set)})


def _check(sweep: Sweep, settings: Settings) -> None:
    """Refuses numbers out of their range, and flags that do not fit the sweep."""
    for flag in ("epochs", "seeds", "slots", "grace", "trials"):
        count = getattr(settings, flag)
        if count is not None and count < 1:
            raise UsageError(f"--{flag} {count} is not valid; valid: 1 or more")
    if settings.folds and settings.folds < _FEWEST_FOLDS:
        raise UsageError(f"--folds {settings.folds} is not valid; valid: {_FEWEST_FOLDS} or more, or 0 for none")
    for flag, value in {"retries": settings.retries, "fail-fast": settings.fail_fast}.items():
        if value < 0:
            raise UsageError(f"--{flag} {value} is not valid; valid: 0 or more")
    if not 0 <= settings.search_seed < _SEARCH_SEEDS:
        raise UsageError(f"--search-seed {settings.search_seed} is not valid; valid: 0 to {_SEARCH_SEEDS - 1:,}")
    budget = settings.search_time if sweep.timed_searches else settings.time_budget
    for flag, time in {"trial-timeout": settings.trial_timeout, "time-budget": budget}.items():
        if time is not None and not 0 < time < math.inf:
            raise UsageError(f"--{flag} {time:g} is not valid; valid: a time above 0, such as 90, 30m or 1.5h")
    if settings.checkpoint_every < 0:
        raise UsageError(f"--checkpoint-every {settings.checkpoint_every:g} is not valid; valid: 0 or more seconds")
    _check_ranges(sweep, settings)
    if settings.grace is not None and settings.grace > settings.epochs:
        raise UsageError(f"--grace {settings.grace} is not valid; valid: 1 to {settings.epochs}, the epochs of a trial")
    if not 1 < settings.reduction < math.inf:
        raise UsageError(f"--reduction {settings.reduction} is not valid; valid: a number above 1")


def _check_ranges(sweep: Sweep, settings: Settings) -> None:
    """Refuses ranges without a search, and a search without anything to search."""
    values_by_key = key_values(sweep, settings.set)
    texts = [f"--set {key}={values}" for key, values in values_by_key.items() if isinstance(values, Range)]
    texts += [f"--arm {arm_text(arm)}" for arm in sweep.arms if any(isinstance(v, Range) for v in arm.values())]
    if texts and settings.search == "grid":
        raise UsageError(
            f"{texts[0]}: only a search draws from a range; valid: with --search random or hyperopt, or values such as "
            "0.1,0.2"
        )
    if settings.search != "grid" and not sweep.tuned and not texts:
        name = "--arm" if sweep.arms else f"the sweep {sweep.name!r}"
        raise UsageError(
            f"--search {settings.search}: {name} has no tuned spaces; valid: grid, or a range to search such as --set "
            "learning_rate=1e-4..1e-1"
        )


def grace_epochs(settings: Settings, batch_sizes: Sequence[int], train_images: int) -> int:
    """The epochs before the first rung: those of `--grace`, or so many that every arm makes `TRUSTED_STEPS` steps."""
    if settings.grace is not None:
        return settings.grace
    steps = min(math.ceil(train_images / size) for size in batch_sizes)
    return min(settings.epochs, math.ceil(TRUSTED_STEPS / steps))

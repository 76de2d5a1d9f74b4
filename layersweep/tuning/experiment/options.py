"""The flags that every sweep has, read from the command line and checked against the sweep."""

import contextlib
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment import tuned_arms
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE
from layersweep.tuning.experiment.sweep import Search, Sweep
from trainables import config as domains
from trainables.errors import ConfigError
from trainables.precision import automatic

ALL_SEEDS_UP_TO: Final = 12
"""With at most this many arms every arm gets every seed; with more, ASHA screens them first."""

CANDIDATES: Final = 8
"""Full trainings that the search of a tuned arm may take, unless said otherwise."""

CHECKPOINT_SECONDS: Final = 60.0

_FEWEST_FOLDS: Final = 2

_SEARCH_SEEDS: Final = 1_000_000_000

TRUSTED_STEPS: Final = 500
"""Batch normalisation's averages need about as many steps before validation accuracy ranks anything."""


_Number = TypeVar("_Number", int, float)


def _whole(words: list[str]) -> int:
    try:
        return int(words[0])
    except ValueError:
        raise ValueError(f"{words[0]!r} is not a whole number") from None


def _optional(kind: type[_Number], metavar: str, read: Callable[[list[str]], _Number]) -> object:
    """How tyro reads one word as a number, or leaves it at None, with an error of one line."""
    return PrimitiveConstructorSpec[_Number | None](
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


Whole = Annotated[int | None, _optional(int, "INT", _whole)]
"""A whole number, or None for what the sweep says."""

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def _duration(words: list[str]) -> float:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([smh]?)", words[0].strip())
    if match is None:
        raise ValueError(f"{words[0]!r} is no time; valid: seconds, or a number with s, m or h, such as 90, 30m, 1.5h")
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float | None, _optional(float, "TIME", _duration)]
"""Seconds, written as 90, 30m or 1.5h; None for no limit."""

Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: found, or fetched once)")]


def _default(hint: str) -> object:
    return tyro.conf.arg(help_behavior_hint=hint)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a command line may say; None leaves it to the sweep."""

    epochs: Annotated[Whole, _default("(default: the sweep's)")] = None
    """Epochs of a trial that is not stopped early."""
    seeds: Annotated[Whole, _default("(default: the sweep's)")] = None
    """Replicates of each arm."""
    images: Annotated[Whole, _default("(default: all)")] = None
    """Training images; validation and test sets shrink in proportion."""
    scheduler: Literal["auto", "asha", "none"] = "auto"
    """asha: screen the arms on one seed, then compare the survivors on fresh ones. none: every arm gets every seed.
    auto: none up to 12 arms, else asha."""
    grace: Annotated[Whole, _default("(default: enough for 500 steps)")] = None
    """Epochs before ASHA may stop a trial."""
    reduction: float = 3.0
    """ASHA keeps one of this many trials at each rung."""
    search: Literal["auto", "grid", "random", "hyperopt"] = "auto"
    """grid: the arms as they stand. random, hyperopt: tuned arms besides, the best candidate of each on fresh seeds.
    auto: the sweep's, mostly grid."""
    trials: Annotated[Whole, _default(f"(default: {CANDIDATES})")] = None
    """The budget of each tuned arm's search, in full trainings; candidates stopped early leave room for others. No
    limit where --time-budget bounds the searches, unless it is given."""
    search_seed: int = 0
    """What the searches draw and their candidates' trainings depend on: with another one they are other searches, in
    another --results."""
    slots: Annotated[Whole, _default("(default: one a core, if memory suffices)")] = None
    """Trials at once, one thread each."""
    set: Annotated[
        tuple[str, ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(metavar="KEY=VALUE,...", help_behavior_hint="(repeatable)"),
    ] = ()
    """Narrow a key of the space to these values; `all` stands for every value that the key may have."""
    retries: int = 1
    """How often a trial that lost its process is tried again; one whose training raised an error waits for the next
    command."""
    trial_timeout: Annotated[Duration, _default("(default: none)")] = None
    """Kill a trial that takes longer: 90, 30m, 1.5h."""
    time_budget: Annotated[Duration, _default("(default: none)")] = None
    """End the sweep after this time, or each search where a sweep's searches are timed, whose best is then compared;
    the same command goes on."""
    fail_fast: int = 3
    """End the sweep if so many trials end first, all of one error; 0: never."""
    keep_hopeless: bool = False
    """Let trials that diverged or stay at chance run on."""
    checkpoint_every: Annotated[Duration, _default("(default: 1m)")] = None
    """Time between checkpoints of a trial, from which it goes on after a kill."""
    keep_weights: Literal["auto", "none", "best", "last"] = "auto"
    """Keep each trial's network below results/weights, as after its best or its last epoch. auto: the sweep's, mostly
    none."""
    lite: bool = False
    """Convert each compared network by LiteRT, to float32 and int8: size, accuracy and latency of each. Some sweeps
    always do."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = "float32"
    """Keras' dtype policy. auto: mixed_bfloat16 where this processor has it and the family is as accurate with it,
    else float32."""
    dataset: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: the sweep's)")] = None
    """Another data set: a name in trainables/data/datasets, such as cifar10, tiny_imagenet or image_folder."""
    data: Folder = None
    """Where the data set's files are."""
    strict: bool = False
    """Refuse a data set with damaged images, which are named and left out otherwise."""
    folds: Annotated[Whole, _default("(default: the sweep's, mostly none)")] = None
    """Cross-validation: replicates are so many folds of the training file instead of seeds, or of each seed.
    0: none."""
    results: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("results")
    """Folder for Parquet, figures and logs."""
    quick: bool = False
    """A small but real sweep, minutes on a laptop; other flags override its sizes."""
    dry_run: bool = False
    """Say what would run and how long it may take, and stop."""
    cluster: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: where this command runs)")
    ] = None
    """Run on the cluster of this file, from a machine that reaches its head by ssh. --data and absolute --results are
    folders of the head; records come home to the same relative folder here, or to results."""
    fetch: bool = False
    """With --cluster: bring the records home as they are now, and stop."""


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """Options that are filled in and checked.

    Attributes:
        search_time: what bounds each search, in seconds; None where time does not.
        candidates: the budget of each search, in full trainings; None for no limit.
    """

    epochs: int
    seeds: int
    search: Search  # type: ignore[assignment]  # a sweep's own may be by AutoKeras' oracles, which no flag names
    checkpoint_every: float
    dataset: str
    folds: int
    candidates: int | None
    search_time: float | None = None


def parse(arguments: Sequence[str], *, program: str, description: str = "") -> Options:
    """Reads the command line of a program; prints the help and exits if asked to.

    Raises:
        UsageError: one line that names the flag, the value and what is valid.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                Options,
                args=list(arguments),
                prog=program,
                description=description,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise UsageError(_one_line(said.getvalue())) from None


def _one_line(box: str) -> str:
    """What tyro draws in a box as one line, without its helptext, and with the valid flags if one was unknown."""
    words = " ".join(box.translate(str.maketrans("╭╮╰╯│─", "      ")).split())
    said = re.split(r" (?:Argument helptext|Perhaps you meant|For full helptext)", words)[0]
    said = re.sub(r"^((Parsing|Value) error|Invalid choice|Missing argument|Unrecognized options) (?=\S)", "", said)
    if words.startswith("Unrecognized"):
        valid = ", ".join("--" + f.name.replace("_", "-") for f in fields(Options))
        return f"unknown flag: {said.partition(': ')[2]}; valid: {valid}"
    return said


def resolve(sweep: Sweep, options: Options) -> Settings:
    """Fills in what was not said, from `--quick` or the sweep, and checks it.

    Raises:
        UsageError: naming the flag, the value and what is valid.
    """
    if options.quick and sweep.quick is None:
        raise UsageError(f"--quick is not defined for the sweep {sweep.name!r}; give --epochs, --seeds and --images")
    sweep.check_sections()
    if options.fetch and options.cluster is None:
        raise UsageError("--fetch brings records home from a cluster; valid: with --cluster and its file")
    search: Search = sweep.search if options.search == "auto" else options.search
    _check_search(sweep, options, search)
    options = _quickened(options, (sweep.quick or {}) if options.quick else {}, searched=search != "grid")
    search_time = options.time_budget if sweep.timed_searches else None
    folds = sweep.folds if options.folds is None else options.folds
    filled = {
        "epochs": sweep.epochs if options.epochs is None else options.epochs,
        "folds": folds,
        "seeds": (1 if folds else sweep.seeds) if options.seeds is None else options.seeds,
        "search": search,
        "candidates": options.trials if options.trials or search_time is not None else CANDIDATES,
        "time_budget": None if sweep.timed_searches else options.time_budget,
        "search_time": search_time,
        "checkpoint_every": CHECKPOINT_SECONDS if options.checkpoint_every is None else options.checkpoint_every,
        "keep_weights": sweep.keep_weights if options.keep_weights == "auto" else options.keep_weights,
        "lite": sweep.lite or options.lite,
        "dataset": sweep.dataset if options.dataset is None else options.dataset,
        "results": options.results.absolute(),
    }
    settings = Settings(**vars(options) | filled)
    _check(sweep, settings)
    if options.precision == "auto":
        return Settings(**vars(settings) | {"precision": automatic(families_asked(sweep, options.set))[0]})
    return settings


def _check_search(sweep: Sweep, options: Options, search: Search) -> None:
    """Refuses a search that the sweep does not have, and budgets of searches without one."""
    by_oracles = any(ORACLE in space for space in sweep.tuned)
    if by_oracles and search not in ("grid", "oracle"):
        raise UsageError(f"--search {search}: AutoKeras' oracles search the sweep {sweep.name!r}; valid: auto, grid")
    searching = "auto" if by_oracles else "random or hyperopt"
    if options.trials and search == "grid":
        raise UsageError(f"--trials {options.trials} is for searches; valid: with --search {searching}")
    if options.time_budget is not None and sweep.timed_searches and search == "grid":
        raise UsageError(
            f"--time-budget {options.time_budget:g} is the time of each search of the sweep {sweep.name!r}; valid: "
            f"with --search {searching}"
        )


def _quickened(options: Options, quick: Mapping[str, Any], *, searched: bool) -> Options:
    """The options with what `--quick` says where they do not.

    Its `--set` give way key by key, and all of them where families are chosen, which they may not be meant for.
    """
    unsaid = {f.name for f in fields(Options) if getattr(options, f.name) == f.default}
    said = {_key(text) for text in options.set}
    sets = () if FAMILY in said else tuple(text for text in quick.get("set", ()) if _key(text) not in said)
    filled = {k: v for k, v in quick.items() if k in unsaid and (searched or k != "trials")}
    return replace(options, **filled | {"set": (*sets, *options.set)})


def _check(sweep: Sweep, settings: Settings) -> None:
    """Refuses budgets that are negative, or nothing at all, and what does not fit the sweep."""
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
    if settings.search != "grid" and not sweep.tuned:
        raise UsageError(f"--search {settings.search}: the sweep {sweep.name!r} has no tuned spaces; valid: grid")
    if settings.grace is not None and settings.grace > settings.epochs:
        raise UsageError(f"--grace {settings.grace} is not valid; valid: 1 to {settings.epochs}, the epochs of a trial")
    if not 1 < settings.reduction < math.inf:
        raise UsageError(f"--reduction {settings.reduction} is not valid; valid: a number above 1")


def families_asked(sweep: Sweep, sets: Sequence[str]) -> list[str]:
    """The families that a command with these `--set` may train.

    Raises:
        UsageError: for one that the sweep does not have.
    """
    said = narrowed(sweep, [text for text in sets if _key(text) == FAMILY])
    return [str(name) for name in said.get(FAMILY, sweep.config_types)]


def _key(text: str) -> str:
    """The key of a `key=value,...`."""
    return text.partition("=")[0]


def narrowed(sweep: Sweep, sets: Sequence[str]) -> dict[str, list[domains.Value]]:
    """The values of each `--set key=value,...`.

    Raises:
        UsageError: for a text without `=`, an unknown key, or a value outside the key's domain.
    """
    made: dict[str, list[domains.Value]] = {}
    for text in sets:
        key, equals, values = text.partition("=")
        if not equals or not values:
            raise UsageError(f"--set {text!r} is not valid; valid: key=value,value,... of {', '.join(sweep.key_types)}")
        try:
            made[key] = _chosen(sweep, key, values)
        except ConfigError as error:
            raise UsageError(f"--set {text}: {error}") from error
    return made


def with_given(
    sweep: Sweep, narrowed: Mapping[str, list[domains.Value]], results: Path
) -> tuple[dict[str, list[domains.Value]], str]:
    """The values that were said, and for keys of which nothing was, those that the sweep reads from elsewhere.

    With them a sentence about those; empty where there is nothing to say.
    """
    if sweep.given is None:
        return dict(narrowed), ""
    values, source = sweep.given(results, narrowed)
    return {key: [value] for key, value in values.items()} | dict(narrowed), source


def _choice(sweep: Sweep, values: str) -> list[domains.Value]:
    """Some of the families of a sweep's spaces; of a sweep of one family, itself alone.

    Raises:
        ConfigError: for another one.
    """
    names = [*sweep.config_types]
    chosen = names if values == "all" else [name.strip() for name in values.split(",")]
    for name in chosen:
        if name not in names:
            raise ConfigError(f"family={name!r} is not valid; valid: {', '.join(names)}")
    return [*chosen]


def _chosen(sweep: Sweep, key: str, values: str) -> list[domains.Value]:
    """The values of a key, the family or the oracle.

    Raises:
        ConfigError: for what is not valid.
    """
    if key == FAMILY:
        return _choice(sweep, values)
    if key == ORACLE and any(ORACLE in space for space in sweep.tuned):
        return tuned_arms.asked_oracles(name.strip() for name in values.split(","))
    return _values(sweep, key, values)


def _values(sweep: Sweep, key: str, values: str) -> list[domains.Value]:
    """The values of a key that some family of the sweep may have; a JSON object is one value."""
    has = [config for config in sweep.config_types.values() if key in domains.types(config)] or [sweep.config_type]
    valid = [domains.domain(config, key) for config in has]
    if values == "all" and all(isinstance(one, domains.OneOf) for one in valid):
        return list(dict.fromkeys(value for one in valid if isinstance(one, domains.OneOf) for value in one.values))
    listed = [values] if values.startswith("{") else values.split(",")
    return [_parsed(has, key, value.strip()) for value in listed]


def _parsed(has: Sequence[type[domains.Dataclass]], key: str, text: str) -> domains.Value:
    """The value as the first family has it that may; `arms` looks at it again for each family.

    Raises:
        ConfigError: if none may have it.
    """
    *others, last = has
    for config in others:
        with contextlib.suppress(ConfigError):
            return domains.parse(config, key, text)
    return domains.parse(last, key, text)


def grace_epochs(settings: Settings, batch_sizes: Sequence[int], train_images: int) -> int:
    """Epochs before a rung: those asked for, or the first by which every arm has made enough steps to be ranked."""
    if settings.grace is not None:
        return settings.grace
    steps = min(math.ceil(train_images / size) for size in batch_sizes)
    return min(settings.epochs, math.ceil(TRUSTED_STEPS / steps))

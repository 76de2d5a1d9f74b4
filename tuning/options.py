"""The flags that every sweep has, read from the command line and checked against the sweep."""

import contextlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Final, Literal

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from trainables import config as domains
from trainables.errors import ConfigError
from tuning.errors import UsageError
from tuning.sweep import Sweep

ALL_SEEDS_UP_TO: Final = 12
"""With at most this many arms every arm gets every seed; with more, ASHA screens them first."""

TRUSTED_STEPS: Final = 500
"""Batch normalisation's averages need about as many steps before validation accuracy ranks anything."""


def _whole(words: list[str]) -> int:
    try:
        return int(words[0])
    except ValueError:
        raise ValueError(f"{words[0]!r} is not a whole number") from None


Whole = Annotated[
    int | None,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=_whole,
        is_instance=lambda value: value is None or isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""A whole number, or None for what the sweep says."""

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
    slots: Annotated[Whole, _default("(default: one a core, if memory suffices)")] = None
    """Trials at once, one thread each."""
    set: Annotated[
        tuple[str, ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(metavar="KEY=VALUE,...", help_behavior_hint="(repeatable)"),
    ] = ()
    """Narrow a key of the space to these values; `all` stands for every value that the key may have."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Keras' dtype policy."""
    data: Folder = None
    """Where the data set's files are."""
    results: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("results")
    """Folder for Parquet, figures and logs."""
    quick: bool = False
    """A small but real sweep, minutes on a laptop; other flags override its sizes."""
    dry_run: bool = False
    """Say what would run and how long it may take, and stop."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options that are filled in and checked."""

    epochs: int
    seeds: int
    images: int | None
    grace: int | None
    reduction: float
    screening: bool | None
    slots: int | None
    precision: str
    data: Path | None
    results: Path
    dry_run: bool


def parse(sweep: Sweep, arguments: Sequence[str], description: str) -> Options:
    """Reads the command line; prints the help and exits if asked to.

    Raises:
        UsageError: one line that names the flag, the value and what is valid.
    """
    program = f"{sweep.name}.py"
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
    quick = (sweep.quick or {}) if options.quick else {}
    unsaid = {f.name for f in fields(Options) if getattr(options, f.name) == f.default}
    options = replace(options, **{k: v for k, v in quick.items() if k in unsaid})
    epochs = sweep.epochs if options.epochs is None else options.epochs
    seeds = sweep.seeds if options.seeds is None else options.seeds
    for flag, value in (("epochs", epochs), ("seeds", seeds), ("slots", options.slots), ("grace", options.grace)):
        if value is not None and value < 1:
            raise UsageError(f"--{flag} {value} is not valid; valid: 1 or more")
    if options.grace is not None and options.grace > epochs:
        raise UsageError(f"--grace {options.grace} is not valid; valid: 1 to {epochs}, the epochs of a trial")
    if not 1 < options.reduction < math.inf:
        raise UsageError(f"--reduction {options.reduction} is not valid; valid: a number above 1")
    return Settings(
        epochs=epochs,
        seeds=seeds,
        images=options.images,
        grace=options.grace,
        reduction=options.reduction,
        screening={"auto": None, "asha": True, "none": False}[options.scheduler],
        slots=options.slots,
        precision=options.precision,
        data=options.data,
        results=options.results.absolute(),
        dry_run=options.dry_run,
    )


def narrowed(sweep: Sweep, sets: Sequence[str]) -> dict[str, list[domains.Value]]:
    """The values of each `--set key=value,...`.

    Raises:
        UsageError: for a text without `=`, an unknown key, or a value outside the key's domain.
    """
    made: dict[str, list[domains.Value]] = {}
    for text in sets:
        key, equals, values = text.partition("=")
        if not equals or not values:
            raise UsageError(f"--set {text!r} is not valid; valid: key=value,value,... of {_keys(sweep)}")
        try:
            made[key] = _values(sweep.config_type, key, values)
        except ConfigError as error:
            raise UsageError(f"--set {text}: {error}") from error
    return made


def _values(config_type: type[domains.Dataclass], key: str, values: str) -> list[domains.Value]:
    valid = domains.domain(config_type, key)
    if values == "all" and isinstance(valid, domains.OneOf):
        return list(valid.values)
    return [domains.parse(config_type, key, v.strip()) for v in values.split(",")]


def _keys(sweep: Sweep) -> str:
    return ", ".join(f.name for f in fields(sweep.config_type))


def grace_epochs(settings: Settings, batch_sizes: Sequence[int], train_images: int) -> int:
    """Epochs before a rung: those asked for, or the first by which every arm has made enough steps to be ranked."""
    if settings.grace is not None:
        return settings.grace
    steps = min(math.ceil(train_images / size) for size in batch_sizes)
    return min(settings.epochs, math.ceil(TRUSTED_STEPS / steps))

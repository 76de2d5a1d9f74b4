"""The flags that every sweep has, as they are read from the command line."""

import contextlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from layersweep.tuning.common.errors import UsageError

CANDIDATES: Final = 8
"""Full trainings that the search of a tuned arm may take, unless said otherwise."""

_Number = TypeVar("_Number", int, float)


def _whole(words: list[str]) -> int:
    try:
        return int(words[0])
    except ValueError:
        raise ValueError(f"{words[0]!r} is not a whole number") from None


def _optional(kind: type[_Number], metavar: str, convert: Callable[[list[str]], _Number]) -> object:
    """How tyro reads one word as a number or leaves it at None, with an error of one line."""
    return PrimitiveConstructorSpec[_Number | None](
        nargs=1,
        metavar=metavar,
        instance_from_str=convert,
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


Whole = Annotated[int | None, _optional(int, "INT", _whole)]
"""A whole number, or None for the sweep's own."""

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def _duration(words: list[str]) -> float:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([smh]?)", words[0].strip())
    if match is None:
        raise ValueError(f"{words[0]!r} is no time; valid: seconds, or a number with s, m or h, such as 90, 30m, 1.5h")
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float | None, _optional(float, "TIME", _duration)]
"""Seconds, written as 90, 30m or 1.5h; None for no limit."""

Folder = Annotated[
    Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: found, or downloaded once)")
]


def _default(hint: str) -> object:
    return tyro.conf.arg(help_behavior_hint=hint)


Metric = Literal["val_accuracy", "val_loss", "val_balanced_accuracy", "val_macro_f1"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a command line may say; None leaves the value to the sweep."""

    epochs: Annotated[Whole, _default("(default: the sweep's)")] = None
    """Epochs of a trial that is not stopped early."""
    seeds: Annotated[Whole, _default("(default: the sweep's)")] = None
    """Seeds of each arm: every arm is trained once a seed."""
    images: Annotated[Whole, _default("(default: all)")] = None
    """Number of training images. The validation and test sets shrink in proportion."""
    metric: Annotated[Metric | None, _default("(default: the sweep's, usually val_accuracy)")] = None
    """What decides: early stopping, searches, best epochs and the study. Balanced accuracy and macro F1 count rare
    classes as much as frequent ones."""
    scheduler: Literal["auto", "asha", "none"] = "auto"
    """asha: train all arms on one seed with early stopping, then compare the survivors on fresh seeds. none: every
    arm gets every seed. auto: none up to 12 arms, else asha."""
    grace: Annotated[Whole, _default("(default: enough for 500 steps)")] = None
    """Epochs before ASHA may stop a trial."""
    reduction: float = 3.0
    """ASHA keeps one of this many trials at each rung."""
    search: Literal["auto", "grid", "random", "hyperopt"] = "auto"
    """grid: compare the arms of the search space. random, hyperopt: also search the best hyperparameters of the tuned
    arms, and compare the best candidate of each on fresh seeds. auto: as the sweep says, usually grid."""
    trials: Annotated[Whole, _default(f"(default: {CANDIDATES})")] = None
    """Budget of each tuned arm's search, in full trainings. A candidate that is stopped early leaves room for others.
    If --time-budget limits the searches, there is no other limit unless you give one."""
    search_seed: int = 0
    """Seed of the searches. Another seed gives other searches, which need another --results."""
    slots: Annotated[Whole, _default("(default: one a core, if memory suffices)")] = None
    """Trials that run at the same time, with one thread each."""
    set: Annotated[
        tuple[str, ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(metavar="KEY=VALUE,...", help_behavior_hint="(repeatable)"),
    ] = ()
    """Give a key of the search space these values instead; `all` stands for every valid value. With --search random or
    hyperopt also a range of numbers, such as learning_rate=1e-5..1e-1."""
    arm: Annotated[
        tuple[str, ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(metavar="KEY=VALUE,KEY=VALUE,...", help_behavior_hint="(repeatable)"),
    ] = ()
    """Compare these arms instead of those of the search space, each with its own values, such as --arm
    optimizer=sgd,learning_rate=0.05 --arm optimizer=adam. --set then applies to all of them."""
    retries: int = 1
    """How often a trial runs again if its process was killed. A trial that raised an error runs again with the next
    command."""
    trial_timeout: Annotated[Duration, _default("(default: none)")] = None
    """Kill a trial that takes longer, such as 90, 30m or 1.5h."""
    time_budget: Annotated[Duration, _default("(default: none)")] = None
    """End the sweep after this time; the same command continues it. In a sweep with timed searches: end each search
    after this time, and compare its best candidate."""
    fail_fast: int = 3
    """End the sweep if this many trials fail first, all with the same error. 0: never."""
    keep_hopeless: bool = False
    """Do not end trials that diverge or stay at chance."""
    checkpoint_every: Annotated[Duration, _default("(default: 1m)")] = None
    """Time between checkpoints of a trial. After a kill it continues from the last one."""
    keep_weights: Literal["auto", "none", "best", "last"] = "auto"
    """Keep each trial's network in results/weights, as it is after its best or its last epoch. auto: as the sweep
    says, usually none."""
    lite: bool = False
    """Convert each compared network by LiteRT to float32 and int8, and measure size, accuracy and latency. Some sweeps
    always do."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = "float32"
    """Keras' dtype policy. auto: mixed_bfloat16 if this processor has it and the family is as accurate with it, else
    float32."""
    dataset: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: the sweep's)")] = None
    """Another data set: a name in trainables/data/datasets, such as cifar10, tiny_imagenet or image_folder."""
    data: Folder = None
    """Where the data set's files are. For image_folder: a folder of pictures for each class, with or without parts such
    as train and test; a table of file names and labels; a Parquet or Arrow file; or an .npz file."""
    columns: Annotated[
        str | None,
        tyro.conf.arg(metavar="file=NAME,label=NAME[,part=NAME]", help_behavior_hint="(default: found by their names)"),
    ] = None
    """The columns of a table of pictures: their files, their classes, and their parts of the data."""
    fit: Literal["auto", "stretch", "crop", "pad"] = "auto"
    """How pictures of other proportions are brought to the size of a trial: change their proportions, cut off their
    edges, or add black bars. The same as --set fit=... auto: as the sweep says, usually stretch."""
    strict: bool = False
    """Refuse a data set with damaged images. Without this flag they are named and left out."""
    folds: Annotated[Whole, _default("(default: the sweep's, usually none)")] = None
    """Cross-validation: train each arm on this many folds of the training file instead of seeds, or for each seed.
    0: none."""
    results: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("results")
    """Folder for Parquet files, figures and logs."""
    quick: bool = False
    """Run a small but real sweep, which takes minutes on a laptop. Other flags override its sizes."""
    dry_run: bool = False
    """Print what would run and how long it may take, and stop."""
    no_watch: bool = False
    """Do not serve the page to watch the sweep in a browser."""
    cluster: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: where this command runs)")
    ] = None
    """Run on the cluster of this file. This machine must reach the head of the cluster by ssh. --data and an absolute
    --results are folders on the head. Records are copied to the same relative folder here, or to results."""
    fetch: bool = False
    """With --cluster: copy the records to this machine as they are now, and stop."""


def parse(arguments: Sequence[str], *, program: str, description: str = "") -> Options:
    """Reads the command line of a program; prints the help and exits if asked to.

    Raises:
        UsageError: one line that names the flag, the value and what is valid.
    """
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
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
        raise UsageError(_one_line(stderr.getvalue())) from None


def _one_line(box: str) -> str:
    """The error that tyro draws in a box as one line, with the valid flags if a flag is unknown."""
    box = re.sub("-{4,}", " ", box)  # the frame of a box where the output is not in UTF-8, as in a notebook
    words = " ".join(box.translate(str.maketrans("╭╮╰╯│─", "      ")).split())
    message = re.split(r" (?:Argument helptext|Perhaps you meant|For full helptext)", words)[0]
    message = re.sub(
        r"^((Parsing|Value) error|Invalid choice|Missing argument|Unrecognized options) (?=\S)", "", message
    )
    if words.startswith("Unrecognized"):
        valid = ", ".join("--" + f.name.replace("_", "-") for f in fields(Options))
        return f"unknown flag: {message.partition(': ')[2]}; valid: {valid}"
    return message

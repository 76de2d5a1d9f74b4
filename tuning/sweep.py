"""What a sweep is, and the trials that it asks for."""

import hashlib
import inspect
import itertools
import json
import random
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from search_spaces.ranges import Range
from trainables import config as domains
from trainables import hardware
from trainables.data import Data
from trainables.errors import ConfigError
from trainables.meaning import MEANING
from trainables.serve import Values, WarmUp
from tuning.errors import UsageError

Space = Mapping[str, Sequence[domains.Value] | Range]
Train = Callable[..., Values]
KERAS: Final = WarmUp(imports=hardware.imports, device=hardware.device)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One question: a family to train, the spaces whose arms are compared, and how much to spend by default.

    Args:
        name: the sweep's name; also that of its space, its study and its folders below the results.
        train: a family's `train`; the type of its `config` argument says which keys there are.
        spaces: what varies; each dict is a grid, and several dicts are a union of arms.
        metric: the column of the epochs table that decides: `val_accuracy` or `val_loss`.
        epochs: epochs of a trial that is not stopped.
        seeds: replicates of each arm.
        study: reads the records when the sweep has ended; called with the results folder and the sweep's name.
        prepare_study: imports what the study needs; called in a thread while trials run.
        control: the arm that is compared even if a screening stopped it.
        dataset: a data set that `trainables.data.prepare` knows.
        tuned: spaces that are searched, one arm each: keys with one value are fixed, keys with several values or a
            Range are searched.
        warm_up: what a training process does first: imports, and the name of its device.
        quick: the flags that `--quick` stands for.
    """

    name: str
    train: Train
    spaces: Sequence[Space]
    study: Callable[[Path, str], None] | None = None
    prepare_study: Callable[[], None] | None = None
    metric: str = "val_accuracy"
    epochs: int = 10
    seeds: int = 3
    control: str | None = None
    dataset: str = "fashion_mnist"
    tuned: Sequence[Space] = ()
    warm_up: WarmUp = KERAS
    quick: Mapping[str, Any] | None = None

    @property
    def config_type(self) -> type[domains.Dataclass]:
        """The Config dataclass that `train` takes."""
        hint = typing.get_type_hints(inspect.unwrap(self.train))["config"]
        return typing.cast("type[domains.Dataclass]", hint)

    @property
    def family(self) -> str:
        """The name of the model family: the last part of its module's."""
        return self.train.__module__.rpartition(".")[2]

    @property
    def mode(self) -> str:
        """Whether the metric is better when larger (max) or smaller (min)."""
        return "min" if self.metric.endswith("loss") else "max"


def sign(mode: str) -> int:
    """What a metric is multiplied by, so that the greater product is the better one."""
    return -1 if mode == "min" else 1


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What a study compares: a filled-in configuration under a short name, made of what varies.

    The note tells the candidates of a tuned arm apart, for a person.
    """

    name: str
    config: domains.Dataclass
    note: str = ""

    @property
    def values(self) -> dict[str, Any]:
        """The configuration as a flat dict."""
        return asdict(self.config)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training: an arm's configuration, a seed and data. Its id is its content."""

    trial_id: str
    arm: Arm
    question: str
    seed: int
    epochs: int
    precision: str
    data: Data
    candidate: int | None = None

    @property
    def label(self) -> str:
        """What a person calls it."""
        noted = f" ({self.arm.note})" if self.arm.note else ""
        return f"{self.arm.name}{noted}, seed {self.seed}"

    def __repr__(self) -> str:
        """Short, since Ray Tune writes it into names."""
        return self.trial_id


def arms(sweep: Sweep, narrowed: Mapping[str, Sequence[domains.Value]]) -> list[Arm]:
    """Every arm of the sweep's spaces, those keys replaced that are narrowed, in the spaces' order.

    Raises:
        UsageError: for a key that no Config knows, a value outside its domain, or a space that is empty.
    """
    spaces = [{**space, **narrowed} for space in sweep.spaces]
    made: dict[domains.Dataclass, dict[str, domains.Value]] = {}
    for space in spaces:
        for values in _grid(space):
            made.setdefault(_config(sweep, values), values)  # spaces may overlap: equal configurations are one arm
    if not made:
        raise UsageError(f"sweep {sweep.name!r} has no arms: each key of a space needs at least one value")
    return [Arm(name=n, config=config) for n, config in zip(names(spaces, [*made.values()]), made, strict=True)]


def names(spaces: Sequence[Space], values: Sequence[Mapping[str, domains.Value]]) -> list[str]:
    """A name for each arm: what varies between the spaces' arms, or all of its values where that is ambiguous.

    Raises:
        UsageError: for a key of a space that is no list of choices.
    """
    varied = _varied(spaces)
    short = [_name({k: v for k, v in arm.items() if k in varied}) for arm in values]
    return short if len(set(short)) == len(short) else [_full_name(arm) for arm in values]


def _varied(spaces: Sequence[Space]) -> set[str]:
    """The keys whose value differs between arms: they name an arm."""
    keys = {key for space in spaces for key in space}
    return {k for k in keys if len({json.dumps(choices(k, s[k])) if k in s else "" for s in spaces}) > 1} | {
        k for space in spaces for k in space if len(choices(k, space[k])) > 1
    }


def choices(key: str, values: Sequence[domains.Value] | Range) -> list[domains.Value]:
    """The values of a key as a list.

    Raises:
        UsageError: for a Range, or what is no list.
    """
    if isinstance(values, Range):
        raise UsageError(f"{key} is a Range, which a grid cannot list: give its values with --set {key}=a,b,c")
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise UsageError(f"{key}={values!r} is no list of choices: write [{values!r}]")
    return list(values)


def _grid(space: Space) -> Iterator[dict[str, domains.Value]]:
    lists = [choices(key, values) for key, values in space.items()]
    for combination in itertools.product(*lists):
        yield dict(zip(space, combination, strict=True))


def _config(sweep: Sweep, values: Mapping[str, domains.Value]) -> domains.Dataclass:
    try:
        return domains.make(sweep.config_type, values)
    except ConfigError as error:
        raise UsageError(f"the space of sweep {sweep.name!r}: {error}") from error


def _name(varied: Mapping[str, domains.Value]) -> str:
    """The value alone if one key varies; all keys with their values otherwise."""
    return str(next(iter(varied.values()))) if len(varied) == 1 else _full_name(varied)


def _full_name(values: Mapping[str, domains.Value]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items()) or "default"


def trials(
    sweep: Sweep, arms: Sequence[Arm], data: Data, *, question: str, seeds: Sequence[int], epochs: int, precision: str
) -> list[Trial]:
    """Each arm with each seed, replicates of one seed together, in an order shuffled by it.

    The order matters to ASHA: it never stops the first to reach a rung, so a fixed one would favour the same arms.
    """
    made: list[Trial] = []
    for seed in seeds:
        shuffled = list(arms)
        random.Random(seed).shuffle(shuffled)  # noqa: S311 (an order, no secret)
        made.extend(
            Trial(
                trial_id=trial_id(sweep.family, arm, seed, data, precision),
                arm=arm,
                question=question,
                seed=seed,
                epochs=epochs,
                precision=precision,
                data=data,
            )
            for arm in shuffled
        )
    return made


def trial_id(family: str, arm: Arm, seed: int, data: Data, precision: str) -> str:
    """16 hexadecimal digits of everything that a trial's results depend on, the number of epochs left out.

    A shorter trial is the beginning of a longer one: both have the same id. What a trial does not have (a fold, a
    parent, a schedule) is left out, so that ids stay when such things are added.
    """
    content = {
        "meaning": MEANING,
        "family": family,
        "config": arm.values,
        "seed": seed,
        "data": [data.fingerprint, data.train_images, data.validation_images, data.test_images],
        "precision": precision,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

"""The arms that a sweep compares, the trials that it asks for, and how a trial ended."""

import functools
import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from layersweep.records.questions import FIRST_PHASE
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE, choices, names
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Space
from trainables import config as domains
from trainables.data.dataset import Data
from trainables.errors import ConfigError, DataError, WeightsError
from trainables.keys import Keys
from trainables.meaning import MEANING

_FINEST: Final = 10_000


def sign(mode: str) -> int:
    """What a metric is multiplied by, so that the greater product is the better one."""
    return -1 if mode == "min" else 1


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training: an arm's configuration, a seed and data. Its id is its content.

    It begins with the weights that its parent has after its last epoch, if it has one.
    """

    trial_id: str
    arm: Arm
    question: str
    seed: int
    epochs: int
    precision: str
    data: Data
    candidate: int | None = None
    parent: "Trial | None" = None

    @property
    def label(self) -> str:
        """What a person calls it."""
        noted = f" ({self.arm.note})" if self.arm.note else ""
        fold = "" if self.data.fold is None else f", fold {self.data.fold + 1} of {self.data.folds}"
        return f"{self.arm.name}{noted}, seed {self.seed}{fold}"

    def __repr__(self) -> str:
        """Short, since Ray Tune writes it into names."""
        return self.trial_id


def arms(sweep: Sweep, narrowed: Mapping[str, Sequence[domains.Value]]) -> list[Arm]:
    """Every arm of the sweep's spaces, those keys replaced that are narrowed, in the spaces' order.

    Raises:
        UsageError: for a key that no Config knows, a value outside its domain, or a space that is empty.
    """
    spaces = _narrowed(sweep, {key: values for key, values in narrowed.items() if key != ORACLE})
    made: dict[tuple[str, domains.Dataclass], dict[str, domains.Value]] = {}
    for space in spaces:
        for values in _grid(space):
            made.setdefault(_config(sweep, values), values)  # spaces may overlap: equal configurations are one arm
    if not made and not (sweep.tuned and sweep.family in narrowed.get(FAMILY, [])):
        raise UsageError(f"sweep {sweep.name!r} has no arms: each key of a space needs at least one value")
    named = zip(names(spaces, [*made.values()], own=sweep.spaces), made, strict=True)
    return [Arm(name=name, family="" if f == sweep.family else f, config=config) for name, (f, config) in named]


def _narrowed(sweep: Sweep, narrowed: Mapping[str, Sequence[domains.Value]]) -> list[dict[str, Any]]:
    """The spaces with these keys replaced.

    A choice of families leaves out spaces that have none of them; a key that a family does not have leaves its arms as
    they are.
    """
    if not any(FAMILY in space for space in sweep.spaces):
        return [{**space, **narrowed} for space in sweep.spaces]
    chosen = narrowed.get(FAMILY)
    others = {key: values for key, values in narrowed.items() if key != FAMILY}
    found = []
    for space in sweep.spaces:
        kept = choices(FAMILY, space.get(FAMILY, [sweep.family]))
        by_keys: dict[tuple[str, ...], list[domains.Value]] = {}
        for name in kept if chosen is None else [name for name in kept if name in chosen]:
            known = domains.types(sweep.config_of(name))
            by_keys.setdefault(tuple(key for key in others if key in known), []).append(name)
        found += [{**space, **{k: others[k] for k in keys}, FAMILY: names} for keys, names in by_keys.items()]
    return found


def _grid(space: Space) -> Iterator[dict[str, domains.Value]]:
    for combination in itertools.product(*itertools.starmap(choices, space.items())):
        yield dict(zip(space, combination, strict=True))


def _config(sweep: Sweep, values: Mapping[str, domains.Value]) -> tuple[str, domains.Dataclass]:
    """The family and the configuration of these values."""
    family = str(values.get(FAMILY, sweep.family))
    try:
        return family, domains.make(sweep.config_of(family), {k: v for k, v in values.items() if k != FAMILY})
    except ConfigError as error:
        raise UsageError(f"the space of sweep {sweep.name!r}: {error}") from error


def trials(
    sweep: Sweep,
    arms: Sequence[Arm],
    data: Data,
    *,
    question: str,
    seeds: Sequence[int],
    epochs: int,
    precision: str,
    folds: int = 0,
) -> list[Trial]:
    """Each arm with each seed, or with each fold of the data in the order of each seed.

    Replicates of one seed are together, in an order shuffled by it. The order matters to ASHA: it never stops the first
    to reach a rung, so a fixed one would favour the same arms.
    """

    def made(arm: Arm, data: Data, question: str, seed: int, epochs: int, *, parent: Trial | None = None) -> Trial:
        phase = epochs if question == FIRST_PHASE else 0
        return Trial(
            trial_id=trial_id(sweep.family_of(arm), arm, seed, data, precision, parent=parent, phase=phase),
            arm=arm,
            question=question,
            seed=seed,
            epochs=epochs,
            precision=precision,
            data=data,
            parent=parent,
        )

    found: list[Trial] = []
    for seed, fold in itertools.product(seeds, range(folds) if folds else [None]):
        shuffled = list(arms)
        random.Random(seed).shuffle(shuffled)  # noqa: S311 (an order, no secret)
        for arm in shuffled:
            part = seen(arm, data, fold=fold, folds=folds)
            parent = None
            if (phase := getattr(arm.config, "first_phase", None)) is not None:
                config, first = phase
                parent = made(replace(arm, name=FIRST_PHASE, config=config), part, FIRST_PHASE, seed, first)
            found.append(made(arm, part, question, seed, epochs, parent=parent))
    return found


def seen(arm: Arm, data: Data, *, fold: int | None = None, folds: int = 0) -> Data:
    """The part of the data that an arm's trials see.

    Raises:
        DataError: if a class is too small for it.
    """
    keys = arm.config
    if not isinstance(keys, Keys):
        return data.narrowed(fold=fold, folds=folds)
    return data.narrowed(
        chosen=keys.chosen(len(data.chosen)),
        train_share=Fraction(keys.train_share).limit_denominator(_FINEST),
        validating=keys.validating,
        fold=fold,
        folds=folds,
    )


def check_images(sweep: Sweep, arms: Sequence[Arm], data: Data, *, folds: int = 0) -> list[str]:
    """Refuses arms whose family cannot take the data's images or classes; says what is done to images for a family.

    Raises:
        UsageError: naming the arm, what is wrong with it, and what is valid.
    """
    coloured = []
    for arm in arms:
        family, keys = sweep.family_of(arm), arm.config if isinstance(arm.config, Keys) else None
        try:
            if keys is not None:
                keys.check_shape(data.image_shape, family)
            seen(arm, data, fold=0 if folds else None, folds=folds)
        except (ConfigError, DataError) as error:
            raise UsageError(f"arm {arm.name}: {error}") from error
        if keys is not None and keys.recoloured(data.image_shape):
            coloured.append(family)
    return [f"grey images get three equal channels for {', '.join(dict.fromkeys(coloured))}"] if coloured else []


def check_weights(sweep: Sweep, arms: Sequence[Arm], data: Data, results: Path) -> None:
    """Builds each model that begins with weights from elsewhere, once: they are fetched, and must fit.

    Raises:
        UsageError: naming the arm, and what is wrong with its weights.
    """
    from trainables.worker import model_check

    wanted = {
        model_check.Wanted(
            family=sweep.family_of(arm),
            config_json=json.dumps(arm.stated | kept_weights.located(arm.stated, results), sort_keys=True),
            image_shape=data.image_shape,
            classes=len(seen(arm, data).classes),
        ): arm
        for arm in arms
        if arm.stated.get(kept_weights.KEY)
    }
    if not wanted:
        return
    try:
        problems = model_check.problems(list(wanted))
    except WeightsError as error:
        raise UsageError(str(error)) from error
    for arm, problem in zip(wanted.values(), problems, strict=True):
        if problem is not None:
            raise UsageError(f"arm {arm.name}: {problem}")


def trial_id(
    family: str,
    arm: Arm,
    seed: int,
    data: Data,
    precision: str,
    *,
    parent: Trial | None = None,
    phase: int = 0,
) -> str:
    """16 hexadecimal digits of everything that a trial's results depend on, the number of epochs left out.

    A shorter trial is the beginning of a longer one: both have the same id; but a first phase, whose weights others go
    on from, is one of so many epochs. What a trial does not have (a fold, a parent, a schedule) is left out, so that
    ids stay when such things are added.
    """
    content = {
        "meaning": MEANING,
        "family": family,
        "config": arm.stated,
        "seed": seed,
        "data": [data.fingerprint, data.train_images, data.validation_images, data.test_images],
        "precision": precision,
    }
    if data.fold is not None:
        content["fold"] = [data.fold, data.folds]
    if phase:
        content["phase"] = phase
    if parent is not None:
        content["parent"] = [parent.trial_id, parent.epochs]
    weights = Path(str(arm.stated.get(kept_weights.KEY, "")))
    if weights.is_file():  # what it holds counts, wherever it lies
        state = weights.stat()
        content["weights"] = _content_digest(weights, state.st_mtime_ns, state.st_size)
        content["config"] = {key: value for key, value in arm.stated.items() if key != kept_weights.KEY}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@functools.cache
def _content_digest(path: Path, _modified: int, _size: int) -> str:
    """The SHA-256 of a file's content, read once as long as it does not change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a trial ended: its outcome, and the last value of the metric at the last epoch.

    One that was refused by an estimate (`layersweep.tuning.experiment.admission`) has failed, by no fault.
    """

    outcome: str
    epoch: int
    value: float | None
    refused: bool = False

    @property
    def sound(self) -> bool:
        """Whether its value may be held against others': it did not fail, diverge or stay at chance."""
        return self.outcome in ("completed", "stopped")

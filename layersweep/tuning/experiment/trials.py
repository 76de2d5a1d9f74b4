"""Trials: what one training is, how a sweep's trials are made, and how one ended.

What a trial's id covers, and why: docs/decisions/trial_ids.md.
"""

import functools
import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from layersweep.records.questions import COMPARISON, FIRST_PHASE
from layersweep.tuning.common import kept_weights
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.sweep import Sweep
from trainables.data.dataset import Data
from trainables.keys import Keys
from trainables.meaning import MEANING

_LARGEST_DENOMINATOR: Final = 10_000
"""Of the fraction that stands for a share of the training images."""


def sign(mode: str) -> int:
    """The factor that makes a metric better when it is larger: -1 for mode `min`, else 1."""
    return -1 if mode == "min" else 1


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training: an arm's configuration, a seed and data. Its id is the hash of its content.

    If it has a parent, it begins with the weights that the parent has after its last epoch. `network_revision` is the
    fingerprint that its id contains; None for the network that was recorded first.
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
    network_revision: str | None = None

    @property
    def label(self) -> str:
        """The trial in words, such as `adam, seed 2, fold 1 of 5`."""
        note = f" ({self.arm.note})" if self.arm.note else ""
        fold = "" if self.data.fold is None else f", fold {self.data.fold + 1} of {self.data.folds}"
        return f"{self.arm.name}{note}, seed {self.seed}{fold}"

    @property
    def plain(self) -> "Trial":
        """The same trial without its Config, for a process that cannot import that; a slot needs no parent."""
        return replace(self, arm=self.arm.plain, parent=None)

    def __repr__(self) -> str:
        """Short, since Ray Tune writes it into names."""
        return self.trial_id


@dataclass(frozen=True, kw_only=True)
class TrialContent:
    """Everything that a trial's results depend on, except the number of epochs.

    A shorter trial is the beginning of a longer one: both have the same id. A first phase, whose weights other trials
    continue from, is one of exactly `phase_epochs` epochs (0: the trial is no first phase). `network` is the
    fingerprint of its network, if that is another one than was recorded under the id without it.
    """

    family: str
    arm: Arm
    seed: int
    data: Data
    precision: str
    parent: Trial | None = None
    phase_epochs: int = 0
    network: str | None = None

    @property
    def trial_id(self) -> str:
        """16 hexadecimal digits of a SHA-256.

        What a trial does not have (a fold, a parent, a schedule) is not hashed, so that ids stay the same when such
        things are added to the project. `trainables.meaning.MEANING` changes all ids at once.
        """
        content = {
            "meaning": MEANING,
            "family": self.family,
            "config": self.arm.stated,
            "seed": self.seed,
            "data": [
                self.data.fingerprint,
                self.data.train_images,
                self.data.validation_images,
                self.data.test_images,
            ],
            "precision": self.precision,
        }
        if self.data.fold is not None:
            content["fold"] = [self.data.fold, self.data.folds]
        if self.network is not None:
            content["network"] = self.network
        if self.phase_epochs:
            content["phase"] = self.phase_epochs
        if self.parent is not None:
            content["parent"] = [self.parent.trial_id, self.parent.epochs]
        weights = Path(str(self.arm.stated.get(kept_weights.KEY, "")))
        if weights.is_file():  # the content of the file counts, wherever the file is
            status = weights.stat()
            content["weights"] = _content_digest(weights, status.st_mtime_ns, status.st_size)
            content["config"] = {key: value for key, value in self.arm.stated.items() if key != kept_weights.KEY}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def network_key(family: str, config: Mapping[str, object]) -> str:
    """What a network is built from, as text: its family and its configuration."""
    return f"{family} {json.dumps(config, sort_keys=True)}"


@functools.cache
def _content_digest(path: Path, _modified: int, _size: int) -> str:
    """The SHA-256 of a file's content, computed once as long as the file does not change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class TrialFactory:
    """Makes the trials of a sweep: each arm with each seed, or with each fold of the data in the order of each seed.

    Attributes:
        sweep: the sweep.
        data: its data.
        epochs: of a trial that is not stopped.
        precision: Keras' dtype policy.
        folds: of the comparison; 0 for replicates by seed. Other questions have no folds.
        network_revisions: the revisions of networks that are not those recorded first, by `network_key`.
    """

    sweep: Sweep
    data: Data
    epochs: int
    precision: str
    folds: int = 0
    network_revisions: Mapping[str, str] = field(default_factory=dict)

    def trials(self, arms: Sequence[Arm], question: str, seeds: Sequence[int]) -> list[Trial]:
        """The trials of these arms, one seed after another.

        Each seed shuffles the arms. Their order matters to ASHA: it never stops the first trial that reaches a rung,
        so a fixed order would favour the same arms.
        """
        folds = self.folds if question == COMPARISON else 0
        return [
            self._trial(arm, visible_data(arm, self.data, fold=fold, folds=folds), question, seed)
            for seed, fold in itertools.product(seeds, range(folds) if folds else [None])
            for arm in _shuffled(arms, seed)
        ]

    def _trial(self, arm: Arm, data: Data, question: str, seed: int) -> Trial:
        """A trial, with its first phase as its parent if its configuration asks for one."""
        parent = None
        if (first_phase := getattr(arm.config, "first_phase", None)) is not None:
            config, epochs = first_phase
            phase_arm = replace(arm, name=FIRST_PHASE, config=config)
            content = self._content(phase_arm, data, seed, phase_epochs=epochs)
            parent = self._from_content(content, FIRST_PHASE, epochs)
        return self._from_content(self._content(arm, data, seed, parent=parent), question, self.epochs)

    def _content(
        self, arm: Arm, data: Data, seed: int, *, parent: Trial | None = None, phase_epochs: int = 0
    ) -> TrialContent:
        return TrialContent(
            family=self.sweep.family_of(arm),
            arm=arm,
            seed=seed,
            data=data,
            precision=self.precision,
            parent=parent,
            phase_epochs=phase_epochs,
            network=self.network_revisions.get(network_key(self.sweep.family_of(arm), arm.stated)),
        )

    def _from_content(self, content: TrialContent, question: str, epochs: int) -> Trial:
        return Trial(
            trial_id=content.trial_id,
            arm=content.arm,
            question=question,
            seed=content.seed,
            epochs=epochs,
            precision=content.precision,
            data=content.data,
            parent=content.parent,
            network_revision=content.network,
        )


def _shuffled(arms: Sequence[Arm], seed: int) -> Iterator[Arm]:
    order = list(arms)
    random.Random(seed).shuffle(order)  # noqa: S311 (an order, no secret)
    yield from order


def visible_data(arm: Arm, data: Data, *, fold: int | None = None, folds: int = 0) -> Data:
    """The part of the data that an arm's trials see, with pictures of the size that they need.

    Raises:
        DataError: if a class is too small for it.
    """
    keys = arm.config
    if not isinstance(keys, Keys):
        return data.fitted().part(fold=fold, folds=folds)
    return data.fitted(keys.image_size, keys.fit, keys.resizing).part(
        class_indices=keys.class_indices(len(data.class_indices)),
        train_share=Fraction(keys.train_share).limit_denominator(_LARGEST_DENOMINATOR),
        holdout=keys.holdout,
        fold=fold,
        folds=folds,
    )


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a trial ended: its outcome, and the metric's value after its last epoch.

    A trial that was refused by an estimate (`layersweep.tuning.experiment.candidate_limits`) counts as failed, though
    nothing is wrong with it. One that a person stopped counts as stopped.
    """

    outcome: str
    epoch: int
    value: float | None
    refused: bool = False
    requested: bool = False

    @property
    def sound(self) -> bool:
        """Whether its value may be compared with others: the trial did not fail, diverge or stay at chance."""
        return self.outcome in ("completed", "stopped")

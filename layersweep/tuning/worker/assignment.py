"""What a slot needs to know of a trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from layersweep.tuning.experiment.candidate_limits import SearchLimits
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.worker.file_transfer import DriverFiles
from trainables.families.family_code import FamilyCode
from trainables.worker.training_server import WarmUp


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a slot needs to know of a trial.

    Attributes:
        trial: the trial.
        family: the code of its family, which a slot passes on.
        warm_up: what a training process does first.
        fork_server: the socket of the driver's fork server.
        log: where what the training prints goes.
        slots: the slots that share a machine's memory.
        checkpoints: the folder of checkpoints.
        checkpoint_every: seconds of training after which one is written, before the next epoch.
        start: the checkpoint to continue from; None to begin.
        start_epoch: the epoch after which it was written; 0 to begin.
        timeout: seconds after which the training is killed; None for never.
        keep_hopeless: whether a training with a NaN continues.
        rungs: the epochs after which ASHA may stop it.
        parent: the weights of its first phase, with which it begins.
        weight_files: values of its configuration that stand for a file on this machine.
        keep_weights: the epoch whose weights are kept: none, best or last.
        results: the results folder.
        metric: the metric that decides which epoch is the best.
        mode: whether it is better when larger (max) or smaller (min).
        named_weights: files of weights that recorded plans name: they stay.
        best: the metric's best value before the first epoch that is trained; None without one.
        lite: whether its network is converted by LiteRT at the end.
        limits: what a new candidate of a search may take; None for other trials, which are not refused.
        driver_files: the driver's disk, for slots on other machines of a cluster; None without other machines.
    """

    trial: Trial
    family: FamilyCode
    warm_up: WarmUp
    fork_server: Path | None = None
    log: Path
    slots: int
    checkpoints: Path
    checkpoint_every: float
    start: Path | None = None
    start_epoch: int = 0
    timeout: float | None = None
    keep_hopeless: bool = False
    rungs: frozenset[int] = frozenset()
    parent: Path | None = None
    weight_files: Mapping[str, str] = field(default_factory=dict)
    keep_weights: str = "none"
    results: Path = Path()
    metric: str = "val_accuracy"
    mode: str = "max"
    named_weights: frozenset[Path] = frozenset()
    best: float | None = None
    lite: bool = False
    limits: SearchLimits | None = None
    driver_files: DriverFiles | None = None

    def __deepcopy__(self, _memo: dict[int, object]) -> Self:
        """Itself: it is frozen, and Tune copies each configuration several times."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """What is sent to a slot: a configuration as plain values, since a slot imports nothing of a user's."""
        return {**vars(self), "trial": self.trial.plain}

    def __repr__(self) -> str:
        """Short, since Tune writes it into names."""
        return self.trial.trial_id

"""What a slot needs to know of a trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from layersweep.tuning.experiment.admission import SearchLimits
from layersweep.tuning.experiment.sweep import Train
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.worker.file_transfer import DriverFiles
from trainables.worker.training_server import WarmUp


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a slot needs to know of a trial.

    Attributes:
        trial: the trial.
        train: a family's function.
        warm_up: what a training process does first.
        fork_server: the socket of the driver's fork server.
        log: where what the training prints goes.
        slots: those that share a machine's memory.
        checkpoints: the folder of checkpoints.
        checkpoint_every: seconds of training after which one is written, before the next epoch.
        start: the checkpoint to go on from; None to begin.
        start_epoch: the epoch after which it was written; 0 to begin.
        timeout: seconds after which the training is killed; None for never.
        keep_hopeless: whether a training that met a NaN runs on.
        rungs: the epochs after which the scheduler may stop it for its metric.
        parent: the weights that it begins with, of the trial that it goes on from.
        located: values of its configuration that mean a file here.
        keep: which of its epochs' weights are kept: none, best or last.
        results: where they go, below `weights`.
        metric: what the best epoch is chosen by.
        mode: whether that is better when larger (max) or smaller (min).
        named: weights that recorded plans name, which stay.
        best: the metric's best value before the first epoch that is trained; None for none.
        lite: whether its network is converted by LiteRT at the end.
        limits: what a candidate of a search that begins may take; None for others, which are not refused.
        depot: the driver's disk, for slots on other machines of a cluster; None on the driver's own.
    """

    trial: Trial
    train: Train
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
    located: Mapping[str, str] = field(default_factory=dict)
    keep: str = "none"
    results: Path = Path()
    metric: str = "val_accuracy"
    mode: str = "max"
    named: frozenset[Path] = frozenset()
    best: float | None = None
    lite: bool = False
    limits: SearchLimits | None = None
    depot: DriverFiles | None = None

    def __deepcopy__(self, _memo: dict[int, object]) -> Self:
        """Itself: nothing in it changes, and Tune copies each configuration several times."""
        return self

    def __repr__(self) -> str:
        """Short, since Tune writes it into names."""
        return self.trial.trial_id

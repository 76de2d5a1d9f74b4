"""Trainings that cost nothing and misbehave on demand, through the same door as real ones."""

import json
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path

from layersweep.records.values import (
    ClassCounts,
    ClassReport,
    Epoch,
    Export,
    Latency,
    Layer,
    LayerStatistics,
    NetworkSummary,
    Test,
)
from trainables.config import between, check, one_of
from trainables.data.dataset import Data
from trainables.families.family_code import FamilyCode
from trainables.worker.training_server import WarmUp

MISDEEDS = ("none", "raise", "kill", "memory", "exit", "nan", "hang", "early", "talk", "shout", "at once", "chance")

SHOUTED_LINES = 16 << 10
"""Lines of 1 KiB that a training prints."""

fingerprint: str | None = None
"""The fingerprint of the network that trainings in this process report."""

hardware = 0
"""Trainings in this process give slightly different results for another number, as on another machine."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A training whose accuracy after epoch e is quality * e / (e + 1)."""

    quality: float = between(0.5, 0, 1, "where the accuracy goes")
    misdeed: str = one_of("none", MISDEEDS, "what it does in epoch 2, or at once")
    batch_size: int = between(32, 1, 1024, "images a step")
    seconds: float = between(0.0, 0, 60, "how long an epoch takes")
    before: int = between(0, 0, 100, "epochs of a first phase, whose quality is .1", optional=True)

    def __post_init__(self) -> None:
        check(self)

    @property
    def first_phase(self) -> "tuple[Config, int] | None":
        return (replace(self, quality=0.1, before=0), self.before) if self.before else None


def imports() -> None:
    pass


def device() -> str:
    return "made-up device"


WARM_UP = WarmUp(imports=imports, device=device)


def train(
    config: Config,
    data: Data,
    *,
    seed: int,
    epochs: int,
    precision: str = "float32",
    start: Path | None = None,
    parent: Path | None = None,
    lite: bool = False,
) -> Iterator[NetworkSummary | Epoch]:
    if parent is not None:
        print(f"begins with epoch {_load(parent)} of {parent.name}", flush=True)
    dense = Layer(
        index=0, name="dense", kind="Dense", activation="relu", filters=3, kernel=None, stride=None,
        parameters=12, trainable=True, output_shape="3",
    )  # fmt: skip
    yield NetworkSummary(
        parameters=12,
        trainable_parameters=12,
        flops=21,
        size_bytes=48,
        layers=(dense,),
        seconds_build=0.25,
        fingerprint=fingerprint,
    )
    done = 0 if start is None else _load(start)
    for epoch in range(done + 1, epochs + 1):
        if config.misdeed == "at once":
            raise RuntimeError("made to fail in epoch 1")
        if epoch == 2:
            _misbehave(config.misdeed)
            if config.misdeed == "early":
                return
        time.sleep(config.seconds)
        last = epoch == epochs
        exports = EXPORTS if last and lite else ()
        yield replace(measured(config, seed, epoch, last=last), save=partial(save, epoch), exports=exports)


EXPORTS = (
    Export(form="float32", size_bytes=4000, accuracy=0.5, images=2, min_ms=1.5, median_ms=2.0, p95_ms=3.0, n=50),
    Export(form="int8", problem="made to fail"),
)


def save(epoch: int, path: Path) -> None:
    """A checkpoint as Keras makes it, without a model."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": metadata.version("keras")}))
        file.writestr("epoch", str(epoch))


def _load(path: Path) -> int:
    with zipfile.ZipFile(path) as file:
        return int(file.read("epoch"))


LEARNED = ClassCounts(images=(9, 9), predicted=(9, 9), hits=(9, 9))
AT_CHANCE = ClassCounts(images=(9, 9), predicted=(18, 0), hits=(9, 0))


def measured(config: Config, seed: int, epoch: int, *, last: bool) -> Epoch:
    accuracy = config.quality * epoch / (epoch + 1) + seed / 1000 + hardware / 1_000_000
    chance = config.misdeed == "chance"
    statistics = LayerStatistics(
        index=0, activation_mean=0.5, activation_deviation=1.0, dead_share=0.25, weight_norm=2.0, gradient_norm=0.1
    )
    report = ClassReport(
        set_name="test", class_index=0, class_name="a", precision=1.0, recall=0.5, f1=2 / 3, support=2, predicted=(1, 1)
    )
    nan = config.misdeed == "nan" and epoch == 2
    return Epoch(
        epoch=epoch,
        loss=float("nan") if nan else 1.0 if chance else 1 / epoch,
        accuracy=0.5 if chance else accuracy,
        val_loss=2 / epoch,
        val_accuracy=accuracy,
        val_balanced_accuracy=0.75 * accuracy,
        val_macro_f1=0.5 * accuracy,
        train_counts=AT_CHANCE if chance else LEARNED,
        val_counts=LEARNED,
        learning_rate=0.1,
        seconds_build=0.5 if epoch == 1 else 0.0,
        seconds_train=1.0,
        seconds_validate=0.125,
        seconds_test=0.0625 if last else 0.0,
        seconds_measure=0.03125,
        statistics=(statistics,),
        test=Test(loss=0.5, accuracy=0.75, images=2, balanced_accuracy=0.5, macro_f1=0.25) if last else None,
        classes=(report,) if last else (),
        latency=Latency(min_ms=1.5, median_ms=2.0, p95_ms=3.0, n=100, ratio=2.5, reference_ms=0.5) if last else None,
    )


def _misbehave(misdeed: str) -> None:
    match misdeed:
        case "raise":
            raise ValueError("made to fail\nwith a second line")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "talk":
            print("something was said", flush=True)
        case "shout":
            for number in range(SHOUTED_LINES):
                print(f"{number:1023}", flush=True)
                time.sleep(0.1 if number % 1024 == 0 else 0)
        case "hang":
            time.sleep(3600)
        case "memory":
            hoard = []
            for _ in range(100):
                hoard.append(bytearray(os.urandom(1 << 20)) * 64)
                time.sleep(0.02)


def data(folder: Path, train_images: int = 4) -> Data:
    """A data set that nobody opens."""
    return Data(
        name="none",
        folder=folder,
        fingerprint="f" * 16,
        classes=("a", "b"),
        image_shape=(2, 2, 1),
        train_images=train_images,
        validation_images=2,
        test_images=2,
        majority_share=0.0,  # unknown, so that every made-up accuracy is above chance
    )


CODE = FamilyCode.of(train, "made_up")

"""Trainings that do nothing, and their sweep: their time is a trial's own cost."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from layersweep import Sweep
from layersweep.records.values import ClassReport, Epoch, Latency, Layer, LayerStatistics, NetworkSummary, Test
from trainables.config import between, check
from trainables.data.dataset import Data
from trainables.worker.training_server import WarmUp


@dataclass(frozen=True, kw_only=True)
class Config:
    """The amount of results that a training without work reports."""

    layers: int = between(0, 0, 1000, "number of measured layers; above 0, the classes are reported, too")
    batch_size: int = between(32, 1, 1024, "images per step; without effect")
    seconds: float = between(0.0, 0, 60, "seconds that an epoch sleeps, as if another machine trained")

    def __post_init__(self) -> None:
        """Checks every value."""
        check(self)


def imports() -> None:
    """Imports nothing."""


def device() -> str:
    """The device's name: there is none."""
    return "none"


def train(
    config: Config,
    data: Data,
    *,
    seed: int,
    epochs: int,
    precision: str = "float32",  # noqa: ARG001 (every training takes it)
    start: Path | None = None,  # noqa: ARG001
) -> Iterator[NetworkSummary | Epoch]:
    """Yields the values of a training without any work; it does not read its data."""
    layers = tuple(_layer(index) for index in range(config.layers))
    yield NetworkSummary(parameters=0, trainable_parameters=0, flops=0, size_bytes=0, layers=layers, seconds_build=0.0)
    for epoch in range(1, epochs + 1):
        time.sleep(config.seconds)
        yield _epoch(config, data, seed, epoch, epochs)


def _epoch(config: Config, data: Data, seed: int, epoch: int, epochs: int) -> Epoch:
    last = epoch == epochs
    is_measured = last or epoch & (epoch - 1) == 0
    chance = random.Random(f"{seed}-{epoch}").random  # noqa: S311 (digits as real ones have them, which take space)
    loss, accuracy = (1 + chance() / 100) / epoch, (epoch - chance() / 100) / (epoch + 1)
    names = ("validation", "test") if last and config.layers else ()
    return Epoch(
        epoch=epoch,
        loss=loss,
        accuracy=accuracy,
        val_loss=1 / epoch + chance() / 100,
        val_accuracy=accuracy,
        learning_rate=0.001,
        seconds_build=0.0,
        seconds_train=0.0,
        seconds_validate=0.0,
        seconds_test=0.0,
        seconds_measure=0.0,
        statistics=tuple(_statistics(index, chance) for index in range(config.layers)) if is_measured else (),
        test=Test(loss=1.0, accuracy=accuracy, images=data.test_images) if last else None,
        classes=tuple(_report(data, name, index) for name in names for index in range(len(data.classes))),
        latency=Latency(min_ms=0.5, median_ms=1.0, p95_ms=2.0, n=100, ratio=2.5, reference_ms=0.5) if last else None,
    )


def _layer(index: int) -> Layer:
    return Layer(
        index=index,
        name=f"dense_{index}",
        kind="Dense",
        activation="relu",
        filters=1,
        kernel=None,
        stride=None,
        parameters=1,
        trainable=True,
        output_shape="1",
    )


def _statistics(index: int, chance: Callable[[], float]) -> LayerStatistics:
    return LayerStatistics(
        index=index,
        activation_mean=chance(),
        activation_deviation=chance(),
        dead_share=0.25,
        weight_norm=chance(),
        gradient_norm=chance(),
    )


def _report(data: Data, set_name: str, index: int) -> ClassReport:
    counts = (1,) * len(data.classes)
    return ClassReport(
        set_name=set_name,
        class_index=index,
        class_name=data.classes[index],
        precision=0.5,
        recall=0.5,
        f1=0.5,
        support=len(counts),
        predicted=counts,
    )


SWEEP = Sweep(
    name="no_op",
    train=train,
    spaces=[{"layers": [0]}],
    epochs=1,
    seeds=1000,
    warm_up=WarmUp(imports=imports, device=device),
)

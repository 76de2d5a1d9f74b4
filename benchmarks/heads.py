"""Six heads on one frozen MobileNetV2: once with features computed once, once with the base run in each epoch.

Command: `python -m benchmarks.heads`: 2,000 images of Fashion-MNIST at 96x96, 10 epochs, dropout 0 to 0.5, random
weights. The sweep `mobilenet_head` runs both times, in turn, each with its own cache, which has the data set but no
features.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import polars as pl
import tyro

from benchmarks.processes import run
from benchmarks.report import Measurement, Readings, ratio, to_measurements
from benchmarks.rounds import Rounds, RoundsOptions
from layersweep.records.read import read
from trainables.data import cache, dataset
from trainables.features import feature_cache

_FEATURES: Final = "features once"
_THROUGH: Final = "base each epoch"
_METRICS: Final = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    images: int = 2_000
    """Images to train on."""
    epochs: int = 10
    """Epochs of each head."""
    repeat: int = 1
    """Rounds."""


Run: TypeAlias = tuple[Readings, pl.DataFrame]
"""The times of a sweep, and its epochs by arm."""


def measurements(runs: Mapping[str, Sequence[Run]]) -> Iterator[Measurement]:
    """The rows of the table."""
    times = (to_measurements(case, [readings for readings, _ in runs[case]]) for case in (_FEATURES, _THROUGH))
    for once, through in zip(*times, strict=True):
        yield from (once, through, ratio(through, once, case=f"{_THROUGH} / {_FEATURES}"))
    pairs = zip(runs[_FEATURES], runs[_THROUGH], strict=True)
    differences = [_largest_difference(one.join(other, on=["arm", "epoch"])) for (_, one), (_, other) in pairs]
    yield Measurement(case="both", measure="largest difference of a metric", unit="", values=differences)


def _largest_difference(pairs_of_metrics: pl.DataFrame) -> float:
    return float(max(pairs_of_metrics.select((pl.col(m) - pl.col(f"{m}_right")).abs().max() for m in _METRICS).row(0)))


def _sweep(options: Options, case: str, folder: Path) -> Run:
    root, results = cache.cache_root(), folder / "results"
    for part in (dataset.prepare("fashion_mnist").folder.name, "stamps", "downloads/fashion-mnist"):
        if (root / part).is_dir():
            shutil.copytree(root / part, folder / "cache" / part)
    command = [
        sys.executable, "sweeps/mobilenet_head.py", "--results", results, "--images", options.images,
        "--epochs", options.epochs, "--seeds", 1, "--set", "weights=none", "--set", "batch_size=32",
        "--set", "dense_units=0", "--set", "dropout=0,0.1,0.2,0.3,0.4,0.5", "--scheduler", "none",
    ]  # fmt: skip
    limit = feature_cache.LIMIT_GIB if case == _FEATURES else 0
    environment = {feature_cache.ENVIRONMENT: str(limit), cache.ENVIRONMENT: str(folder / "cache")}
    process = run(command, log=folder / "log.txt", environment=environment)
    trials = read(results, "trials", columns=("trial_id", "arm", "started_at", "ended_at"))
    span = trials.select(pl.col("ended_at").max() - pl.col("started_at").min()).item()
    epochs = read(results, "epochs", columns=("trial_id", "epoch", *_METRICS)).join(trials, on="trial_id")
    readings = {
        ("whole process", "s"): process.seconds,
        ("first training's start to last one's end", "s"): span.total_seconds(),
    }
    return readings, epochs


def main(options: Options) -> None:
    """Runs the rounds."""
    Rounds(
        benchmark="heads",
        title=f"Six heads on a frozen MobileNetV2 at 96x96, {options.epochs} epochs of {options.images:,} images",
        cases=(_FEATURES, _THROUGH),
        once=lambda case, _, folder: _sweep(options, case, folder),
        rows=measurements,
    ).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

"""Six heads on one frozen MobileNetV2: with its features computed once, and with the base run in each epoch.

Command: `python -m benchmarks.heads`: 2,000 images of Fashion-MNIST at 96x96, 10 epochs, dropout 0 to .5, random
weights; the sweep `mobilenet_head` both times, in turn, each in a cache of its own: the data set is there, no features.
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import tyro

from benchmarks.processes import run
from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, say
from layersweep.records.read import read
from trainables.data import cache, dataset
from trainables.features import feature_cache

_SWEEP: Final = "mobilenet_head"
_FEATURES: Final = "features once"
_THROUGH: Final = "base each epoch"
_WHOLE: Final = "whole process"
_TRAININGS: Final = "first training's start to last one's end"
_MEASURES: Final = (_WHOLE, _TRAININGS)
_METRICS: Final = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    images: int = 2_000
    """Images to train on."""
    epochs: int = 10
    """Epochs of each head."""
    repeat: int = 1
    """Rounds."""
    out: Out = RESULTS
    """Where the table is written."""


def main(options: Options) -> None:
    """Runs the rounds; writes the table."""
    circumstances = Circumstances.now()
    taken: dict[str, dict[str, list[float]]] = {case: {m: [] for m in _MEASURES} for case in (_FEATURES, _THROUGH)}
    apart: list[float] = []
    prepared = dataset.prepare("fashion_mnist")
    for number in range(1, options.repeat + 1):
        curves = {}
        for case, seconds in taken.items():
            say(f"round {number} of {options.repeat}: {case}")
            with tempfile.TemporaryDirectory(prefix="layersweep-heads-") as name:
                for there in (prepared.folder.name, "stamps", "downloads/fashion-mnist"):
                    if (cache.cache_root() / there).is_dir():
                        shutil.copytree(cache.cache_root() / there, Path(name, "cache", there))
                found, curves[case] = _sweep(options, Path(name), case)
            for measure, value in found.items():
                seconds[measure].append(value)
        both = curves[_FEATURES].join(curves[_THROUGH], on=["arm", "epoch"], suffix="_through")
        apart.append(max(float((both[m] - both[f"{m}_through"]).abs().max()) for m in _METRICS))  # type: ignore[arg-type]
    rows = []
    for measure in _MEASURES:
        for case, seconds in taken.items():
            rows.append(Measurement(case=case, measure=measure, unit="s", values=seconds[measure]))
        both_cases = zip(*(seconds[measure] for seconds in taken.values()), strict=True)
        ratios = [through / once for once, through in both_cases]
        rows.append(Measurement(case=f"{_THROUGH} / {_FEATURES}", measure=measure, unit="ratio", values=ratios))
    rows.append(Measurement(case="both", measure="largest difference of a metric", unit="", values=apart))
    title = f"Six heads on a frozen MobileNetV2 at 96x96, {options.epochs} epochs of {options.images:,} images"
    finish(Report(benchmark="heads", title=title, measurements=rows, circumstances=circumstances), options.out)


def _sweep(options: Options, folder: Path, case: str) -> tuple[dict[str, float], pl.DataFrame]:
    """The seconds of a sweep by measure, and its epochs by arm."""
    command: list[str | Path] = [
        sys.executable, "sweeps/mobilenet_head.py", "--results", folder / "results", "--images", str(options.images),
        "--epochs", str(options.epochs), "--seeds", "1", "--set", "weights=none", "--set", "batch_size=32",
        "--set", "dense_units=0", "--set", "dropout=0,0.1,0.2,0.3,0.4,0.5", "--scheduler", "none",
    ]  # fmt: skip
    limit = feature_cache.LIMIT_GIB if case == _FEATURES else 0
    environment = {feature_cache.ENVIRONMENT: str(limit), cache.ENVIRONMENT: str(folder / "cache")}
    finished = run(command, log=folder / "log.txt", environment=environment)
    results = folder / "results"
    trials = read(results, "trials", columns=("trial_id", "arm", "started_at", "ended_at"))
    span = trials.select(pl.col("ended_at").max() - pl.col("started_at").min()).item()
    epochs = read(results, "epochs", columns=("trial_id", "epoch", *_METRICS)).join(trials, on="trial_id")
    return {_WHOLE: finished.seconds, _TRAININGS: span.total_seconds()}, epochs


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

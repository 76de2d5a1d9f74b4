"""The cost of records: 10,000 trials of 50 epochs are written, and the mean curve of each arm is read back.

Command: `python -m benchmarks.storage`.

The rows are like those of a sweep: training losses are 32-bit numbers, accuracies are hits divided by images,
validation losses have all digits, and seconds are rounded as in a sweep. Two trials run at a time, and the rows are
flushed after every 500 epochs.
"""

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import tyro

from benchmarks.report import Measurement, ratio
from benchmarks.rounds import Rounds, RoundsOptions, timed
from layersweep.records.read import read
from layersweep.records.write import Row, Writer
from layersweep.tuning.driver.record_rows import rounded

ARMS: Final = ("adadelta", "adagrad", "adam", "adamax", "ftrl", "nadam", "rmsprop", "sgd")
SWEEP: Final = "made_up"
OURS: Final = "records"
PLAIN: Final = "polars alone"
_READS: Final = 3
_TRAIN_IMAGES: Final = 50_000
_VALIDATION_IMAGES: Final = 10_000
_START: Final = datetime(2026, 11, 3, 9, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    trials: int = 10_000
    """Number of trials."""
    epochs: int = 50
    """Epochs of each trial."""
    slots: int = 2
    """Trials at once; their epochs alternate in the table."""
    flush_rows: int = 500
    """Epochs between two flushes."""
    repeat: int = 3
    """Number of rounds; in each, the records are written once and read three times."""


def trial_ids(count: int) -> list[str]:
    """Ids like those of trials, the same in each call."""
    rng = random.Random(0)  # noqa: S311 (no secret)
    return [f"{rng.getrandbits(64):016x}" for _ in range(count)]


def interleaved(trials: int, epochs: int, slots: int) -> Iterator[tuple[int, int]]:
    """(trial, epoch) in the order in which this number of slots ends them; epochs count from 1."""
    for first in range(0, trials, slots):
        running_trials = range(first, min(first + slots, trials))
        yield from ((trial, epoch) for epoch in range(1, epochs + 1) for trial in running_trials)


def epoch_row(trial_id: str, epoch: int, *, sequence: int, last: bool, draws: np.random.Generator) -> dict[str, Any]:
    """An epoch as a sweep records it."""
    hits = 1 - 0.5 / (epoch + 1) + draws.normal(scale=0.01)
    train, validate, test, measure = draws.normal([100, 8, 5 if last else 2e-6, 1 if last else 3e-6], 1e-7)
    return {
        "trial_id": trial_id,
        "attempt": 0,
        "epoch": epoch,
        "sequence": sequence,
        "loss": float(np.float32(1 / epoch + abs(draws.normal(scale=0.1)))),
        "accuracy": float(np.float32(round(min(1.0, hits) * _TRAIN_IMAGES) / _TRAIN_IMAGES)),
        "val_loss": 1 / epoch + abs(draws.normal(scale=0.1)),
        "val_accuracy": round(min(1.0, hits - 0.01) * _VALIDATION_IMAGES) / _VALIDATION_IMAGES,
        "learning_rate": 0.001,
        "seconds_build": rounded(draws.normal(2.5, 0.1)) if epoch == 1 else 0.0,
        "seconds_train": rounded(train * draws.normal(1, 0.05)),
        "seconds_validate": rounded(validate * draws.normal(1, 0.05)),
        "seconds_test": rounded(abs(test)),
        "seconds_measure": rounded(abs(measure)),
        "decision": "last" if last else "continue",
        "at": _START + timedelta(seconds=sequence * 54 + float(draws.normal(scale=3))),
    }


def write(results: Path, options: Options) -> float:
    """Writes all trials; returns the seconds of writing, without the time to make the rows."""
    ids, draws = trial_ids(options.trials), np.random.default_rng(1)
    numbered_epochs = enumerate(interleaved(options.trials, options.epochs, options.slots))
    seconds = 0.0
    with Writer(results, SWEEP) as writer:
        while batch := list(itertools.islice(numbered_epochs, options.flush_rows)):
            rows = [
                epoch_row(ids[trial], epoch, sequence=number, last=epoch == options.epochs, draws=draws)
                for number, (trial, epoch) in batch
            ]
            last = [trial for _, (trial, epoch) in batch if epoch == options.epochs]
            trial_rows = [_trial_row(ids[trial], trial, options.epochs) for trial in last]
            start = time.perf_counter()
            writer.append("epochs", rows)
            writer.append("trials", trial_rows)
            writer.flush()
            seconds += time.perf_counter() - start
    return seconds


def _trial_row(trial_id: str, number: int, epochs: int) -> Row:
    row = {"trial_id": trial_id, "attempt": 0, "continuation": 0, "run": "r1", "arm": ARMS[number % len(ARMS)]}
    return row | {"question": "comparison", "seed": number // len(ARMS), "outcome": "completed", "epochs": epochs}


def mean_curves(results: Path) -> pl.DataFrame:
    """The mean validation accuracy of each arm at each epoch, read as a study reads it."""
    arms = read(results, "trials", columns=("trial_id", "arm"))
    epochs = read(results, "epochs", columns=("trial_id", "epoch", "val_accuracy"))
    return _means(epochs.join(arms, on="trial_id"))


def mean_curves_plain(results: Path) -> pl.DataFrame:
    """The same with polars alone: only the needed columns, and without care for damaged or merged parts."""
    arms = pl.scan_parquet(results / "trials" / SWEEP / "*.parquet").select("trial_id", "arm").collect()
    columns = ("trial_id", "epoch", "val_accuracy")
    epochs = pl.scan_parquet(results / "epochs" / SWEEP / "*.parquet").select(columns).collect()
    return _means(epochs.join(arms, on="trial_id"))


def _means(epochs: pl.DataFrame) -> pl.DataFrame:
    return epochs.group_by("arm", "epoch").agg(pl.col("val_accuracy").mean()).sort("arm", "epoch")


@dataclass(frozen=True, kw_only=True)
class Round:
    """The readings of one round; `reads` are pairs of the seconds of `mean_curves` and `mean_curves_plain`."""

    seconds_written: float
    bytes_epochs: int
    files: int
    reads: Sequence[tuple[float, float]]


def one_round(options: Options, results: Path) -> Round:
    """Writes everything once, and reads it three times in both ways, in turn."""
    seconds_written = write(results, options)
    expected = (min(len(ARMS), options.trials) * options.epochs, 3)
    reads: list[tuple[float, float]] = []
    for _ in range(_READS):
        ours, seconds = timed(lambda: mean_curves(results))
        plain, seconds_plain = timed(lambda: mean_curves_plain(results))
        assert ours.shape == plain.shape == expected, f"{ours.shape} and {plain.shape} are not {expected}"
        reads.append((seconds, seconds_plain))
    files = [path.stat().st_size for path in (results / "epochs" / SWEEP).iterdir()]
    return Round(seconds_written=seconds_written, bytes_epochs=sum(files), files=len(files), reads=reads)


def measurements(options: Options, rounds: Sequence[Round]) -> list[Measurement]:
    """The rows of the table."""
    rows, case = options.trials * options.epochs, f"{options.trials:,} x {options.epochs:,}"

    def row(measure: str, unit: str, values: Sequence[float], name: str = OURS) -> Measurement:
        return Measurement(case=f"{name}, {case}", measure=measure, unit=unit, values=values)

    seconds = zip(*(pair for r in rounds for pair in r.reads), strict=True)
    reads = [row("mean curve of each arm", "s", s, name) for name, s in zip((OURS, PLAIN), seconds, strict=True)]
    return [
        *reads,
        ratio(*reads, case=f"{OURS} / {PLAIN}, {case}"),
        row("an epoch's row", "bytes", [r.bytes_epochs / rows for r in rounds]),
        row("files of the table epochs", "files", [r.files for r in rounds]),
        row("an epoch written", "us", [1_000_000 * r.seconds_written / rows for r in rounds]),
        row("everything written", "s", [r.seconds_written for r in rounds]),
    ]


def main(options: Options) -> None:
    """Runs the rounds."""
    Rounds(
        benchmark="storage",
        title=f"Records of trials x epochs, {options.slots} slots, a flush every {options.flush_rows:,} epochs",
        cases=[f"{options.trials:,} trials of {options.epochs:,} epochs"],
        once=lambda _case, _number, folder: one_round(options, folder),
        rows=lambda rounds: measurements(options, *rounds.values()),
    ).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

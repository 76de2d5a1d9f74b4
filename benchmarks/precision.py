"""Whether a family is as accurate in mixed_bfloat16 as in float32: the same seeds in both, compared pair by pair.

Command: `python -m benchmarks.precision`: 4 optimizers x 5 seeds of fashion_cnn, 6,000 images, 3 epochs, in each
precision. The trainings are sweeps in the folder `precision` of the output folder: the same command continues them.

`trainables.precision.CHECKED` lists the families that pass; `--precision auto` uses it.
"""

import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import tyro
from scipy import stats

from benchmarks.peers import recorded_results, run_sweep
from benchmarks.programs.peer_task import Work
from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, say
from trainables.precision import BFLOAT16, FLOAT32

LEARNING: Final = ("adam", "nadam", "rmsprop", "sgd")
"""Optimizers that learn enough in these few steps to show a loss of accuracy."""

CHECK: Final = Work(optimizers=LEARNING, seeds=5, images=6_000, epochs=3)
"""The trainings of the check."""

_CONFIDENCE: Final = 0.95
_LEAST_SEEDS: Final = 2

Accuracies = Mapping[tuple[str, int], float]
"""Test accuracy by (optimizer, seed)."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    work: tyro.conf.OmitArgPrefixes[Work] = CHECK
    out: Out = RESULTS
    """Folder for the table and the sweeps' records."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of comparing the pairs.

    Attributes:
        mean: mean difference of test accuracy, bfloat16 minus float32, over all pairs.
        low: lower end of its 95 % interval (Student's t over the pairs).
        high: the upper end.
        noise: standard deviation between the seeds of an optimizer in float32, pooled over the optimizers.
    """

    mean: float
    low: float
    high: float
    noise: float

    @classmethod
    def of(cls, float32: Accuracies, bfloat16: Accuracies) -> "Verdict":
        """The verdict on equal trainings in both precisions.

        Raises:
            ValueError: if trainings are missing in one precision, or there are fewer than two seeds.
        """
        if set(float32) != set(bfloat16):
            raise ValueError(f"trainings are not in both precisions: {sorted(set(float32) ^ set(bfloat16))}")
        by_optimizer = _by_optimizer(float32)
        if min(map(len, by_optimizer.values())) < _LEAST_SEEDS:
            raise ValueError("the noise between seeds is not known from one seed; valid: two seeds or more")
        differences = [bfloat16[pair] - float32[pair] for pair in float32]
        n = len(differences)
        half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, n - 1)) * statistics.stdev(differences) / math.sqrt(n)
        mean = statistics.fmean(differences)
        variances = [(len(values) - 1) * float(np.var(values, ddof=1)) for values in by_optimizer.values()]
        noise = math.sqrt(sum(variances) / sum(len(values) - 1 for values in by_optimizer.values()))
        return cls(mean=mean, low=mean - half, high=mean + half, noise=noise)

    @property
    def alike(self) -> bool:
        """Whether the interval contains 0, and excludes differences as large as the noise between seeds."""
        return self.low <= 0 <= self.high and max(-self.low, self.high) < self.noise


def _by_optimizer(accuracies: Accuracies) -> dict[str, list[float]]:
    values_by_optimizer: dict[str, list[float]] = {}
    for (optimizer, _), value in accuracies.items():
        values_by_optimizer.setdefault(optimizer, []).append(value)
    return values_by_optimizer


def measurements(float32: Accuracies, bfloat16: Accuracies) -> Iterator[Measurement]:
    """The rows of the table."""
    for name, accuracies in {FLOAT32: float32, BFLOAT16: bfloat16}.items():
        for optimizer, values in _by_optimizer(accuracies).items():
            yield Measurement(case=f"{optimizer}, {name}", measure="test accuracy", unit="share", values=values)
    differences = {pair: bfloat16[pair] - float32[pair] for pair in float32}
    for optimizer, values in _by_optimizer(differences).items():
        yield _difference(f"{optimizer}, {BFLOAT16} - {FLOAT32}", values)
    yield _difference(f"all, {BFLOAT16} - {FLOAT32}", list(differences.values()))


def _difference(case: str, values: Sequence[float]) -> Measurement:
    return Measurement(case=case, measure="difference of test accuracy", unit="share", values=values)


def _train(work: Work, precision: str, options: Options) -> Accuracies:
    results = options.out / "precision" / precision
    say(f"{work.count} trainings in {precision}")
    run_sweep(work, precision, results)
    accuracies = {(result.optimizer, result.seed): result.test_accuracy for result in recorded_results(results)}
    return {pair: accuracies[pair] for pair in work.trials}


def main(options: Options) -> None:
    """Trains the trials that are not recorded yet; writes the table; exits with 1 if the precisions differ."""
    circumstances, work = Circumstances(), options.work
    float32, bfloat16 = (_train(work, precision, options) for precision in (FLOAT32, BFLOAT16))
    verdict = Verdict.of(float32, bfloat16)
    data = work.data
    title = (
        f"fashion_cnn in both precisions, {work.epochs} epochs of {data.train_images:,} images, {data.test_images:,} "
        f"to test; mean difference {verdict.mean:+.4f}, 95 % interval {verdict.low:+.4f} to {verdict.high:+.4f}, "
        f"noise of the seeds {verdict.noise:.4f}: {'alike' if verdict.alike else 'not shown to be alike'}"
    )
    rows = list(measurements(float32, bfloat16))
    finish(Report(benchmark="precision", title=title, circumstances=circumstances, measurements=rows), options.out)
    sys.exit(0 if verdict.alike else 1)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

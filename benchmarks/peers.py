"""The same 16 models by a plain Keras loop, KerasTuner, Ray Tune with its Keras callback, and this program.

Command: `python -m benchmarks.peers`: 8 optimizers x 2 seeds, 2,000 images, 2 epochs; `--images 6000 --epochs 3` makes
training count for more. Each is a whole process of its own, started in turn; all read the same images, validate after
each epoch and read the test set once.

This program's records stay below `records` in the output folder: `python -m benchmarks.ledger` reads them.
"""

import json
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from benchmarks import processes
from benchmarks.ledger import PROCESS
from benchmarks.programs.asked import Result, Work, read_answer
from benchmarks.report import Measurement, ratio
from benchmarks.rounds import Rounds, RoundsOptions
from layersweep.records.read import read

PLAIN: Final = "plain Keras loop"
OURS: Final = "Layersweep"
OURS_BFLOAT16: Final = "Layersweep bfloat16"

PEERS: Final = {PLAIN: "plain_keras", "KerasTuner grid": "keras_tuner_grid", "Ray Tune + Keras callback": "ray_tune"}
"""The programs of others, as modules in benchmarks/programs."""

PRECISIONS: Final = {OURS: "float32", OURS_BFLOAT16: "mixed_bfloat16"}


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    work: tyro.conf.OmitArgPrefixes[Work]
    only: tuple[str, ...] = (*PEERS, *PRECISIONS)
    """The programs."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One program's whole process and what its models reached."""

    seconds: float
    results: Sequence[Result]


def peer(program: str, work: Work, folder: Path) -> tuple[processes.Finished, Path]:
    """Runs a program of benchmarks/programs; also where its answer is."""
    out = folder / "answer.json"
    command = [sys.executable, "-m", f"benchmarks.programs.{program}", "--out", out, *_flags(work)]
    return processes.run([*command, "--optimizers", *work.optimizers], log=folder / "log.txt"), out


def _flags(work: Work) -> list[object]:
    return ["--seeds", work.seeds, "--images", work.images, "--epochs", work.epochs]


def _peer(name: str, work: Work, folder: Path) -> Run:
    process, out = peer(PEERS[name], work, folder)
    return Run(seconds=process.seconds, results=read_answer(out)[0])


def ours(work: Work, precision: str, results: Path) -> processes.Finished:
    """Runs the sweep of optimizers into a fresh results folder."""
    command = [sys.executable, processes.ROOT / "sweeps" / "optimizers.py", "--results", results, *_flags(work)]
    command += ["--scheduler", "none", "--precision", precision, "--set", f"optimizer={','.join(work.optimizers)}"]
    finished = processes.run(command, log=results / "logs" / "command.txt")
    (results / PROCESS).write_text(json.dumps({"seconds": finished.seconds}))
    return finished


def _ours(name: str, work: Work, results: Path) -> Run:
    shutil.rmtree(results, ignore_errors=True)
    finished = ours(work, PRECISIONS[name], results)
    return Run(seconds=finished.seconds, results=recorded(results))


def recorded(results: Path) -> list[Result]:
    """What the completed trainings of a sweep of optimizers reached."""
    trials = read(results, "trials").filter(outcome="completed").join(read(results, "tests"), on="trial_id")
    found = trials.select("optimizer", "seed", "last_val_accuracy", "accuracy").rows()
    return [Result(optimizer=o, seed=s, val_accuracy=v, test_accuracy=t) for o, s, v, t in found]


def complete(name: str, run: Run, work: Work) -> Run:
    """The run itself.

    Raises:
        ProgramFailed: if it did not train what was asked.
    """
    trained = sorted((result.optimizer, result.seed) for result in run.results)
    if trained != sorted(work.trials):
        raise processes.ProgramFailed(f"{name} trained {trained}, not {sorted(work.trials)}")
    return run


def measurements(runs: Mapping[str, Sequence[Run]]) -> Iterator[Measurement]:
    """The rows of the table: seconds, their ratios, and the accuracies reached."""
    seconds = {
        name: Measurement(case=name, measure="whole process", unit="s", values=[run.seconds for run in found])
        for name, found in runs.items()
    }
    yield from seconds.values()
    for name, other in _pairs(list(runs)):
        yield ratio(seconds[name], seconds[other], case=f"{name} / {other}")
    for set_name, attribute in (("validation", "val_accuracy"), ("test", "test_accuracy")):
        for name, found in runs.items():
            means = [statistics.fmean(getattr(result, attribute) for result in run.results) for run in found]
            yield Measurement(case=name, measure=f"mean {set_name} accuracy", unit="share", values=means)


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Ours over each of the others, and each of the others over the plain loop."""
    others = [name for name in names if name in PEERS]
    return [(a, b) for a in names for b in others if a in PRECISIONS or (b == PLAIN and a != PLAIN)]


def main(options: Options) -> None:
    """Runs the rounds."""
    work = options.work
    data = work.data  # prepared before the first program is timed

    def once(name: str, number: int, folder: Path) -> Run:
        records = options.out / "records" / f"{name.lower().replace(' ', '_')}-{number}"
        return complete(name, _ours(name, work, records) if name in PRECISIONS else _peer(name, work, folder), work)

    title = (
        f"{work.count} models of fashion_cnn ({len(work.optimizers)} optimizers x {work.seeds} seeds), {work.epochs} "
        f"epochs of {data.train_images:,} images, {data.validation_images:,} to validate, {data.test_images:,} to test"
    )
    Rounds(benchmark="peers", title=title, cases=options.only, once=once, rows=measurements, rotating=True).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

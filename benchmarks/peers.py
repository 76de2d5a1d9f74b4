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
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from benchmarks import processes
from benchmarks.ledger import PROCESS
from benchmarks.programs.asked import Result, Work, read_answer
from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, ratio, say
from layersweep.records.read import read

PLAIN: Final = "plain Keras loop"
OURS: Final = "Layersweep"
OURS_BFLOAT16: Final = "Layersweep bfloat16"

PEERS: Final = {PLAIN: "plain_keras", "KerasTuner grid": "keras_tuner_grid", "Ray Tune + Keras callback": "ray_tune"}
"""The programs of others, as modules in benchmarks/programs."""

PRECISIONS: Final = {OURS: "float32", OURS_BFLOAT16: "mixed_bfloat16"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    work: tyro.conf.OmitArgPrefixes[Work]
    repeat: int = 3
    """Rounds; every program runs once in each."""
    only: tuple[str, ...] = (*PEERS, *PRECISIONS)
    """The programs."""
    out: Out = RESULTS
    """Where the table is written."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One program's whole process and what its models reached."""

    seconds: float
    results: Sequence[Result]


def _peer(name: str, work: Work, folder: Path) -> Run:
    out = folder / "answer.json"
    flags = ["--out", out, "--seeds", work.seeds, "--images", work.images, "--epochs", work.epochs]
    command = [sys.executable, "-m", f"benchmarks.programs.{PEERS[name]}", *map(str, flags)]
    process = processes.run([*command, "--optimizers", *work.optimizers], log=folder / "log.txt")
    return Run(seconds=process.seconds, results=read_answer(out)[0])


def ours(work: Work, precision: str, results: Path) -> processes.Finished:
    """Runs the sweep of optimizers into a fresh results folder."""
    flags = ["--results", results, "--seeds", work.seeds, "--images", work.images, "--epochs", work.epochs]
    flags += ["--scheduler", "none", "--precision", precision, "--set", f"optimizer={','.join(work.optimizers)}"]
    command = [sys.executable, str(processes.ROOT / "sweeps" / "optimizers.py"), *map(str, flags)]
    finished = processes.run(command, log=results / "logs" / "command.txt")
    (results / PROCESS).write_text(json.dumps({"seconds": finished.seconds}))
    return finished


def _ours(name: str, work: Work, results: Path) -> Run:
    shutil.rmtree(results, ignore_errors=True)
    finished = ours(work, PRECISIONS[name], results)
    trials = read(results, "trials").filter(outcome="completed").join(read(results, "tests"), on="trial_id")
    columns = ("optimizer", "seed", "last_val_accuracy", "accuracy")
    found = trials.select(columns).rows()
    return Run(
        seconds=finished.seconds,
        results=[Result(optimizer=o, seed=s, val_accuracy=v, test_accuracy=t) for o, s, v, t in found],
    )


def in_turn(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """(round, program): every program once a round, each round beginning with the next one."""
    for number in range(rounds):
        first = number % len(names)
        yield from ((number + 1, name) for name in (*names[first:], *names[:first]))


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
    readings: dict[str, Callable[[Result], float]] = {
        "mean validation accuracy": lambda result: result.val_accuracy,
        "mean test accuracy": lambda result: result.test_accuracy,
    }
    for measure, reading in readings.items():
        for name, found in runs.items():
            means = [statistics.fmean(map(reading, run.results)) for run in found]
            yield Measurement(case=name, measure=measure, unit="share", values=means)


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Ours over each of the others, and each of the others over the plain loop."""
    others = [name for name in names if name in PEERS]
    return [(a, b) for a in names for b in others if a in PRECISIONS or (b == PLAIN and a != PLAIN)]


def report(work: Work, circumstances: Circumstances, runs: Mapping[str, Sequence[Run]]) -> Report:
    """The table of complete rounds."""
    data = work.data
    title = (
        f"{work.count} models of fashion_cnn ({len(work.optimizers)} optimizers x {work.seeds} seeds), {work.epochs} "
        f"epochs of {data.train_images:,} images, {data.validation_images:,} to validate, {data.test_images:,} to test"
    )
    rows = list(measurements(runs))
    return Report(benchmark="peers", title=title, circumstances=circumstances, measurements=rows)


def main(options: Options) -> None:
    """Runs the rounds; writes the table after each, so that a failure later loses none."""
    circumstances, work = Circumstances.now(), options.work
    work.data  # noqa: B018 (prepared before the first program is timed)
    runs: dict[str, list[Run]] = {name: [] for name in options.only}
    for number, name in in_turn(options.only, options.repeat):
        say(f"round {number} of {options.repeat}: {name}")
        with tempfile.TemporaryDirectory(prefix="layersweep-peers-") as folder:
            records = options.out / "records" / f"{name.lower().replace(' ', '_')}-{number}"
            run = _ours(name, work, records) if name in PRECISIONS else _peer(name, work, Path(folder))
        runs[name].append(complete(name, run, work))
        if all(len(found) == number for found in runs.values()):
            report(work, circumstances, runs).write(options.out)
    finish(report(work, circumstances, runs), options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

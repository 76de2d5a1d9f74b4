"""The same 16 models with a plain Keras loop, KerasTuner, Ray Tune with its Keras callback, and this program.

Command: `python -m benchmarks.peers`: 8 optimizers x 2 seeds, 2,000 images, 2 epochs; with `--images 6000 --epochs 3`
training has a larger share. Each program is a separate process, and they run in turn. All use the same images, validate
after each epoch and evaluate the test set once.

This program's records stay in the folder `records` of the output folder; `python -m benchmarks.ledger` reads them.
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
from benchmarks.programs.peer_task import Result, Work, read_answer
from benchmarks.report import Measurement, ratio
from benchmarks.rounds import Rounds, RoundsOptions
from layersweep.records.read import read

PLAIN: Final = "plain Keras loop"
OURS: Final = "Layersweep"
OURS_BFLOAT16: Final = "Layersweep bfloat16"

PEERS: Final = {PLAIN: "plain_keras", "KerasTuner grid": "keras_tuner_grid", "Ray Tune + Keras callback": "ray_tune"}
"""The programs with other tools, as modules in benchmarks/programs."""

PRECISIONS: Final = {OURS: "float32", OURS_BFLOAT16: "mixed_bfloat16"}


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    work: tyro.conf.OmitArgPrefixes[Work]
    only: tuple[str, ...] = (*PEERS, *PRECISIONS)
    """The programs."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One program's run time, and the results of its models."""

    seconds: float
    results: Sequence[Result]


def peer(program: str, work: Work, folder: Path) -> tuple[processes.ProcessRun, Path]:
    """Runs a program of benchmarks/programs; returns its process and the path of its answer."""
    out = folder / "answer.json"
    command = [sys.executable, "-m", f"benchmarks.programs.{program}", "--out", out, *_flags(work)]
    return processes.run([*command, "--optimizers", *work.optimizers], log=folder / "log.txt"), out


def _flags(work: Work) -> list[object]:
    return ["--seeds", work.seeds, "--images", work.images, "--epochs", work.epochs]


def _peer(name: str, work: Work, folder: Path) -> Run:
    process, out = peer(PEERS[name], work, folder)
    return Run(seconds=process.seconds, results=read_answer(out)[0])


def run_sweep(work: Work, precision: str, results: Path) -> processes.ProcessRun:
    """Runs the sweep of optimizers; its records go to `results`."""
    command = [sys.executable, processes.ROOT / "sweeps" / "optimizers.py", "--results", results, *_flags(work)]
    command += ["--scheduler", "none", "--precision", precision, "--set", f"optimizer={','.join(work.optimizers)}"]
    process = processes.run(command, log=results / "logs" / "command.txt")
    (results / PROCESS).write_text(json.dumps({"seconds": process.seconds}))
    return process


def _ours(name: str, work: Work, results: Path) -> Run:
    shutil.rmtree(results, ignore_errors=True)
    process = run_sweep(work, PRECISIONS[name], results)
    return Run(seconds=process.seconds, results=recorded_results(results))


def recorded_results(results: Path) -> list[Result]:
    """The results of the completed trainings of a sweep of optimizers."""
    trials = read(results, "trials").filter(outcome="completed").join(read(results, "tests"), on="trial_id")
    rows = trials.select("optimizer", "seed", "last_val_accuracy", "accuracy").rows()
    return [Result(optimizer=o, seed=s, val_accuracy=v, test_accuracy=t) for o, s, v, t in rows]


def complete(name: str, run: Run, work: Work) -> Run:
    """The run itself, checked.

    Raises:
        ProgramFailed: if it did not train exactly the trials of `work`.
    """
    trials = sorted((result.optimizer, result.seed) for result in run.results)
    if trials != sorted(work.trials):
        raise processes.ProgramFailed(f"{name} trained {trials}, not {sorted(work.trials)}")
    return run


def measurements(runs: Mapping[str, Sequence[Run]]) -> Iterator[Measurement]:
    """The rows of the table: seconds, their ratios, and accuracies."""
    seconds = {
        name: Measurement(case=name, measure="whole process", unit="s", values=[run.seconds for run in program_runs])
        for name, program_runs in runs.items()
    }
    yield from seconds.values()
    for name, other in _pairs(list(runs)):
        yield ratio(seconds[name], seconds[other], case=f"{name} / {other}")
    for set_name, attribute in (("validation", "val_accuracy"), ("test", "test_accuracy")):
        for name, program_runs in runs.items():
            means = [statistics.fmean(getattr(result, attribute) for result in run.results) for run in program_runs]
            yield Measurement(case=name, measure=f"mean {set_name} accuracy", unit="share", values=means)


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of names whose ratios are shown: ours to each other program, and those to the plain loop."""
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

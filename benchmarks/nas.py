"""The search for a network with this program and with AutoKeras' own `fit`: best validation accuracy against seconds.

Command: `python -m benchmarks.nas`: plain and residual networks at the images' own size, 10,000 images of
Fashion-MNIST, 10 epochs per candidate, AutoKeras' greedy oracle, 20 minutes for each of 3 seeds.
`sweeps/nas_candidates.py` and AutoKeras take turns, each as a separate process on all cores. Seconds count from the
start of the process; results after the budget do not count.

A search that is written already (in the folder `nas` of the output folder) does not run again, so the same command
continues. It writes `nas.md`, `nas.parquet` and `nas.png`.
"""

import json
import math
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl
import tyro

from benchmarks import processes
from benchmarks.peers import OURS
from benchmarks.programs.autokeras_fit import read_lines
from benchmarks.report import (
    RESULTS,
    Circumstances,
    Measurement,
    Out,
    Readings,
    Report,
    finish,
    ratio,
    say,
    to_measurements,
)
from benchmarks.rounds import in_turn
from layersweep.records.questions import TUNING
from layersweep.records.read import read
from layersweep.tuning.driver.planner import SEARCH_SEED_OFFSET
from trainables.data.dataset import prepare

AUTOKERAS: Final = "AutoKeras"
PROGRAMS: Final = (AUTOKERAS, OURS)

PARTS: Final = {"1/4 of the budget": 1 / 4, "1/2 of the budget": 1 / 2, "the budget": 1.0}

REACHED: Final = "time to AutoKeras' final accuracy"

_OVERTIME: Final = 60.0
"""Seconds after the budget at which our command is ended: its search is over, and its comparison is not measured."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    images: int = 10_000
    """Images to train on; the validation set shrinks in proportion."""
    epochs: int = 10
    """Epochs of a candidate that is not stopped early."""
    minutes: float = 20.0
    """The budget of each search."""
    seeds: int = 3
    """Searches of each program."""
    out: Out = RESULTS
    """Where the table and the figure are written."""

    @property
    def budget(self) -> float:
        """The seconds of each search."""
        return 60 * self.minutes

    @property
    def settings(self) -> dict[str, float]:
        """The settings that all searches of one table must share."""
        return {"images": self.images, "epochs": self.epochs, "minutes": self.minutes}


@dataclass(frozen=True, kw_only=True)
class Step:
    """An epoch of a candidate; `seconds` count from the start of the program to the epoch's end."""

    seconds: float
    candidate: str
    val_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Search:
    """The epochs of one search within its budget, in the order of time, with the commit and the load before it."""

    steps: Sequence[Step]
    commit: str | None
    load: float

    @property
    def counts(self) -> Readings:
        """The amount of training, and the machine's load before it."""
        candidates = len({step.candidate for step in self.steps})
        return {
            ("candidates with an epoch", ""): candidates,
            ("epochs", ""): len(self.steps),
            ("load before", ""): self.load,
        }

    def best(self, seconds: float) -> float:
        """The best validation accuracy up to this time; minus infinity before the first epoch has ended."""
        return max((step.val_accuracy for step in self.steps if step.seconds <= seconds), default=-math.inf)

    def time_to(self, accuracy: float) -> float:
        """The seconds until this accuracy was reached; infinity if it never was."""
        return next((step.seconds for step in self.steps if step.val_accuracy >= accuracy), math.inf)


Searches = Mapping[str, Sequence[Search]]
"""The searches of each program, by seed."""


def within(steps: Sequence[Step], budget: float) -> list[Step]:
    """The steps that ended within the budget, in the order of time."""
    return sorted((step for step in steps if step.seconds <= budget), key=lambda step: step.seconds)


def measurements(searches: Searches, budget: float) -> Iterator[Measurement]:
    """The rows of the table; a seed that has no epoch by then does not count in an accuracy's n."""
    for part, share in PARTS.items():
        for name, runs in searches.items():
            if values := [best for one in runs if math.isfinite(best := one.best(share * budget))]:
                yield Measurement(case=name, measure=f"best validation accuracy by {part}", unit="share", values=values)
    yield from _times(searches, budget)
    for rows in zip(
        *(to_measurements(name, [one.counts for one in runs]) for name, runs in searches.items()), strict=True
    ):
        yield from rows


def _times(searches: Searches, budget: float) -> Iterator[Measurement]:
    """The time until each program reached AutoKeras' final accuracy, by seed."""
    finals = [one.best(budget) for one in searches[AUTOKERAS]]
    times = {}
    for name, runs in searches.items():
        seconds = [one.time_to(final) for one, final in zip(runs, finals, strict=True)]
        times[name] = Measurement(case=name, measure=REACHED, unit="s", values=seconds)
    yield from times.values()
    shares = [seconds / budget for seconds in times[OURS].values]
    yield Measurement(case=f"{OURS} / budget", measure=REACHED, unit="ratio", values=shares)
    yield ratio(times[OURS], times[AUTOKERAS], case=f"{OURS} / {AUTOKERAS}")


def report(options: Options, circumstances: Circumstances, searches: Searches) -> Report:
    """The table of the seeds that both programs have finished."""
    commits = {one.commit or "unknown" for runs in searches.values() for one in runs}
    return Report(
        benchmark="nas",
        title=f"Search for a network in {options.minutes:g} minutes: {options.images:,} images of Fashion-MNIST, up to "
        f"{options.epochs} epochs a candidate, greedy oracle",
        circumstances=replace(circumstances, commit=", ".join(sorted(commits))),
        measurements=list(measurements(searches, options.budget)),
    )


def medians(searches: Sequence[Search], moments: Sequence[float]) -> list[float]:
    """The median over searches of the best validation accuracy at each moment."""
    return [statistics.median(one.best(moment) for one in searches) for moment in moments]


def draw(searches: Searches, budget: float, path: Path) -> None:
    """Writes the figure: the best accuracy so far against seconds, a thin line per seed and a thick median."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    panel = figure.subplots()
    for number, (name, runs) in enumerate(searches.items()):
        moments = sorted({step.seconds for one in runs for step in one.steps} | {budget})
        for one in runs:
            _line(panel, moments, list(map(one.best, moments)), color=f"C{number}", linewidth=0.7, alpha=0.7)
        label = f"{name}, median of {len(runs)}"
        _line(panel, moments, medians(runs, moments), color=f"C{number}", linewidth=2.5, label=label)
    panel.set_xlim(0, budget)
    panel.set_xlabel("seconds since the program began")
    panel.set_ylabel("best validation accuracy so far")
    panel.grid(visible=True, alpha=0.3)
    panel.legend(loc="lower right")
    figure.savefig(path, dpi=150)


def _line(panel: object, moments: Sequence[float], values: Sequence[float], **style: object) -> None:
    """Draws a step line from the first epoch on."""
    points = [(at, value) for at, value in zip(moments, values, strict=True) if math.isfinite(value)]
    panel.step(*zip(*points, strict=True), where="post", **style)  # type: ignore[attr-defined]


def read_or_run(name: str, seed: int, options: Options, folder: Path) -> Search:
    """Reads a search from its file, or runs it and writes the file.

    Raises:
        ProgramFailed: if it failed, has not finished an epoch, or was written with other options.
    """
    path = folder / f"{name.lower()}-{seed}.json"
    if path.is_file():
        content = json.loads(path.read_text())
        if content["asked"] != options.settings:
            raise processes.ProgramFailed(
                f"{path} is of {content['asked']}, not {options.settings}: choose another --out"
            )
        steps = [Step(**step) for step in content["steps"]]
        return Search(steps=steps, commit=content["commit"], load=content["load"])
    load, commit = os.getloadavg()[0], Circumstances().commit
    run = _autokeras if name == AUTOKERAS else _ours
    search = Search(steps=within(run(seed, options, folder), options.budget), commit=commit, load=load)
    if not search.steps:
        raise processes.ProgramFailed(f"{name}, seed {seed}: no epoch within {options.budget:g} s; see {folder}")
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"asked": options.settings, **asdict(search)}))
    part.replace(path)
    return search


def _autokeras(seed: int, options: Options, folder: Path) -> list[Step]:
    lines = folder / f"autokeras-{seed}.jsonl"
    command = [sys.executable, "-m", "benchmarks.programs.autokeras_fit", "--out", lines, "--seconds", options.budget]
    command += ["--images", options.images, "--epochs", options.epochs, "--seed", seed]
    command += ["--data-seed", seed + SEARCH_SEED_OFFSET, "--began", time.time()]
    processes.run(command, log=folder / f"autokeras-{seed}.txt")
    return [
        Step(seconds=line.seconds, candidate=str(line.candidate), val_accuracy=line.val_accuracy)
        for line in read_lines(lines)
    ]


def _ours(seed: int, options: Options, folder: Path) -> list[Step]:
    results = folder / f"layersweep-{seed}"
    shutil.rmtree(results, ignore_errors=True)
    command = [sys.executable, processes.ROOT / "sweeps" / "nas_candidates.py", "--results", results]
    command += ["--images", options.images, "--epochs", options.epochs, "--seeds", 1, "--search-seed", seed]
    command += ["--set", "oracle=greedy", "--set", "family=autokeras", "--time-budget", f"{options.budget:.0f}"]
    log, limit = folder / f"layersweep-{seed}.txt", options.budget + _OVERTIME
    process = processes.run(command, log=log, limit=limit)
    return recorded_steps(results, process.start)


def recorded_steps(results: Path, start: float) -> list[Step]:
    """The recorded epochs of a search's candidates, in seconds since the start of the command."""
    trial_ids = read(results, "plan", columns=("trial_id", "question")).filter(question=TUNING)["trial_id"].unique()
    epochs = read(results, "epochs", columns=("trial_id", "attempt", "epoch", "val_accuracy", "at"))
    candidate_epochs = epochs.filter(pl.col("trial_id").is_in(trial_ids.implode()))
    first = candidate_epochs.sort("attempt").unique(["trial_id", "epoch"], keep="first")
    return [
        Step(seconds=at.timestamp() - start, candidate=trial, val_accuracy=accuracy)
        for trial, accuracy, at in first.select("trial_id", "val_accuracy", "at").rows()
    ]


def main(options: Options) -> None:
    """Runs the rounds; writes table and figure after each."""
    circumstances, folder = Circumstances(), options.out / "nas"
    folder.mkdir(parents=True, exist_ok=True)
    prepare("fashion_mnist", images=options.images)
    searches: dict[str, list[Search]] = {name: [] for name in PROGRAMS}
    for seed, name in in_turn(PROGRAMS, options.seeds):
        say(f"seed {seed} of {options.seeds}: {name}")
        searches[name].append(read_or_run(name, seed, options, folder))
        if all(len(runs) == seed for runs in searches.values()):
            report(options, circumstances, searches).write(options.out)
            draw(searches, options.budget, options.out / "nas.png")
    finish(report(options, circumstances, searches), options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

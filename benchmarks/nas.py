"""The search for a network by this program and by AutoKeras' own `fit`: best validation accuracy against seconds.

Command: `python -m benchmarks.nas`: plain and residual networks at the images' own size, 10,000 images of
Fashion-MNIST, 10 epochs a candidate, AutoKeras' greedy oracle, 20 minutes for each of 3 seeds.
`sweeps/nas_candidates.py` and AutoKeras take turns, each as a whole process of its own on all cores. Seconds count from
the start of the process; what was reached behind the budget does not count.

A search that has been written (below `nas` in the output folder) is not run again: the same command goes on. Writes
`nas.md`, `nas.parquet` and `nas.png`.
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
from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Readings, Report, finish, measured, ratio, say
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
"""Seconds after which our command is ended: its search is over by then, and its comparison is not what is measured."""


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
    def asked(self) -> dict[str, float]:
        """What every search of one table has to have in common."""
        return {"images": self.images, "epochs": self.epochs, "minutes": self.minutes}


@dataclass(frozen=True, kw_only=True)
class Step:
    """An epoch of a candidate that ended so many seconds after the program had begun."""

    seconds: float
    candidate: str
    val_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Search:
    """What one search trained within its budget, in the order of time, and what it was run of."""

    steps: Sequence[Step]
    commit: str | None
    load: float

    @property
    def counts(self) -> Readings:
        """How much it trained, and how busy the machine was."""
        candidates = len({step.candidate for step in self.steps})
        return {
            ("candidates with an epoch", ""): candidates,
            ("epochs", ""): len(self.steps),
            ("load before", ""): self.load,
        }

    def best(self, seconds: float) -> float:
        """The best validation accuracy by then; minus infinity before the first epoch has ended."""
        return max((step.val_accuracy for step in self.steps if step.seconds <= seconds), default=-math.inf)

    def reached(self, accuracy: float) -> float:
        """The seconds after which it had reached an accuracy; infinity if it never did."""
        return next((step.seconds for step in self.steps if step.val_accuracy >= accuracy), math.inf)


Searches = Mapping[str, Sequence[Search]]
"""Those of each program, seed by seed."""


def within(steps: Sequence[Step], budget: float) -> list[Step]:
    """The steps that ended within the budget, in the order of time."""
    return sorted((step for step in steps if step.seconds <= budget), key=lambda step: step.seconds)


def measurements(searches: Searches, budget: float) -> Iterator[Measurement]:
    """The rows of the table; a seed without any epoch by then is left out of an accuracy's n."""
    for part, share in PARTS.items():
        for name, found in searches.items():
            if values := [best for one in found if math.isfinite(best := one.best(share * budget))]:
                yield Measurement(case=name, measure=f"best validation accuracy by {part}", unit="share", values=values)
    yield from _times(searches, budget)
    for rows in zip(*(measured(name, [one.counts for one in found]) for name, found in searches.items()), strict=True):
        yield from rows


def _times(searches: Searches, budget: float) -> Iterator[Measurement]:
    """How soon each reached what AutoKeras had at the end of its budget, seed by seed."""
    finals = [one.best(budget) for one in searches[AUTOKERAS]]
    times = {}
    for name, found in searches.items():
        taken = [one.reached(final) for one, final in zip(found, finals, strict=True)]
        times[name] = Measurement(case=name, measure=REACHED, unit="s", values=taken)
    yield from times.values()
    shares = [taken / budget for taken in times[OURS].values]
    yield Measurement(case=f"{OURS} / budget", measure=REACHED, unit="ratio", values=shares)
    yield ratio(times[OURS], times[AUTOKERAS], case=f"{OURS} / {AUTOKERAS}")


def report(options: Options, circumstances: Circumstances, searches: Searches) -> Report:
    """The table of the seeds that both programs have searched."""
    commits = {one.commit or "unknown" for found in searches.values() for one in found}
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
    """Writes the figure: the best so far against seconds, every seed thin and the median thick."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    panel = figure.subplots()
    for number, (name, found) in enumerate(searches.items()):
        moments = sorted({step.seconds for one in found for step in one.steps} | {budget})
        for one in found:
            _line(panel, moments, list(map(one.best, moments)), color=f"C{number}", linewidth=0.7, alpha=0.7)
        label = f"{name}, median of {len(found)}"
        _line(panel, moments, medians(found, moments), color=f"C{number}", linewidth=2.5, label=label)
    panel.set_xlim(0, budget)
    panel.set_xlabel("seconds since the program began")
    panel.set_ylabel("best validation accuracy so far")
    panel.grid(visible=True, alpha=0.3)
    panel.legend(loc="lower right")
    figure.savefig(path, dpi=150)


def _line(panel: object, moments: Sequence[float], values: Sequence[float], **style: object) -> None:
    """A staircase from the first epoch on."""
    seen = [(at, value) for at, value in zip(moments, values, strict=True) if math.isfinite(value)]
    panel.step(*zip(*seen, strict=True), where="post", **style)  # type: ignore[attr-defined]


def searched(name: str, seed: int, options: Options, folder: Path) -> Search:
    """A search that was written, or else run now and written.

    Raises:
        ProgramFailed: if it failed, has not finished an epoch, or was written for other options.
    """
    path = folder / f"{name.lower()}-{seed}.json"
    if path.is_file():
        told = json.loads(path.read_text())
        if told["asked"] != options.asked:
            raise processes.ProgramFailed(f"{path} is of {told['asked']}, not {options.asked}: choose another --out")
        steps = [Step(**step) for step in told["steps"]]
        return Search(steps=steps, commit=told["commit"], load=told["load"])
    load, commit = os.getloadavg()[0], Circumstances().commit
    run = _autokeras if name == AUTOKERAS else _ours
    search = Search(steps=within(run(seed, options, folder), options.budget), commit=commit, load=load)
    if not search.steps:
        raise processes.ProgramFailed(f"{name}, seed {seed}: no epoch within {options.budget:g} s; see {folder}")
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps({"asked": options.asked, **asdict(search)}))
    aside.replace(path)
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
    finished = processes.run(command, log=log, limit=limit)
    return recorded(results, finished.began)


def recorded(results: Path, began: float) -> list[Step]:
    """The epochs of a search's candidates that are recorded, in seconds since the command was started."""
    asked = read(results, "plan", columns=("trial_id", "question")).filter(question=TUNING)["trial_id"].unique()
    epochs = read(results, "epochs", columns=("trial_id", "attempt", "epoch", "val_accuracy", "at"))
    found = epochs.filter(pl.col("trial_id").is_in(asked.implode()))
    first = found.sort("attempt").unique(["trial_id", "epoch"], keep="first")
    return [
        Step(seconds=at.timestamp() - began, candidate=trial, val_accuracy=accuracy)
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
        searches[name].append(searched(name, seed, options, folder))
        if all(len(found) == seed for found in searches.values()):
            report(options, circumstances, searches).write(options.out)
            draw(searches, options.budget, options.out / "nas.png")
    finish(report(options, circumstances, searches), options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

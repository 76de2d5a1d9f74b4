"""How soon a command answers: `--help`, `--dry-run`, and the end of the first training step.

Command: `python -m benchmarks.starting`. Beside `--help` stands `import keras`, which a script that imports it at
its top pays first; beside the first step that of a plain Keras loop.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from benchmarks import processes
from benchmarks.peers import in_turn, ours
from benchmarks.programs.asked import Work, read_answer
from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, ratio, say
from layersweep.records.read import read

HELP: Final = "sweeps/optimizers.py --help"
DRY_RUN: Final = "sweeps/optimizers.py --dry-run"
IMPORT: Final = "import keras"
FIRST_STEP: Final = "Layersweep, first step"
PLAIN_FIRST_STEP: Final = "plain Keras loop, first step"

_SCRIPT: Final = processes.ROOT / "sweeps" / "optimizers.py"
_WORK: Final = Work(optimizers=("adam",), seeds=1, epochs=1)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    images: int = 2_000
    """Training images of the model that makes the first step."""
    repeat: int = 5
    """Rounds; everything is started once in each."""
    out: Out = RESULTS
    """Where the table is written."""


def _answered(*command: str | Path) -> Callable[[Work, Path], float]:
    """The seconds that a command takes."""
    return lambda _work, folder: processes.run([sys.executable, *command], log=folder / "log.txt").seconds


def _dry_run(_work: Work, folder: Path) -> float:
    return _answered(_SCRIPT, "--dry-run", "--results", folder / "results")(_work, folder)


def _first_step(work: Work, folder: Path) -> float:
    began = ours(work, "float32", folder / "results").began
    (epoch,) = read(folder / "results", "epochs").iter_rows(named=True)
    later = sum(float(epoch[f"seconds_{name}"]) for name in ("train", "validate", "test", "measure"))
    return float(epoch["at"].timestamp()) - later - began


def _plain_first_step(work: Work, folder: Path) -> float:
    out = folder / "answer.json"
    flags = ["--out", out, "--optimizers", *work.optimizers, "--seeds", work.seeds, "--images", work.images]
    command = [sys.executable, "-m", "benchmarks.programs.plain_keras", *map(str, flags), "--epochs", "1"]
    began = processes.run(command, log=folder / "log.txt").began
    _, first_step = read_answer(out)
    assert first_step is not None, "a plain loop says when its first step had ended"
    return first_step - began


CASES: Final[dict[str, Callable[[Work, Path], float]]] = {
    HELP: _answered(_SCRIPT, "--help"),
    DRY_RUN: _dry_run,
    IMPORT: _answered("-c", "import keras"),
    FIRST_STEP: _first_step,
    PLAIN_FIRST_STEP: _plain_first_step,
}


def measurements(seconds: Mapping[str, Sequence[float]]) -> list[Measurement]:
    """The rows of the table."""
    rows = {
        case: Measurement(case=case, measure="until it is there", unit="s", values=v) for case, v in seconds.items()
    }
    pairs = ((HELP, IMPORT), (DRY_RUN, IMPORT), (FIRST_STEP, PLAIN_FIRST_STEP))
    return [*rows.values(), *(ratio(rows[a], rows[b], case=f"{a} / {b}") for a, b in pairs)]


def main(options: Options) -> None:
    """Runs the rounds and writes the table."""
    circumstances, work = Circumstances.now(), Work(**{**vars(_WORK), "images": options.images})
    work.data  # noqa: B018 (prepared before anything is timed)
    seconds: dict[str, list[float]] = {case: [] for case in CASES}
    for number, case in in_turn(list(CASES), options.repeat):
        say(f"round {number} of {options.repeat}: {case}")
        with tempfile.TemporaryDirectory(prefix="layersweep-starting-") as folder:
            seconds[case].append(CASES[case](work, Path(folder)))
    report = Report(
        benchmark="starting",
        title="How soon a command answers, from the start of its process",
        circumstances=circumstances,
        measurements=measurements(seconds),
    )
    finish(report, options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

"""How soon a command answers: `--help`, `--dry-run`, and the end of the first training step.

Command: `python -m benchmarks.starting`. `--help` is compared with `import keras`, the least time of a script that
imports Keras; the first step is compared with that of a plain Keras loop.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import tyro

from benchmarks import processes
from benchmarks.peers import peer, run_sweep
from benchmarks.programs.peer_task import Work, read_answer
from benchmarks.report import Measurement, ratio
from benchmarks.rounds import Rounds, RoundsOptions
from layersweep.records.read import read

HELP: Final = "sweeps/optimizers.py --help"
DRY_RUN: Final = "sweeps/optimizers.py --dry-run"
IMPORT: Final = "import keras"
FIRST_STEP: Final = "Layersweep, first step"
PLAIN_FIRST_STEP: Final = "plain Keras loop, first step"

_SCRIPT: Final = processes.ROOT / "sweeps" / "optimizers.py"
_WORK: Final = Work(optimizers=("adam",), seeds=1, epochs=1)


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    images: int = 2_000
    """Training images for the first step."""
    repeat: int = 5
    """Number of rounds; everything is started once in each."""


def _command_seconds(*command: str | Path) -> Callable[[Work, Path], float]:
    """A function that runs a command and returns its seconds."""
    return lambda _work, folder: processes.run([sys.executable, *command], log=folder / "log.txt").seconds


def _dry_run(_work: Work, folder: Path) -> float:
    return _command_seconds(_SCRIPT, "--dry-run", "--results", folder / "results")(_work, folder)


def _first_step(work: Work, folder: Path) -> float:
    start = run_sweep(work, "float32", folder / "results").start
    (epoch,) = read(folder / "results", "epochs").iter_rows(named=True)
    later_seconds = sum(float(epoch[f"seconds_{name}"]) for name in ("train", "validate", "test", "measure"))
    return float(epoch["at"].timestamp()) - later_seconds - start


def _plain_first_step(work: Work, folder: Path) -> float:
    process, out = peer("plain_keras", work, folder)
    _, first_step = read_answer(out)
    assert first_step is not None, "the plain loop did not write when its first step ended"
    return first_step - process.start


CASES: Final[dict[str, Callable[[Work, Path], float]]] = {
    HELP: _command_seconds(_SCRIPT, "--help"),
    DRY_RUN: _dry_run,
    IMPORT: _command_seconds("-c", "import keras"),
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
    """Runs the rounds."""
    work = replace(_WORK, images=options.images)
    work.data  # noqa: B018 (prepared before anything is timed)
    Rounds(
        benchmark="starting",
        title="How soon a command answers, from the start of its process",
        cases=list(CASES),
        once=lambda case, _, folder: CASES[case](work, folder),
        rows=measurements,
        rotating=True,
    ).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

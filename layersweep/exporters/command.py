"""Writes a recorded sweep for another tool: curves, hyperparameters and verdicts.

A repeated export adds what is missing and writes anew what has changed. `layersweep records export` writes tables as
CSV, Parquet and JSON.
"""

import importlib
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, cast

import tyro

from layersweep.escaping import is_unicode
from layersweep.exit_codes import INTERRUPTED, OK
from layersweep.project import IS_CLONE, install_command
from layersweep.records.errors import BusyError, ResultsError, results_errors

if TYPE_CHECKING:
    from layersweep.exporters.sweep_values import Changes, SweepValues, Trial
    from layersweep.terminal import Console

    Progress: TypeAlias = Callable[[Iterable[Trial]], Iterable[Trial]]
    Write: TypeAlias = Callable[[SweepValues, Path, Progress], Changes]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A tool to export to.

    Attributes:
        module: its `write` takes the values, the folder and what shows the progress; imported when it runs.
        packages: the packages that it imports.
        extra: the extra of this project that installs them.
        command: opens the result; `{place}` is the file or folder, and `{run}` runs what is installed here.
    """

    module: str
    packages: tuple[str, ...]
    extra: str
    command: str


TARGETS: Final[Mapping[str, Target]] = {
    "tensorboard": Target(
        module="layersweep.exporters.to_tensorboard",
        packages=("tensorboard",),
        extra="train",
        command="{run}tensorboard --logdir {place}",
    ),
    "mlflow": Target(
        module="layersweep.exporters.to_mlflow",
        packages=("mlflow", "sqlalchemy", "alembic"),
        extra="mlflow",
        command="uvx mlflow ui --backend-store-uri sqlite:///{place}",
    ),
    "wandb": Target(
        module="layersweep.exporters.to_wandb",
        packages=("wandb",),
        extra="wandb",
        command="{run}wandb sync {place}/wandb/offline-run-*",
    ),
    "optuna": Target(
        module="layersweep.exporters.to_optuna",
        packages=("optuna",),
        extra="optuna",
        command="uvx optuna-dashboard {place}",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Writes a recorded sweep for another tool: curves, hyperparameters and verdicts.

    A repeated export adds what is missing and writes anew what has changed. Tables as CSV, Parquet or JSON:
    layersweep records export.
    """

    sweep: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """The sweep, as `layersweep records list` names it."""
    to: Literal["tensorboard", "mlflow", "wandb", "optuna"]
    """The tool."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """The folder to write to; exported/TOOL in the results folder by default. It may hold several sweeps."""
    results: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("results")
    """The results folder."""


def main(arguments: Sequence[str]) -> int:
    """`layersweep export NAME --to TOOL`; returns the exit code.

    Raises:
        ResultsError: as in `export`.
    """
    options = tyro.cli(Options, args=list(arguments), prog="layersweep export")
    try:
        export(options.results, options.sweep, options.to, out=options.out)
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK


def export(results: Path, sweep: str, to: str, *, out: Path | None = None, console: "Console | None" = None) -> None:
    """Writes a sweep for a tool, and prints what was written and the command that opens it.

    Raises:
        ResultsError: if the sweep is unknown, the tool's package is missing, or `out` cannot be written.
    """
    from filelock import FileLock, Timeout

    from layersweep.formatting import count
    from layersweep.records.overview import check_recorded
    from layersweep.terminal import Console

    target = TARGETS[to]
    check_recorded(results, sweep)
    if missing := [name for name in target.packages if find_spec(name) is None]:
        names = " and ".join(missing)
        raise ResultsError(f"an export to {to} needs {names}, not installed here: {install_command(target.extra)}")
    from layersweep.exporters.sweep_values import sweep_values

    console, folder = console or Console(), (out or results / "exported" / to).absolute()
    if not is_unicode(str(folder)):
        raise ResultsError(f"the folder {folder} has a name that is not UTF-8: give another --out")
    values = sweep_values(results, sweep)
    if not values.trials:
        raise ResultsError(f"no trial of sweep {sweep!r} has started: there is nothing to export")
    write = cast("Write", importlib.import_module(target.module).write)
    with results_errors(f"cannot write to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / ".layersweep.lock", timeout=0):
                changes = write(values, folder, _progress(console))
        except Timeout:
            raise BusyError(f"another export writes to {folder}: wait for its end, or give another --out") from None
    unchanged = f", {changes.unchanged:,} unchanged" if changes.unchanged else ""
    changed = f", {changes.changed:,} written anew" if changes.changed else ""
    console.print(f"{sweep}: {count(changes.added, 'trial')} added{changed}{unchanged}")
    if values.waiting_trials:
        console.print(f"left out, since not started: {count(values.waiting_trials, 'trial')}")
    console.print(f"{to}  {changes.place}", soft_wrap=True)
    command = target.command.format(place=shlex.quote(str(changes.place)), run="uv run " if IS_CLONE else "")
    console.print(f"open it with  {command}", soft_wrap=True)


def _progress(console: "Console") -> "Progress":
    """Shows at a terminal how many trials are done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    def progress(trials: "Iterable[Trial]") -> "Iterable[Trial]":
        bar = Progress(
            BarColumn(), MofNCompleteColumn(), "trials", TimeRemainingColumn(), console=console, transient=True,
            disable=not console.is_terminal,
        )  # fmt: skip
        with bar:
            yield from bar.track(list(trials))

    return progress

"""The command `layersweep` with its subcommands; each has its own `--help`."""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Final, cast

from layersweep import project
from layersweep.escaping import terminal
from layersweep.exit_codes import BAD_INPUT, OK
from layersweep.pipes import ends_with_its_reader
from layersweep.records.errors import ResultsError


@dataclass(frozen=True, kw_only=True)
class Subcommand:
    """One subcommand.

    Attributes:
        module: the module whose `main` takes the arguments and returns the exit code; imported only when it runs.
        description: what it does, for `--help`.
    """

    module: str
    description: str


SUBCOMMANDS: Final = {
    "study": Subcommand(
        module="layersweep.studies.study",
        description="answers the question of a recorded sweep: tables, figures, a page",
    ),
    "watch": Subcommand(
        module="layersweep.watch.watch_command",
        description="opens the page of sweeps that run or have ended, in the browser",
    ),
    "gallery": Subcommand(
        module="layersweep.studies.gallery", description="shows the answers of all recorded sweeps on one page"
    ),
    "records": Subcommand(
        module="layersweep.records.command", description="lists, shows, exports, deletes and prunes recorded sweeps"
    ),
    "export": Subcommand(
        module="layersweep.exporters.command",
        description="writes a recorded sweep for TensorBoard, MLflow, Weights & Biases or Optuna",
    ),
    "data": Subcommand(
        module="layersweep.data_check.command",
        description="checks a data set on one page: classes, copies, damage, and what a model sees",
    ),
    "doctor": Subcommand(
        module="layersweep.tuning.doctor.doctor_command", description="checks a cluster or this machine for problems"
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a subcommand and returns its exit code.

    It is 2 for an unknown subcommand, or if the records cannot be read; 141 if nobody reads the output any more.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    return ends_with_its_reader(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return OK if words else BAD_INPUT
    name, *rest = words
    if name == "--version":
        sys.stdout.write(f"layersweep {metadata.version('layersweep')}\n")
        return OK
    if name not in SUBCOMMANDS:
        sys.stderr.write(terminal(f"layersweep: error: unknown command {name!r}; valid: {', '.join(SUBCOMMANDS)}\n"))
        return BAD_INPUT
    try:
        run = cast("Callable[[Sequence[str]], int]", importlib.import_module(SUBCOMMANDS[name].module).main)
        return run(rest)
    except ResultsError as error:
        sys.stderr.write(terminal(f"error: {error}\n"))
    except ModuleNotFoundError as error:
        if error.name not in project.missing_packages():
            raise
        sys.stderr.write(
            f"error: layersweep {name} needs the package {error.name}, not installed here: "
            f"{project.install_command('train')}\n"
        )
    return BAD_INPUT


def _usage() -> str:
    width = max(map(len, SUBCOMMANDS))
    lines = "".join(f"  {name:<{width}}  {command.description}\n" for name, command in SUBCOMMANDS.items())
    hint = f"For the options of a command: layersweep COMMAND --help. To run a sweep: python {project.SWEEP_SCRIPT}"
    return f"usage: layersweep COMMAND [...]\n\n{lines}\n{hint}\n"

"""The command `layersweep`: one command with parts, each with its own `--help`."""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from layersweep.records.errors import ResultsError


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the command.

    Attributes:
        module: where its `main` is, which is given the arguments and returns the exit code; imported when it is run.
        does: what it does, for `--help`.
    """

    module: str
    does: str


PARTS: Final = {
    "study": Part(
        module="layersweep.studies.study", does="answers what a recorded sweep asks: tables, figures, a page"
    ),
    "gallery": Part(module="layersweep.studies.gallery", does="puts every recorded question on one page"),
    "records": Part(
        module="layersweep.records.command", does="lists, shows, exports, deletes and prunes what is recorded"
    ),
    "doctor": Part(
        module="layersweep.tuning.doctor.doctor_command", does="says what is wrong with a cluster or this machine"
    ),
}

BAD_INPUT: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a part of the command; returns its exit code, 2 if there is no such part, or nothing to read."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0 if given else BAD_INPUT
    name, *rest = given
    if name not in PARTS:
        sys.stderr.write(f"layersweep: error: there is no part {name!r}; valid: {', '.join(PARTS)}\n")
        return BAD_INPUT
    run = cast("Callable[[Sequence[str]], int]", importlib.import_module(PARTS[name].module).main)
    try:
        return run(rest)
    except ResultsError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_INPUT


def _usage() -> str:
    width = max(map(len, PARTS))
    parts = "".join(f"  {name:<{width}}  {part.does}\n" for name, part in PARTS.items())
    more = "layersweep PART --help says more. A sweep is run by its own file: python sweeps/optimizers.py"
    return f"usage: layersweep PART [...]\n\n{parts}\n{more}\n"

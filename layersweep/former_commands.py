"""The present form of `python -m studies.NAME`, `python -m records` and `python -m tuning.doctor`."""

import shlex
import sys
from typing import Final, NoReturn

from layersweep.exit_codes import BAD_INPUT
from layersweep.pipes import ends_with_its_reader

_NEW_COMMANDS: Final = {
    "records": "layersweep records",
    "studies.gallery": "layersweep gallery",
    "tuning.doctor": "layersweep doctor",
}


def print_new_command() -> NoReturn:
    """Prints in one line which command replaces the former one, and ends with exit code 2."""
    arguments = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else [""]
    module, *rest = arguments
    package, _, name = module.partition(".")
    by_package = f"layersweep study {name or 'NAME'}" if package == "studies" else "layersweep --help"
    command = _NEW_COMMANDS.get(module, by_package)

    def say() -> int:
        sys.stderr.write(f"python -m {module} is now: {shlex.join([*command.split(), *rest])}\n")
        return BAD_INPUT

    sys.exit(ends_with_its_reader(say))

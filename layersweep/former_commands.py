"""What `python -m studies.NAME`, `python -m records` and `python -m tuning.doctor` are called now."""

import sys
from typing import Final, NoReturn

_FIXED: Final = {
    "records": "layersweep records",
    "studies.gallery": "layersweep gallery",
    "tuning.doctor": "layersweep doctor",
}


def say_and_end() -> NoReturn:
    """Ends a command of before with exit code 2 and one line: the command that does it now."""
    words = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else [""]
    module, *rest = words
    room, _, name = module.partition(".")
    now = _FIXED.get(module, f"layersweep study {name or 'NAME'}" if room == "studies" else "layersweep --help")
    sys.stderr.write(f"python -m {module} is now: {' '.join([now, *rest])}\n")
    sys.exit(2)

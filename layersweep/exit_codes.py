"""The exit codes of all commands."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
UNFINISHED: Final = 3
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
"""Nobody reads the output any more: what a shell reports of a tool that SIGPIPE ended."""

"""The commit of the code that a sweep runs, for its records."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

SCRIPT_COMMIT: Final = "LAYERSWEEP_SCRIPT_COMMIT"
"""The environment variable with the commit of a script that another machine has sent; empty if it had none."""

_SECONDS: Final = 10.0


def git_commit() -> str | None:
    """The commit of the folder of the script that runs, with `-dirty` if it was changed since.

    For a clone's own sweeps, this is the commit of this code. None without git or outside a repository.
    """
    if (commit := os.environ.get(SCRIPT_COMMIT)) is not None:
        return commit or None
    script = getattr(sys.modules["__main__"], "__file__", None)
    return commit_of(Path(script).resolve().parent if script else Path.cwd())


def commit_of(folder: Path) -> str | None:
    """The commit of a folder, with `-dirty` if it was changed since; None without git or outside a repository."""
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return git.stdout.strip()

"""What is asked of a cluster: a sweep's script with its flags, and where its records are there and here."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from layersweep import project
from layersweep.tuning.cluster.ssh_channel import HeadError, LostError
from layersweep.tuning.common.cluster_file import ClusterFile
from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.experiment.options import Options
from layersweep.tuning.experiment.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to run where.

    Attributes:
        sweep: the sweep.
        cluster: where.
        script: the sweep's script, below the project's folder.
        flags: the command's flags, without those that are for this machine alone.
        there: the results folder on the head; a relative one is below the project's folder.
        here: the results folder that records come home to.
        again: the whole command.
    """

    sweep: Sweep
    cluster: ClusterFile
    script: str
    flags: Sequence[str]
    there: str
    here: Path
    again: str

    @classmethod
    def of(cls, sweep: Sweep, options: Options, arguments: Sequence[str]) -> Self:
        """What a command line asks for.

        Raises:
            UsageError: if the cluster's file, the script or the results folder cannot be used.
        """
        if options.cluster is None:
            raise UsageError("no cluster is given; valid: --cluster and its file")
        there = os.path.normpath(options.results)
        if Path(there).parts[:1] == (os.pardir,):
            raise UsageError(
                f"--results {options.results} is outside of the project's folder on the head; valid with --cluster: a "
                "folder below it, such as results, or an absolute one of the head's"
            )
        return cls(
            sweep=sweep,
            cluster=ClusterFile.read(options.cluster),
            script=_script(Path(sys.argv[0])),
            flags=forwarded(arguments),
            there=there,
            here=Path("results" if Path(there).is_absolute() else there).absolute(),
            again=shlex.join(["python", sys.argv[0], *arguments]),
        )

    def refusal(self, error: LostError | HeadError) -> UsageError:
        """The error where the head cannot be worked with from the start."""
        given, target = f"--cluster {self.cluster.path}", self.cluster.target
        if isinstance(error, LostError):
            return UsageError(f"{given}: {target} is not reached by ssh: {error}")
        return UsageError(f"{given}: {target}: {error}; `ray up {self.cluster.path}` starts the cluster")

    def broken_off(self, error: HeadError) -> BrokenOffError:
        """The error where the head could be worked with before."""
        return BrokenOffError(
            f"{self.cluster.target}: {error}. Every recorded epoch is kept; `ray up {self.cluster.path}` starts the "
            f"cluster, and the same command goes on: {self.again}"
        )


def forwarded(arguments: Sequence[str]) -> list[str]:
    """The flags without `--cluster` and `--fetch`."""
    kept, words = [], iter(arguments)
    for word in words:
        if word == "--cluster":
            next(words, None)
        elif word != "--fetch" and not word.startswith("--cluster="):
            kept.append(word)
    return kept


def _script(started: Path) -> str:
    """The path of the script that was started, below the project's folder, which the head has as well.

    Raises:
        UsageError: if it is elsewhere.
    """
    script = started.resolve()
    if not script.is_relative_to(project.FOLDER):
        raise UsageError(
            f"{started} is not in the project's folder {project.FOLDER}, which is all that a cluster has; valid with "
            "--cluster: a script such as sweeps/optimizers.py"
        )
    return script.relative_to(project.FOLDER).as_posix()

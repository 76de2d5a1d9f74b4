"""A request to a cluster: a sweep's script with its flags, and its results folders on the head and on this machine."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from layersweep import project
from layersweep.tuning.cluster.head_answers import HeadError
from layersweep.tuning.cluster.head_channel import NotReachedError
from layersweep.tuning.cluster.head_server import DASHBOARD
from layersweep.tuning.common.cluster_file import ClusterFile
from layersweep.tuning.common.code_commit import commit_of
from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.common.script_files import ScriptFiles, is_everywhere
from layersweep.tuning.common.ssh_commands import shell_path
from layersweep.tuning.experiment.options import Options
from layersweep.tuning.experiment.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class ClusterRequest:
    """What to run, and where.

    Attributes:
        sweep: the sweep.
        cluster: the cluster's file.
        script: the sweep's script on the head, relative to the project's folder.
        script_files: the script and the files beside it, which the head must get; None for a script of the project.
        script_commit: the commit of the script's folder; empty outside a repository.
        flags: the command's flags, without those that are for this machine only.
        remote_results: the results folder on the head; a relative one is below the project's folder.
        local_results: the results folder on this machine, to which the records are copied.
        command: the whole command line on this machine.
    """

    sweep: Sweep
    cluster: ClusterFile
    script: str
    script_files: ScriptFiles | None = None
    script_commit: str = ""
    flags: Sequence[str]
    remote_results: str
    local_results: Path
    command: str

    @classmethod
    def of(cls, sweep: Sweep, options: Options, arguments: Sequence[str]) -> Self:
        """The request of a command line.

        Raises:
            UsageError: if the cluster's file, the script or the results folder cannot be used.
        """
        if options.cluster is None:
            raise UsageError("no cluster is given; valid: --cluster FILE, such as --cluster cluster.yaml")
        script, results = Path(sys.argv[0]).resolve(), os.path.normpath(options.results)
        if Path(results).parts[:1] == (os.pardir,):
            raise UsageError(
                f"--results {options.results} is outside the project's folder on the head; valid with --cluster: a "
                "folder below it, such as results, or an absolute path on the head"
            )
        files = None if is_everywhere(script) else _files_of(script)
        return cls(
            sweep=sweep if options.metric is None else replace(sweep, metric=options.metric),
            cluster=ClusterFile.read(options.cluster),
            script=script.relative_to(project.FOLDER).as_posix() if files is None else files.path_on_head,
            script_files=files,
            script_commit="" if files is None else commit_of(script.parent) or "",
            flags=head_flags(arguments),
            remote_results=results,
            local_results=Path("results" if Path(results).is_absolute() else results).absolute(),
            command=shlex.join(["python", sys.argv[0], *arguments]),
        )

    def stop_command(self, job: str) -> str:
        """The command line that stops a job from this machine."""
        key = [] if self.cluster.key is None else ["-i", str(self.cluster.key)]
        ray = shell_path(f"{self.cluster.project}/.venv/bin/ray")
        stop = f"RAY_AUTH_MODE=token {ray} {shlex.join(['job', 'stop', '--address', DASHBOARD, job])}"
        return shlex.join(["ssh", *key, self.cluster.target, stop])

    @property
    def _ray_up(self) -> str:
        return shlex.join(["ray", "up", str(self.cluster.path)])

    def refusal(self, error: NotReachedError | HeadError) -> UsageError:
        """The error for a head that cannot be used from the start."""
        flag, target = f"--cluster {self.cluster.path}", self.cluster.target
        if isinstance(error, NotReachedError):
            return UsageError(f"{flag}: ssh does not reach {target}: {error}")
        return UsageError(f"{flag}: {target}: {error}; `{self._ray_up}` starts the cluster")

    def broken_off(self, error: HeadError) -> BrokenOffError:
        """The error for a head that could be used before."""
        return BrokenOffError(
            f"{self.cluster.target}: {error}. Every recorded epoch is kept. `{self._ray_up}` starts the "
            f"cluster; to continue, run the same command: {self.command}"
        )


def head_flags(arguments: Sequence[str]) -> list[str]:
    """The flags that the head gets: all but `--cluster`, and those for this machine."""
    flags, remaining = [], iter(arguments)
    for argument in remaining:
        if argument == "--cluster":
            next(remaining, None)
        elif argument not in ("--fetch", "--no-watch") and not argument.startswith("--cluster="):
            flags.append(argument)
    return flags


def _files_of(script: Path) -> ScriptFiles:
    """The script and the files beside it.

    Raises:
        UsageError: if they cannot travel, or if the script runs as a module of a package, which would not be beside it.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.parent and spec.origin and Path(spec.origin).resolve() == script:
        raise UsageError(
            f"--cluster: `python -m {spec.name}` runs a module of a package; valid: a script beside the package that "
            f"imports it, such as `python run.py` with `from {spec.name} import SWEEP`"
        )
    return ScriptFiles.of(script)

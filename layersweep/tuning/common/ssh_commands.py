"""The command lines of ssh and rsync that reach a cluster's head."""

import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Final, TextIO

from layersweep.escaping import visible
from layersweep.tuning.common.cluster_file import ClusterFile

NOT_REACHED: Final = 255
"""The exit code of ssh itself, when it does not reach the machine."""

HOST_KEYS: Final = ("-o", "StrictHostKeyChecking=accept-new")
"""ssh accepts the first key that a host shows, and refuses another key later."""

_SSH: Final = (
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
    "-o", "LogLevel=ERROR", *HOST_KEYS,
)  # fmt: skip
"""ssh asks for no password, and gives up a host that does not answer."""

_PLAIN_FILES: Final = ("-rtz", "--chmod=D0755,F0644", "--no-inc-recursive", "--protect-args")
"""rsync copies folders, files and their times. A head that has turned bad can neither plant links and devices here, nor
files that may be run or that others may write."""


_COLOUR: Final = re.compile(r"(\x1b\[[0-9;]{0,32}m)")
_LONGEST_LINE: Final = 1 << 16


def options(cluster: ClusterFile) -> list[str]:
    """All options of ssh; the host and the command follow them."""
    key = [] if cluster.key is None else ["-i", str(cluster.key), "-o", "IdentitiesOnly=yes"]
    return [*_SSH, *key, *cluster.extra_ssh_options]


def ssh(cluster: ClusterFile, command: str) -> list[str]:
    """The command line that runs a shell command on the head, in the project's folder and its environment."""
    in_project = (
        f"cd {shell_path(cluster.project)} && export PATH=$PWD/.venv/bin:$PATH RAY_AUTH_MODE=token "
        f"RAY_TMPDIR=/tmp/layersweep-$(id -u) PYTHONUNBUFFERED=1 && {{ {command}\n}}"
    )
    return ["ssh", *options(cluster), "--", cluster.target, f"bash -c {shlex.quote(in_project)}"]


def run_on_head(
    cluster: ClusterFile, command: str, *, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a shell command on the head to its end; the exit code `NOT_REACHED` means that ssh did not reach it.

    Raises:
        subprocess.TimeoutExpired: if it takes longer than `timeout` seconds.
    """
    return subprocess.run(ssh(cluster, command), capture_output=True, text=True, timeout=timeout, check=False)


def show_on_head(cluster: ClusterFile, command: str) -> int:
    """Runs a shell command on the head, shows what it prints as it comes, and returns its exit code.

    Colours are shown; whatever else a terminal would obey is written out, because the head may have turned bad.
    """
    with subprocess.Popen(
        ssh(cluster, command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        errors = threading.Thread(target=_show, args=(process.stderr, sys.stderr), daemon=True)
        errors.start()
        _show(process.stdout, sys.stdout)
        errors.join()
    return process.returncode


def _show(stream: IO[str] | None, target: TextIO) -> None:
    """Shows lines as they come."""
    while stream is not None and (line := stream.readline(_LONGEST_LINE)):
        parts = _COLOUR.split(line)
        target.write("".join(part if _COLOUR.fullmatch(part) else visible(part) for part in parts))
        target.flush()


def rsync(cluster: ClusterFile, source: str, target: Path, *rsync_options: str) -> list[str]:
    """The command line that copies a folder of the head to this machine; a relative one is below the project's."""
    shell = shlex.join(["ssh", *options(cluster)])
    folder = source if source.startswith(("/", "~")) else f"{cluster.project}/{source}"
    head_folder = f"{cluster.target}:{folder.removeprefix('~/')}"
    return ["rsync", *_PLAIN_FILES, "-e", shell, *rsync_options, head_folder, str(target)]


def shell_path(path: str) -> str:
    """A path for the shell, quoted; a leading ~ is not, as it stands for the home folder."""
    if path == "~":
        return path
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)

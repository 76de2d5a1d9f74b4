"""A cluster's file, which `ray up` reads: which machines there are, and how they are reached by ssh."""

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layersweep.tuning.common.errors import UsageError

_SSH: Final = (
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
    "-o", "LogLevel=ERROR", "-o", "StrictHostKeyChecking=accept-new",
)  # fmt: skip
"""No password is asked for, and a host that does not answer is given up. A host is known by the key that it shows
first; another key later is refused."""


@dataclass(frozen=True, kw_only=True)
class ClusterFile:
    """What Layersweep needs of a cluster's file.

    Attributes:
        path: the file.
        name: the cluster's.
        head: the head's address as this machine sees it.
        head_inside: its address as the workers see it.
        workers: the addresses of all workers; empty where a cloud gives them.
        user: whom ssh logs in as.
        key: the private key's file; None for ssh's own choice.
        project: the project's folder on the machines.
        more: further options of ssh, for connections that share one.
    """

    path: Path
    name: str
    head: str
    head_inside: str
    workers: tuple[str, ...]
    user: str
    key: Path | None
    project: str
    more: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "ClusterFile":
        """Reads a file.

        Raises:
            UsageError: if there is none, it is no cluster's file, or does not say how the head is reached.
        """
        import yaml

        try:
            content = yaml.safe_load(path.read_text())
        except OSError as error:
            raise UsageError(f"--cluster {path}: {error.strerror}; valid: a file such as cluster.yaml") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"--cluster {path} is no YAML: {' '.join(str(error).split())}") from error
        if not isinstance(content, dict):
            raise UsageError(
                f"--cluster {path} is no cluster's file: it holds no keys; valid: one such as cluster.yaml"
            )
        provider, auth = _part(path, content, "provider"), _part(path, content, "auth")
        inside = provider.get("head_ip") or provider.get("external_head_ip")
        if not inside:
            raise UsageError(
                f"--cluster {path} has no provider.head_ip; valid: a cluster of provider `local`. On a cloud: ssh to "
                "the head (`ray attach`) and start the sweep there"
            )
        key = auth.get("ssh_private_key")
        found = cls(
            path=path,
            name=str(content.get("cluster_name", path.stem)),
            head=str(provider.get("external_head_ip") or inside),
            head_inside=str(inside),
            workers=tuple(map(str, provider.get("worker_ips") or ())),
            user=str(auth.get("ssh_user", "")),
            key=None if key is None else Path(str(key)).expanduser(),
            project=str(_part(path, content, "metadata", needed=False).get("project", "~/layersweep")),
        )
        if not found.user:
            raise UsageError(f"--cluster {path} has no auth.ssh_user; valid: whom to log in as on the machines")
        if found.key is not None and not found.key.is_file():
            raise UsageError(f"--cluster {path}: auth.ssh_private_key {found.key} does not exist; valid: a private key")
        return found

    @property
    def target(self) -> str:
        """The head, for ssh."""
        return f"{self.user}@{self.head}"

    @property
    def options(self) -> list[str]:
        """What ssh is told, besides the host and the command."""
        key = [] if self.key is None else ["-i", str(self.key), "-o", "IdentitiesOnly=yes"]
        return [*_SSH, *key, *self.more]

    def ssh(self, command: str) -> list[str]:
        """The command line that runs a shell command on the head, in the project's folder and its environment."""
        inside = (
            f"cd {_home(self.project)} && export PATH=$PWD/.venv/bin:$PATH RAY_AUTH_MODE=token PYTHONUNBUFFERED=1 && "
            f"{{ {command}\n}}"
        )
        return ["ssh", *self.options, self.target, f"bash -c {shlex.quote(inside)}"]

    def on_head(self, command: str, *, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a shell command on the head to its end; exit code 255 is ssh's own: the head was not reached.

        Raises:
            subprocess.TimeoutExpired: if it takes longer.
        """
        return subprocess.run(self.ssh(command), capture_output=True, text=True, timeout=timeout, check=False)

    def rsync(self, source: str, target: Path, *options: str) -> list[str]:
        """The command line that copies a folder of the head, below the project's if it is relative, to this machine."""
        shell = shlex.join(["ssh", *self.options])
        there = source if source.startswith(("/", "~")) else f"{self.project}/{source}"
        return ["rsync", "-az", "-e", shell, *options, f"{self.target}:{there.removeprefix('~/')}", str(target)]


NOT_REACHED: Final = 255
"""The exit code of ssh itself."""


def _part(path: Path, content: dict[str, Any], name: str, *, needed: bool = True) -> dict[str, Any]:
    part = content.get(name, {})
    if not isinstance(part, dict) or (needed and not part):
        raise UsageError(f"--cluster {path} has no {name}; valid: a file such as cluster.yaml")
    return part


def _home(folder: str) -> str:
    """A folder for the shell, in which a leading ~ stands for the home folder."""
    if folder == "~":
        return folder
    return f"~/{shlex.quote(folder[2:])}" if folder.startswith("~/") else shlex.quote(folder)  # no ~ within quotes

"""A cluster's file, which `ray up` reads: the machines, and how ssh reaches them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layersweep.tuning.common.errors import UsageError

_WORD: Final = re.compile(r"[\w:\[][\w.:%\[\]+$-]*")
"""A user, a name or an address, which ssh cannot take for anything else."""

_FOLDER_NAME: Final = re.compile(r"[^/.][^/]*")


@dataclass(frozen=True, kw_only=True)
class ClusterFile:
    """What Layersweep needs of a cluster's file.

    Attributes:
        path: the file.
        name: the cluster's name.
        head_address: the head's address as this machine sees it.
        internal_head_address: the head's address as the workers see it.
        worker_addresses: the addresses of all workers; empty where a cloud assigns them.
        user: the user that ssh logs in as.
        key: the private key's file; None if ssh chooses.
        project: the project's folder on the machines.
        extra_ssh_options: further options of ssh, for connections that share one.
    """

    path: Path
    name: str
    head_address: str
    internal_head_address: str
    worker_addresses: tuple[str, ...]
    user: str
    key: Path | None
    project: str
    extra_ssh_options: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "ClusterFile":
        """Reads and checks a file.

        Raises:
            UsageError: if there is no such file, it is not a cluster's file, or it does not say how to reach the head.
        """
        content = _read_yaml(path)
        provider, auth = _section(path, content, "provider"), _section(path, content, "auth")
        head_ip = provider.get("head_ip") or provider.get("external_head_ip")
        if not head_ip:
            raise UsageError(
                f"--cluster {path} has no provider.head_ip; valid: a cluster of provider `local`. On a cloud: ssh to "
                "the head (`ray attach`) and start the sweep there"
            )
        address = str(provider.get("external_head_ip") or head_ip)
        workers = tuple(map(str, provider.get("worker_ips") or ()))
        file = cls(
            path=path,
            name=str(content.get("cluster_name", path.stem)),
            head_address=address,
            internal_head_address=str(head_ip),
            worker_addresses=workers,
            user=_user(path, auth),
            key=_key(path, auth),
            project=str(_section(path, content, "metadata", required=False).get("project", "~/layersweep")),
        )
        for key, value in (("user", file.user), *(("address", each) for each in (address, str(head_ip), *workers))):
            if not _WORD.fullmatch(value):  # ssh would take it for an option, or for another machine
                raise UsageError(f"--cluster {path}: the {key} {value!r} is not valid; valid: a {key} for ssh")
        if not _FOLDER_NAME.fullmatch(file.name) or not file.name.isprintable():
            raise UsageError(f"--cluster {path}: cluster_name {file.name!r} is not valid; valid: a name such as pair")
        return file

    @property
    def target(self) -> str:
        """The head, for ssh: `user@address`."""
        return f"{self.user}@{self.head_address}"


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(f"--cluster {path}: {error.strerror}; valid: a file such as cluster.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--cluster {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"--cluster {path} has no keys; valid: a file such as cluster.yaml")
    return content


def _section(path: Path, content: dict[str, Any], name: str, *, required: bool = True) -> dict[str, Any]:
    section = content.get(name, {})
    if not isinstance(section, dict) or (required and not section):
        raise UsageError(f"--cluster {path} has no {name}; valid: a file such as cluster.yaml")
    return section


def _user(path: Path, auth: dict[str, Any]) -> str:
    user = str(auth.get("ssh_user", ""))
    if not user:
        raise UsageError(f"--cluster {path} has no auth.ssh_user; valid: the user to log in as on the machines")
    return user


def _key(path: Path, auth: dict[str, Any]) -> Path | None:
    if auth.get("ssh_private_key") is None:
        return None
    key = Path(str(auth["ssh_private_key"])).expanduser()
    if not key.is_file():
        raise UsageError(f"--cluster {path}: auth.ssh_private_key {key} does not exist; valid: a private key's file")
    return key

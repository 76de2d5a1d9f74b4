"""A cluster's file, which `ray up` reads: the machines, and how ssh reaches them."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from layersweep.tuning.common.errors import UsageError

_LARGEST_BYTES: Final = 1 << 20


class _Form(NamedTuple):
    """What a text must look like to become a word of ssh, or a name; one that began with `-` would be an option."""

    pattern: re.Pattern[str]
    valid: str


_ADDRESS: Final = _Form(re.compile(r"[\w:\[][\w.:%\[\]-]{0,254}"), "an address such as 10.0.0.1")
_USER: Final = _Form(re.compile(r"\w[\w.+$-]{0,254}"), "a user such as ubuntu")
_NAME: Final = _Form(re.compile(r"[^/.\x00-\x1f\x7f-\x9f][^/\x00-\x1f\x7f-\x9f]{0,254}"), "a name such as layersweep")
_FILE: Final = _Form(re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,4096}"), "a path such as ~/layersweep")


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
        _section(path, content, "provider")
        auth = _section(path, content, "auth")
        head_address = _text(path, content, "provider.external_head_ip", _ADDRESS)
        internal_head_address = _text(path, content, "provider.head_ip", _ADDRESS) or head_address
        if not internal_head_address:
            raise UsageError(
                f"--cluster {path} has no provider.head_ip; valid: a cluster of provider `local`. On a cloud: ssh to "
                "the head (`ray attach`) and start the sweep there"
            )
        user = _text(path, content, "auth.ssh_user", _USER)
        if not user:
            raise UsageError(f"--cluster {path} has no auth.ssh_user; valid: the user to log in as on the machines")
        return cls(
            path=path,
            name=_text(path, content, "cluster_name", _NAME) or path.stem,
            head_address=head_address or internal_head_address,
            internal_head_address=internal_head_address,
            worker_addresses=_worker_addresses(path, content),
            user=user,
            key=_key(path, auth),
            project=_text(path, content, "metadata.project", _FILE) or "~/layersweep",
        )

    @property
    def target(self) -> str:
        """The head, for ssh: `user@address`."""
        return f"{self.user}@{self.head_address}"


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"--cluster {path} has more than 1 MiB; valid: a file such as cluster.yaml")
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(f"--cluster {path}: {error.strerror}; valid: a file such as cluster.yaml") from error
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:  # PyYAML lets all of them out
        raise UsageError(f"--cluster {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"--cluster {path} has no keys; valid: a file such as cluster.yaml")
    return content


def _section(path: Path, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = content.get(name)
    if not isinstance(section, dict) or not section:
        raise UsageError(f"--cluster {path} has no {name}; valid: a file such as cluster.yaml")
    return section


def _text(path: Path, content: Mapping[str, Any], place: str, form: _Form) -> str:
    """The text at a place such as `provider.head_ip`; empty if there is none.

    Raises:
        UsageError: if there is another kind of value, or the text has another form.
    """
    value: Any = content
    for name in place.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value in (None, "") else _checked(path, value, place, form)


def _checked(path: Path, value: object, place: str, form: _Form) -> str:
    text = str(value) if isinstance(value, str | int | float) else ""
    if form.pattern.fullmatch(text) is None:
        raise UsageError(f"--cluster {path}: {place} {text!r:.80} is not valid; valid: {form.valid}")
    return text


def _worker_addresses(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    values = content["provider"].get("worker_ips") or ()
    if not isinstance(values, list | tuple):
        raise UsageError(f"--cluster {path}: provider.worker_ips is not a list; valid: [10.0.0.2, 10.0.0.3]")
    return tuple(_checked(path, value, "provider.worker_ips", _ADDRESS) for value in values)


def _key(path: Path, auth: dict[str, Any]) -> Path | None:
    if auth.get("ssh_private_key") is None:
        return None
    key = Path(_checked(path, auth["ssh_private_key"], "auth.ssh_private_key", _FILE))
    with contextlib.suppress(RuntimeError):  # `~nobody`
        key = key.expanduser()
    if not key.is_file():
        raise UsageError(f"--cluster {path}: auth.ssh_private_key {key} does not exist; valid: a private key's file")
    return key

"""Checks a cluster, or this machine, and says what to do about each problem: `layersweep doctor [cluster.yaml]`.

On a laptop, with the cluster's file, it checks the file, connects to the head by ssh and runs itself there. On the head
it checks all machines of the cluster; without a cluster it checks this machine. The exit code is 1 after a failure.
"""

import logging
import os
import shlex
import socket
import stat
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import tyro

from layersweep import project
from layersweep.escaping import terminal
from layersweep.exit_codes import BAD_INPUT, FAILED, OK
from layersweep.formatting import count, first_line
from layersweep.terminal import Console
from layersweep.tuning.common.cluster_file import ClusterFile
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.common.ssh_commands import NOT_REACHED, run_on_head, show_on_head
from layersweep.tuning.doctor import checks, missing_nodes, node_facts, probe
from layersweep.tuning.doctor.findings import LEVELS, Finding, Node, failure, ok, worst_first
from layersweep.tuning.runtime import environment, private_folder, ray_runtime
from layersweep.tuning.runtime.machine import default_slots
from layersweep.tuning.runtime.port_owner import is_another_users
from layersweep.tuning.runtime.ray_watch import check_reachable

_ANSWER_SECONDS: Final = 60.0
_DATA_SECONDS: Final = 900.0
_SSH_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 1.0

_STYLES: Final = {"failure": "bold red", "warning": "yellow", "ok": "green"}


Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: found or downloaded)")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of the command line."""

    file: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="CLUSTER.YAML")] = None
    """The cluster's file, on a laptop. Without it, the doctor checks this machine, and the cluster if it is a head."""
    results: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("results")
    """The results folder; on the head, a relative one is below the project's folder."""
    dataset: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: none)")] = None
    """Load this data set into each node's cache now, as a trial would."""
    data: Folder = None
    """The folder of the data set's files, on each node."""
    wait: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 10.0
    """Wait this long for machines that have not joined; after `ray up` they need a while."""
    here: bool = False
    """Fail if no cluster runs on this machine. A laptop uses this flag on the head."""
    configured: Annotated[str, tyro.conf.arg(metavar="IP,IP,...", help_behavior_hint="(default: from `ray up`)")] = ""
    """The addresses of the cluster's machines, the head's first. A laptop uses this flag on the head."""
    code: Annotated[str, tyro.conf.arg(metavar="DIGEST", help_behavior_hint="(default: none)")] = ""
    """The digest of the laptop's code, to compare it with the head's. A laptop uses this flag on the head."""


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    options = tyro.cli(
        Options,
        args=list(arguments),
        prog="layersweep doctor",
        description=__doc__,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    console = Console()
    try:
        _validate(options)
        if options.file is not None:
            return _check_from_laptop(options, options.file, console)
        findings = _check_this_machine(options, console)
    except UsageError as error:
        console.print(str(error), style="red", soft_wrap=True)
        return BAD_INPUT
    _draw(findings, console)
    return FAILED if any(finding.level == "failure" for finding in findings) else OK


def quick_checks() -> list[Finding]:
    """The checks before a sweep, on a cluster that this process has joined: nodes, versions and code."""
    nodes = probe.nodes(node_facts.basic_facts, seconds=_ANSWER_SECONDS)
    membership = missing_nodes.membership(probe.setup().machines, nodes, {}, missing_level="warning")
    return worst_first([*membership, *checks.versions(nodes), *checks.code(nodes)])


def _validate(options: Options) -> None:
    """Refuses options that cannot be right.

    Raises:
        UsageError: with the option and what is valid.
    """
    import pkgutil

    from trainables.data import datasets

    names = sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))
    if options.dataset is not None and options.dataset not in names:
        raise UsageError(f"--dataset {options.dataset} is not known; valid: {', '.join(names)}")
    if options.data is not None and options.dataset is None:
        raise UsageError(f"--data {options.data} needs --dataset; valid: --dataset NAME --data {options.data}")
    if options.data is not None and not options.data.is_absolute() and options.file is not None:
        raise UsageError(
            f"--data {options.data} is relative; valid: a folder that starts with /, the same on each node"
        )
    if options.wait < 0:
        raise UsageError(f"--wait {options.wait:g} is not valid; valid: 0 or more seconds")


def _check_from_laptop(options: Options, path: Path, console: Console) -> int:
    """Checks the file, and runs the doctor on the head; returns the exit code."""
    import yaml

    file = ClusterFile.read(path)
    content = yaml.safe_load(path.read_text())
    sources = [str(source) for source in (content.get("file_mounts") or {}).values()]
    findings = missing_nodes.cluster_file(
        content,
        missing_sources=[source for source in sources if not Path(source).expanduser().exists()],
        key_mode=None if file.key is None else stat.S_IMODE(file.key.stat().st_mode),
    )
    console.print(f"{file.name}: asking the head, {file.target} …")
    if (unreachable := _head_problem(file)) is not None:
        findings.append(unreachable)
    if findings:
        _draw(findings, console)
    if unreachable is not None:
        return FAILED
    code = show_on_head(file, _head_command(options, file, console))
    return FAILED if findings and not code else code


def _head_problem(file: ClusterFile) -> Finding | None:
    """Why the doctor cannot run on the head; None if it can."""
    try:
        test = run_on_head(file, "test -d layersweep && python --version", timeout=_SSH_SECONDS)
    except subprocess.TimeoutExpired:
        return missing_nodes.head_not_reached(file.target, f"timed out after {_SSH_SECONDS:g} s", NOT_REACHED)
    if not test.returncode:
        return None
    error = test.stderr or "no layersweep in the project's folder"
    return missing_nodes.head_not_reached(file.target, error, test.returncode)


def _head_command(options: Options, file: ClusterFile, console: Console) -> str:
    """The shell command that runs the doctor on the head."""
    words = ["python", "-m", "layersweep", "doctor", "--here", "--results", str(options.results)]
    words += ["--wait", f"{options.wait:g}"]
    if file.worker_addresses:
        words += ["--configured", ",".join((file.internal_head_address, *file.worker_addresses))]
    if options.dataset is not None:
        words += ["--dataset", options.dataset]
    if options.data is not None:
        words += ["--data", str(options.data)]
    if project.IS_CLONE:  # else the head's code came from elsewhere
        words += ["--code", checks.digest(node_facts.code(project.FOLDER))]
    terminal = f"COLUMNS={console.width}" + (" FORCE_COLOR=1" if console.is_terminal else "")
    return f"{terminal} {shlex.join(words)}"


def _check_this_machine(options: Options, console: Console) -> list[Finding]:
    """Checks this machine, and the cluster that runs on it.

    Raises:
        UsageError: if a cluster runs here whose address other users can replace: it is not joined.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "")
    environment.set_defaults()
    address, setup = private_folder.cluster_address(), probe.setup()
    configured = tuple(filter(None, options.configured.split(","))) or setup.machines
    if not address:
        ray_runtime.check_open_folder()
    if not address and not options.here and not configured:
        return _check_single_machine(options, console)
    if not address:
        return [_not_running("Ray does not run on this machine")]
    try:
        check_reachable(address)
    except OSError as error:
        return [_not_running(f"Ray does not answer at {address}: {error}")]
    if is_another_users(address):  # it would be sent the token
        return [_not_running(f"another user's process listens at {address}, where your cluster was")]
    token_exists = probe.token_exists()
    if not token_exists:
        os.environ["RAY_AUTH_MODE"] = "disabled"
    import ray
    from ray.exceptions import RayError

    token = partial(
        checks.token, mode=mode, exists=token_exists, answers_without_token=probe.answers_without_token(address)
    )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (RayError, OSError, RuntimeError, ValueError) as error:
        message = first_line(str(error)) or type(error).__name__
        return [_not_running(f"the doctor cannot join Ray at {address}: {message}"), *token([])]
    try:
        _wait(configured, options.wait, console)
        nodes, findings = _check_cluster(options, configured, setup.user, console)
    finally:
        ray.shutdown()
    head = address.rpartition(":")[0]
    return [*findings, *token(nodes), *checks.ports(head, probe.open_ports(head))]


def _wait(configured: Sequence[str], seconds: float, console: Console) -> None:
    """Waits up to `seconds` for machines that have not joined."""
    deadline = time.monotonic() + seconds
    is_announced = False
    while (missing := [name for name in configured if name not in probe.addresses()]) and time.monotonic() < deadline:
        if not is_announced:
            console.print(f"waiting up to {seconds:g} s for {', '.join(missing)} …")
            is_announced = True
        time.sleep(_POLL_SECONDS)


def _check_cluster(
    options: Options, configured: Sequence[str], user: str, console: Console
) -> tuple[list[Node], list[Finding]]:
    """Checks every machine of the cluster that this process has joined; returns its nodes, too."""
    folder = options.results.absolute()
    seconds = _DATA_SECONDS if options.dataset else _ANSWER_SECONDS
    with probe.Marker(folder) as marker:
        facts = partial(node_facts.all_facts, _facts_request(options, folder, marker))
        nodes = probe.nodes(facts, seconds=seconds, clock=True)
    addresses = {node.address for node in nodes}
    missing = [machine for machine in configured if machine not in addresses]
    if missing:
        console.print(f"trying {', '.join(missing)} by ssh …")
    membership = missing_nodes.membership(configured, nodes, probe.ssh_attempts(missing, user))
    return nodes, [*membership, *_check_nodes(options, nodes, folder, marker)]


def _check_single_machine(options: Options, console: Console) -> list[Finding]:
    """Checks this machine, on which no cluster runs."""
    message = "no cluster runs here: a sweep uses this machine"
    console.print(message)
    folder = options.results.absolute()
    with probe.Marker(folder) as marker:
        facts = node_facts.all_facts(_facts_request(options, folder, marker))
    node = Node(address=socket.gethostname(), head=True, slots=default_slots(), facts=facts)
    slots = ok("nodes", node.name, f"{message}, with {count(node.slots, 'slot')}")
    return [slots, *_check_nodes(options, [node], folder, marker)]


def _facts_request(options: Options, folder: Path, marker: probe.Marker) -> dict[str, Any]:
    """The argument of `node_facts.all_facts`."""
    data = None if options.data is None else str(options.data.absolute())
    return {"results": str(folder), "marker": marker.name, "dataset": options.dataset, "data": data}


def _check_nodes(options: Options, nodes: Sequence[Node], folder: Path, marker: probe.Marker) -> list[Finding]:
    """The findings that follow from the nodes' facts."""
    return [
        *checks.versions(nodes),
        *checks.code(nodes, laptop_digest=options.code),
        *checks.other_users(nodes),
        *checks.results(nodes, str(folder), marker.problem),
        *(checks.data(nodes, options.dataset) if options.dataset else ()),
        *checks.disks(nodes),
        *checks.memory(nodes),
        *checks.clocks(nodes),
        *checks.processors(nodes),
    ]


def _draw(findings: Sequence[Finding], console: Console) -> None:
    """Prints one table, failures first, and how many findings each level has."""
    from rich.table import Table
    from rich.text import Text

    table = Table("", "about", "where", "finding, and what to do", show_lines=False, expand=False)
    for finding in worst_first(findings):
        text = Text(terminal(finding.message))
        if finding.advice:
            text.append(terminal(f"\n→ {finding.advice}"), style="italic")
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), finding.about, finding.where, text)
    console.print(table)
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    console.print(", ".join(f"{level}: {number}" for level, number in counts.items()))


def _not_running(message: str) -> Finding:
    advice = "run `ray up -y cluster.yaml` on a laptop; by hand, start Ray with the variables of cluster.yaml"
    return failure("Ray", socket.gethostname(), message, advice)

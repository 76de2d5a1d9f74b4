"""What is wrong with a cluster, and what to do about it: `layersweep doctor [cluster.yaml]`.

From a laptop, with the cluster's file: it looks at the file, reaches the head by ssh and runs itself there. On the
head, or on a machine alone, it looks at that one and all that have joined. The exit code is 1 if there is a failure.
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
from rich.console import Console

from layersweep import project
from layersweep.tuning.common.cluster_file import NOT_REACHED, ClusterFile
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.common.exit_codes import BAD_INPUT, FAILED, OK
from layersweep.tuning.doctor import checks, missing_nodes, node_facts, probe
from layersweep.tuning.doctor.findings import LEVELS, Finding, Node, failure, ok, worst_first
from layersweep.tuning.runtime import environment
from layersweep.tuning.runtime.machine import default_slots
from layersweep.tuning.runtime.ray_runtime import address_file
from layersweep.tuning.runtime.ray_watch import knock
from layersweep.words import first_line

_ANSWER_SECONDS: Final = 60.0
_DATA_SECONDS: Final = 900.0
_REACH_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 1.0

_STYLES: Final = {"failure": "bold red", "warning": "yellow", "ok": "green"}


Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: found, or fetched)")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line may say."""

    file: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="CLUSTER.YAML")] = None
    """The cluster's file, from a laptop; without it, this machine is looked at, and the cluster whose head it is."""
    results: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("results")
    """The folder for results, below the project's folder on the head if it is relative."""
    dataset: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: none)")] = None
    """Bring this data set into each node's cache now, as a trial would."""
    data: Folder = None
    """Where the data set's files are, on each node."""
    wait: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 10.0
    """Wait so long for machines that have not joined; after `ray up` they take a while."""
    here: bool = False
    """A cluster must run on this machine; what a laptop asks the head."""
    configured: Annotated[
        str, tyro.conf.arg(metavar="IP,IP,...", help_behavior_hint="(default: as `ray up` left it)")
    ] = ""
    """The addresses of the cluster's machines, the head's first."""
    code: Annotated[str, tyro.conf.arg(metavar="DIGEST", help_behavior_hint="(default: none)")] = ""
    """The digest of the laptop's code, to be compared with the head's."""


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
        _check(options)
        if options.file is not None:
            return _from_laptop(options, options.file, console)
        findings = _here(options, console)
    except UsageError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return BAD_INPUT
    _draw(findings, console)
    return FAILED if any(finding.level == "failure" for finding in findings) else OK


def quick() -> list[Finding]:
    """What a sweep looks at first on a cluster that this process has joined: nodes, versions and code."""
    nodes = probe.nodes(node_facts.brief, seconds=_ANSWER_SECONDS)
    joined = missing_nodes.joined(probe.setup().machines, nodes, {}, missing="warning")
    return worst_first([*joined, *checks.versions(nodes), *checks.code(nodes)])


def _check(options: Options) -> None:
    """Refuses what cannot be meant."""
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


def _from_laptop(options: Options, path: Path, console: Console) -> int:
    """Looks at the file, and runs this on the head."""
    import yaml

    file = ClusterFile.read(path)
    content = yaml.safe_load(path.read_text())
    sources = [str(source) for source in (content.get("file_mounts") or {}).values()]
    found = missing_nodes.cluster_file(
        content,
        missing=[source for source in sources if not Path(source).expanduser().exists()],
        key_mode=None if file.key is None else stat.S_IMODE(file.key.stat().st_mode),
    )
    console.print(f"{file.name}: asking the head, {file.target} …", markup=False, highlight=False)
    try:
        tried = file.run_on_head("test -d layersweep && python --version", timeout=_REACH_SECONDS)
    except subprocess.TimeoutExpired:
        found.append(missing_nodes.head_not_reached(file.target, f"timed out after {_REACH_SECONDS:g} s", NOT_REACHED))
    else:
        if tried.returncode:
            error = tried.stderr or "no layersweep in the project's folder"
            found.append(missing_nodes.head_not_reached(file.target, error, tried.returncode))
    if found:
        _draw(found, console)
    if any(finding.about == "head" for finding in found):
        return FAILED
    there = subprocess.run(file.ssh(_command_there(options, file, console)), stdin=subprocess.DEVNULL, check=False)
    return FAILED if found and not there.returncode else there.returncode


def _command_there(options: Options, file: ClusterFile, console: Console) -> str:
    """The shell's command that runs this on the head."""
    words = ["python", "-m", "layersweep", "doctor", "--here", "--results", str(options.results)]
    words += ["--wait", f"{options.wait:g}"]
    if file.worker_addresses:
        words += ["--configured", ",".join((file.internal_head_address, *file.worker_addresses))]
    if options.dataset is not None:
        words += ["--dataset", options.dataset]
    if options.data is not None:
        words += ["--data", str(options.data)]
    words += ["--code", checks.digest(node_facts.code(project.FOLDER))]
    drawn = f"COLUMNS={console.width}" + (" FORCE_COLOR=1" if console.is_terminal else "")
    return f"{drawn} {shlex.join(words)}"


def _here(options: Options, console: Console) -> list[Finding]:
    """Looks at this machine, and at the cluster that runs on it."""
    mode = os.environ.get("RAY_AUTH_MODE", "")
    environment.settle()
    address, setup = _started_here(), probe.setup()
    configured = tuple(filter(None, options.configured.split(","))) or setup.machines
    if not address and not options.here and not configured:
        return _alone(options, console)
    if not address:
        return [_not_running("no Ray runs on this machine")]
    try:
        knock(address)
    except OSError as error:
        return [_not_running(f"Ray does not answer at {address}: {error}")]
    exists = probe.token_exists()
    if not exists:
        os.environ["RAY_AUTH_MODE"] = "disabled"
    import ray
    from ray.exceptions import RayError

    token = partial(checks.token, mode=mode, exists=exists, answers_strangers=probe.answers_strangers(address))
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (RayError, OSError, RuntimeError, ValueError) as error:
        why = first_line(str(error)) or type(error).__name__
        return [_not_running(f"Ray at {address} cannot be joined: {why}"), *token([])]
    try:
        _wait(configured, options.wait, console)
        nodes, findings = _cluster(options, configured, setup.user, console)
    finally:
        ray.shutdown()
    head = address.rpartition(":")[0]
    return [*findings, *token(nodes), *checks.ports(head, probe.open_ports(head))]


def _started_here() -> str:
    """The address of the cluster that `ray start` has started or joined on this machine; empty if there is none."""
    try:
        return address_file().read_text().strip()
    except OSError:
        return ""


def _wait(configured: Sequence[str], seconds: float, console: Console) -> None:
    """Waits for machines that have not joined."""
    ends = time.monotonic() + seconds
    said = False
    while (missing := [name for name in configured if name not in probe.addresses()]) and time.monotonic() < ends:
        if not said:
            console.print(f"waiting up to {seconds:g} s for {', '.join(missing)} …", markup=False, highlight=False)
            said = True
        time.sleep(_POLL_SECONDS)


def _cluster(
    options: Options, configured: Sequence[str], user: str, console: Console
) -> tuple[list[Node], list[Finding]]:
    """Looks at every machine of the cluster that this process has joined."""
    folder = options.results.absolute()
    seconds = _DATA_SECONDS if options.dataset else _ANSWER_SECONDS
    with probe.Marker(folder) as marker:
        nodes = probe.nodes(partial(node_facts.full, _asked(options, folder, marker)), seconds=seconds, clock=True)
    joined = {node.address for node in nodes}
    missing = [machine for machine in configured if machine not in joined]
    if missing:
        console.print(f"trying {', '.join(missing)} by ssh …", markup=False, highlight=False)
    found = missing_nodes.joined(configured, nodes, probe.attempts(missing, user))
    return nodes, [*found, *_of_nodes(options, nodes, folder, marker)]


def _alone(options: Options, console: Console) -> list[Finding]:
    """Looks at this machine, on which no cluster runs."""
    said = "no cluster runs here: a sweep uses this machine"
    console.print(said, markup=False, highlight=False)
    folder = options.results.absolute()
    with probe.Marker(folder) as marker:
        facts = node_facts.full(_asked(options, folder, marker))
    node = Node(address=socket.gethostname(), head=True, slots=default_slots(), facts=facts)
    alone = ok("nodes", node.name, f"{said}, {node.slots} at once")
    return [alone, *_of_nodes(options, [node], folder, marker)]


def _asked(options: Options, folder: Path, marker: probe.Marker) -> dict[str, Any]:
    """What `node_facts.full` is asked."""
    data = None if options.data is None else str(options.data.absolute())
    return {"results": str(folder), "marker": marker.name, "dataset": options.dataset, "data": data}


def _of_nodes(options: Options, nodes: Sequence[Node], folder: Path, marker: probe.Marker) -> list[Finding]:
    """What the facts of nodes mean."""
    return [
        *checks.versions(nodes),
        *checks.code(nodes, laptop=options.code),
        *checks.results(nodes, str(folder), marker.problem),
        *(checks.data(nodes, options.dataset) if options.dataset else ()),
        *checks.disks(nodes),
        *checks.memory(nodes),
        *checks.clocks(nodes),
        *checks.processors(nodes),
    ]


def _draw(findings: Sequence[Finding], console: Console) -> None:
    """One table, failures first, and how many of each."""
    from rich.table import Table
    from rich.text import Text

    table = Table("", "about", "where", "found, and what to do", show_lines=False, expand=False)
    for finding in worst_first(findings):
        said = Text(finding.said)
        if finding.do:
            said.append(f"\n→ {finding.do}", style="italic")
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), finding.about, Text(finding.where), said)
    console.print(table)
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    console.print(", ".join(f"{level}: {number}" for level, number in counts.items()), highlight=False)


def _not_running(said: str) -> Finding:
    do = "from a laptop: `ray up -y cluster.yaml`; by hand: RAY_AUTH_MODE=token ray start --head, as in cluster.yaml"
    return failure("Ray", socket.gethostname(), said, do)

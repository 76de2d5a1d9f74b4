"""Three hosts of one slot each against one machine of three slots: what a cluster costs a sweep.

Command: `python -m benchmarks.hosts`, as root, with `uv sync --group cluster`: the hosts are network namespaces on this
machine, as in tests/cluster, and `ray up` starts the cluster. Trials sleep, so that hosts do not compete for this
machine's cores. The same sweep is run on the cluster, and on its head alone (RAY_ADDRESS=local), in turn, on the same
seeds, each time into an empty results folder, after a first sweep on the cluster by which each host has the data (of
which only the last measure is taken):

- seconds of the whole command, with its start;
- milliseconds a trial, between the first trials' ends and the last one's: three slots that never wait need a third of
  what a trial sleeps;
- the share of trials on the busiest host: a third where all three work all the time.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tyro

from benchmarks.overhead import pace
from benchmarks.processes import ROOT, ProgramFailed
from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, ratio, say
from layersweep.records.read import read
from trainables.data.datasets import fashion_mnist

CLUSTER: Final = "three hosts, 1 slot each"
MACHINE: Final = "one machine, 3 slots"
_SLOTS: Final = 3
_WARM_TRIALS: Final = 2 * _SLOTS
"""Trials that are left out at the beginning."""

_PATIENCE_SECONDS: Final = 600.0
_WHERE: Final[Mapping[str, Mapping[str, str]]] = {
    MACHINE: {"RAY_ADDRESS": "local"},
    CLUSTER: {"RAY_AUTH_MODE": "token", "RAY_ADDRESS": "10.77.0.11:6379"},
}
"""What a command's environment says, on the head."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    trials: int = 90
    """Trials of each sweep."""
    epochs: int = 4
    """Epochs of a trial."""
    seconds: float = 0.25
    """How long an epoch sleeps."""
    repeat: int = 3
    """Rounds."""
    out: Out = RESULTS
    """Where the table is written."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One sweep.

    Attributes:
        seconds: the whole command's.
        trial_seconds: between two trials' ends, on average.
        busiest: the share of trials that ended on the host with the most of them.
    """

    seconds: float
    trial_seconds: float
    busiest: float


def measurements(runs: Mapping[str, Sequence[Run]]) -> Iterator[Measurement]:
    """The rows of the table: each measure of both, and the ratio within each round."""
    for measure, unit, factor in (("whole command", "s", 1), ("a trial", "ms", 1_000)):
        found = {}
        for case in (CLUSTER, MACHINE):
            taken = [run.seconds if unit == "s" else run.trial_seconds for run in runs[case]]
            found[case] = Measurement(case=case, measure=measure, unit=unit, values=[factor * t for t in taken])
        yield from found.values()
        yield ratio(found[CLUSTER], found[MACHINE], case=f"{CLUSTER} / {MACHINE}")
    yield from _shares("trials on the busiest host", runs[CLUSTER])


def _shares(measure: str, runs: Sequence[Run]) -> Iterator[Measurement]:
    yield Measurement(case=CLUSTER, measure=measure, unit="share", values=[run.busiest for run in runs])


def main(options: Options) -> None:
    """Runs the rounds; writes the table after each, so that a failure later loses none."""
    sys.path.insert(0, str(ROOT / "tests" / "helpers"))
    import ray_cluster

    if problem := ray_cluster.problem():
        sys.exit(f"no cluster can be made here: {problem}")
    circumstances = Circumstances.now()
    runs: dict[str, list[Run]] = {case: [] for case in _WHERE}
    title = (
        f"{options.trials} trials of {options.epochs} epochs that sleep {options.seconds:g} s each, on three slots: "
        "hosts in network namespaces of this machine, and this machine"
    )
    with tempfile.TemporaryDirectory(prefix="layersweep-hosts-") as folder, ray_cluster.hosts(Path(folder)) as cluster:
        _bring_data(cluster)
        cluster.up("ray up").check_returncode()
        cluster.doctor("doctor", "--wait", "120").check_returncode()
        say("the new cluster's first sweep, which brings the data to each host")
        first = _run(cluster, options, CLUSTER, 0)
        for number in range(1, options.repeat + 1):
            for case, found in runs.items():
                say(f"round {number} of {options.repeat}: {case}")
                found.append(_run(cluster, options, case, number))
            rows = [*measurements(runs), *_shares("trials on the busiest host, first sweep", [first])]
            report = Report(benchmark="hosts", title=title, measurements=rows, circumstances=circumstances)
            report.write(options.out)
    finish(report, options.out)


def _bring_data(cluster: Any) -> None:
    """Gives the head the data set's files, which a trial that sleeps never opens, but a sweep wants."""
    there = cluster.hosts.root("h1") / ".keras" / "datasets" / "fashion-mnist"
    there.mkdir(parents=True)
    for file in fashion_mnist.find().iterdir():
        (there / file.name).write_bytes(file.read_bytes())


def _run(cluster: Any, options: Options, case: str, number: int) -> Run:
    """Runs the sweep on the head, and reads its records."""
    results = f"measured/{'cluster' if case == CLUSTER else 'machine'}-{number}"
    flags = ["--results", results, "--seeds", options.trials, "--epochs", options.epochs, "--images", 500]
    flags += ["--scheduler", "none", "--set", f"seconds={options.seconds:g}"]
    flags += ["--slots", _SLOTS] if case == MACHINE else []
    command = ["python", "-m", "benchmarks.programs.no_op_sweep", *map(str, flags)]
    began = time.perf_counter()
    done = cluster.on("h1", *command, timeout=_PATIENCE_SECONDS, **_WHERE[case])
    seconds = time.perf_counter() - began
    if done.returncode:
        raise ProgramFailed(f"{case} ended with code {done.returncode}:\n{done.stdout}{done.stderr}")
    trials = read(cluster.hosts.root("h1") / "layersweep" / results, "trials", columns=["ended_at", "host"])
    ended = sorted(at.timestamp() for at in trials["ended_at"])
    busiest = max(Counter(trials["host"]).values()) / len(ended)
    return Run(seconds=seconds, trial_seconds=pace(ended, _WARM_TRIALS), busiest=busiest)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

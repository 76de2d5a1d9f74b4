"""Three hosts of one slot each against one machine of three slots: the cost of a cluster for a sweep.

Command: `python -m benchmarks.hosts`, as root, with `uv sync --group cluster`. The hosts are network namespaces on this
machine, as in tests/cluster, and `ray up` starts the cluster. Trials sleep, so that hosts do not compete for this
machine's cores. A first sweep on the cluster copies the data to each host; only its last measure is taken. Then the
same sweep runs on the cluster and on its head alone (RAY_ADDRESS=local), in turn, with the same seeds, each time with
an empty results folder:

- seconds of the whole command, with its start;
- milliseconds per trial, from the end of the first trials to the end of the last one: three slots that never wait
  need a third of the time that a trial sleeps;
- the share of trials on the busiest host: one third if all three hosts always work.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import tyro

from benchmarks.overhead import pace
from benchmarks.processes import ROOT, ProgramFailed
from benchmarks.report import Circumstances, Measurement, Readings, ratio, say, to_measurements
from benchmarks.rounds import Rounds, RoundsOptions, timed
from layersweep.records.read import read
from trainables.data.datasets import fashion_mnist

CLUSTER: Final = "three hosts, 1 slot each"
MACHINE: Final = "one machine, 3 slots"
_BUSIEST: Final = "trials on the busiest host"
_SLOTS: Final = 3
_WARM_TRIALS: Final = 2 * _SLOTS
"""The number of first trials that are left out."""

_PATIENCE_SECONDS: Final = 600.0
_WHERE: Final[Mapping[str, Mapping[str, str]]] = {
    MACHINE: {"RAY_ADDRESS": "local"},
    CLUSTER: {"RAY_AUTH_MODE": "token", "RAY_ADDRESS": "10.77.0.11:6379"},
}
"""The environment of a command on the head, by case."""


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    trials: int = 90
    """Trials of each sweep."""
    epochs: int = 4
    """Epochs of a trial."""
    seconds: float = 0.25
    """Seconds that an epoch sleeps."""


def measurements(runs: Mapping[str, Sequence[Readings]], first: Readings) -> Iterator[Measurement]:
    """The rows of the table: each measure of both cases, and the ratio in each round; `first` is the cluster's
    first.
    """
    *times, busiest = zip(*(to_measurements(case, runs[case]) for case in (CLUSTER, MACHINE)), strict=True)
    for pair in times:
        yield from pair
        yield ratio(*pair, case=f"{CLUSTER} / {MACHINE}")
    yield busiest[0]
    yield replace(busiest[0], measure=f"{_BUSIEST}, first sweep", values=[first[_BUSIEST, "share"]])


def main(options: Options) -> None:
    """Starts the cluster, and runs the rounds."""
    sys.path.insert(0, str(ROOT / "tests" / "helpers"))
    import ray_cluster

    if problem := ray_cluster.problem():
        sys.exit(f"no cluster can be made here: {problem}")
    circumstances = Circumstances()
    title = (
        f"{options.trials} trials of {options.epochs} epochs that sleep {options.seconds:g} s each, on three slots: "
        "hosts in network namespaces of this machine, and this machine"
    )
    with tempfile.TemporaryDirectory(prefix="layersweep-hosts-") as folder, ray_cluster.hosts(Path(folder)) as cluster:
        _bring_data(cluster)
        cluster.up("ray up").check_returncode()
        cluster.doctor("doctor", "--wait", "120").check_returncode()
        say("the new cluster's first sweep, which copies the data to each host")
        first = _run(cluster, options, CLUSTER, 0)
        Rounds(
            benchmark="hosts",
            title=title,
            cases=list(_WHERE),
            once=lambda case, number, _: _run(cluster, options, case, number),
            rows=lambda runs: measurements(runs, first),
            circumstances=circumstances,
        ).run(options)


def _bring_data(cluster: Any) -> None:
    """Gives the head the data set's files: a sweep needs them, although a trial that sleeps never opens them."""
    folder = cluster.hosts.root("h1") / ".keras" / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for file in fashion_mnist.find().iterdir():
        (folder / file.name).write_bytes(file.read_bytes())


def _run(cluster: Any, options: Options, case: str, number: int) -> Readings:
    """Runs the sweep on the head, and reads its records."""
    results = f"measured/{'cluster' if case == CLUSTER else 'machine'}-{number}"
    flags = ["--results", results, "--seeds", options.trials, "--epochs", options.epochs, "--images", 500]
    flags += ["--scheduler", "none", "--set", f"seconds={options.seconds:g}"]
    flags += ["--slots", _SLOTS] if case == MACHINE else []
    command = ["python", "-m", "benchmarks.programs.no_op_sweep", *map(str, flags)]
    process, seconds = timed(lambda: cluster.on("h1", *command, timeout=_PATIENCE_SECONDS, **_WHERE[case]))
    if process.returncode:
        raise ProgramFailed(f"{case} ended with code {process.returncode}:\n{process.stdout}{process.stderr}")
    trials = read(cluster.hosts.root("h1") / "layersweep" / results, "trials", columns=["ended_at", "host"])
    end_times = sorted(at.timestamp() for at in trials["ended_at"])
    busiest = max(Counter(trials["host"]).values()) / len(end_times)
    return {
        ("whole command", "s"): seconds,
        ("a trial", "ms"): 1_000 * pace(end_times, _WARM_TRIALS),
        (_BUSIEST, "share"): busiest,
    }


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

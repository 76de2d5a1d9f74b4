"""What a study says of trials that have not ended: while their command runs, after it was killed, and after its end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from recorded_sweep import START, Sweep

from layersweep.records.lock import sweep_lock
from layersweep.records.overview import summaries
from layersweep.studies.recorded_comparison import load

HOLD = "import sys; from pathlib import Path; from layersweep.records.lock import sweep_lock\n"
HOLD += "with sweep_lock(Path(sys.argv[1]), sys.argv[2]): print('held', flush=True); sys.stdin.read()"

RUNNING = "2 trials are still running or waiting."
KILLED = "2 trials are unfinished: run the sweep again to complete them."


@contextmanager
def command(sweep: Sweep) -> Iterator[None]:
    """Another process that holds the sweep's lock."""
    arguments = [sys.executable, "-c", HOLD, str(sweep.results), sweep.name]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.kill()


def record(sweep: Sweep, *, ended: bool = False) -> None:
    sweep.trial("adam", 1, [0.5, 0.7, 0.9])
    for seed in (2, 3):
        sweep.trial("adam", seed, [0.5], None)
    sweep.run()
    if ended:
        sweep.run(event="end", at=START + timedelta(hours=1), outcome="time budget spent")
    sweep.write()


def warnings_of(sweep: Sweep) -> tuple[str, ...]:
    return load(sweep.results, sweep.name)[0].warnings


def test_while_the_command_runs_nobody_is_sent_to_run_it(sweep: Sweep) -> None:
    record(sweep)
    assert KILLED in warnings_of(sweep)
    with command(sweep):
        assert RUNNING in warnings_of(sweep)
    assert KILLED in warnings_of(sweep)


def test_the_list_of_sweeps_says_so_too(sweep: Sweep) -> None:
    record(sweep)
    assert [one.last_outcome for one in summaries(sweep.results)] == ["running or killed"]
    with command(sweep):
        assert [one.last_outcome for one in summaries(sweep.results)] == ["running"]


def test_the_lock_of_what_only_deletes_or_of_this_command_is_none_of_a_running_sweep(sweep: Sweep) -> None:
    record(sweep, ended=True)
    with command(sweep):
        assert KILLED in warnings_of(sweep)
    with sweep_lock(sweep.results, sweep.name):
        assert KILLED in warnings_of(sweep)

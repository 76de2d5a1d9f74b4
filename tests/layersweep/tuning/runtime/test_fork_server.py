"""The fork server: it ends with its owner, is done without where it has died, and its children are as good as new."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import made_up
import psutil
import pytest
import warm_ups

from layersweep.records.values import Epoch, cannot_save
from layersweep.tuning.runtime import fork_server
from layersweep.tuning.worker.training_process import TrainingFailedError, TrainingProcess
from trainables.families.family_code import FamilyCode
from trainables.worker.training_server import Begin

GENEROUS = 8 << 30
SMALL = {"filters_1": 4, "filters_2": 4, "filters_3": 4, "filters_4": 4, "dense_units_1": 8, "dense_units_2": 8}
LEFT_SECONDS = 10


@pytest.fixture
def children():
    """Makes children of a fork server, and ends them."""
    with contextlib.ExitStack() as stack:

        def make(socket, warm_up=made_up.WARM_UP):
            child = TrainingProcess(memory_limit_bytes=GENEROUS, warm_up=warm_up, fork_server=socket)
            stack.callback(child.kill)
            return child

        yield make


@pytest.fixture
def begin(tmp_path):
    data = made_up.data(tmp_path)
    return lambda **config: Begin(
        family=made_up.CODE, config=config, data=data, seed=0, epochs=3, precision="float32",
        log=tmp_path / "trial.log",
    )  # fmt: skip


def servers():
    """The fork servers that this process has started; one that has just begun has no command line for a moment."""
    deadline = time.monotonic() + LEFT_SECONDS
    while True:
        alive = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
        lines = [" ".join(p.cmdline()) for p in alive]
        if all(lines) or time.monotonic() > deadline:
            return [p for p, line in zip(alive, lines, strict=True) if "trainables.worker.fork_server" in line]
        time.sleep(0.01)


def forked(child):
    return "trainables.worker.fork_server" in " ".join(psutil.Process(child.pid).cmdline())


def forked_in_time(child):
    deadline = time.monotonic() + LEFT_SECONDS
    while child.pid is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return child.pid is not None


def gone(pid):
    deadline = time.monotonic() + LEFT_SECONDS
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


def test_several_children_are_forked_at_once_and_serve_on_their_own(children, begin):
    with fork_server.running_server(warm_ups.A_SECOND) as socket:
        waiting = [children(socket) for _ in range(6)]
        for child in waiting:
            child.start()  # all are waiting before the server is ready
        for number, child in enumerate(waiting):
            child.begin(begin(quality=number / 10))
        (server,) = servers()
        pids = {child.pid for child in waiting}
        assert len(pids) == 6
        assert {psutil.Process(pid).ppid() for pid in pids} == {server.pid}
        os.kill(waiting[0].pid, signal.SIGKILL)
        with pytest.raises(TrainingFailedError) as caught:
            waiting[0].next()
        assert "SIGKILL" in caught.value.message
        assert [child.next().val_accuracy for child in waiting[1:]] == [number / 10 / 2 for number in range(1, 6)]
        for child in waiting:
            child.kill()
        assert server.children() == []


def test_waiting_for_the_servers_imports_is_waiting_for_imports(children, begin):
    with fork_server.running_server(warm_ups.A_SECOND) as socket:
        early, late = children(socket), children(socket)
        early.begin(begin())
        seconds_import = early.seconds_import
        late.start()
        assert forked_in_time(late)  # before it is asked
        late.begin(begin())
        early.close()
        early.begin(begin())
    assert late.seconds_import < seconds_import
    assert early.seconds_import == 0.0


def test_a_child_finds_what_a_process_started_afresh_would(children, begin):
    with fork_server.running_server(warm_ups.STREAMS) as socket:
        one = children(socket, warm_ups.STREAMS)
        one.start()
        one.wait_for_hello()
        assert one.hello.device == repr(["/dev/null"] * 3 + [True])
        assert Path(f"/proc/{one.pid}/oom_score_adj").read_text() == "1000\n"
    with fork_server.running_server(warm_ups.STATE) as socket:
        states = set()
        for _ in range(2):
            child = children(socket, warm_ups.STATE)
            child.start()
            child.wait_for_hello()
            states.add(child.hello.device)
        assert len(states) == 2


@pytest.mark.parametrize("when", ["before", "while it imports"])
def test_without_the_server_a_child_is_started_afresh(children, begin, when):
    with fork_server.running_server(warm_ups.SLOW if when == "while it imports" else made_up.WARM_UP) as socket:
        child = children(socket)
        if when == "while it imports":
            child.start()
            assert child.pid is None
        (server,) = servers()
        server.kill()
        server.wait()
        child.begin(begin())
        assert not forked(child)
        assert child.next().epoch == 1


def test_a_child_is_as_nice_as_its_slot(tmp_path):
    """Ray gives its workers 15; the server has what the driver has."""
    code = (
        "import made_up, os, pathlib, psutil, sys\n"
        "from layersweep.tuning.worker.training_process import TrainingProcess\n"
        "os.nice(int(sys.argv[2]))\n"
        "socket = pathlib.Path(sys.argv[1])\n"
        "child = TrainingProcess(memory_limit_bytes=1 << 33, warm_up=made_up.WARM_UP, fork_server=socket)\n"
        "child.start()\n"
        "child.wait_for_hello()\n"
        "process = psutil.Process(child.pid)\n"
        "print(process.nice(), process.ppid() != os.getpid())\n"
        "child.kill()\n"
    )
    with fork_server.running_server(made_up.WARM_UP) as socket:
        result = subprocess.run(
            [sys.executable, "-c", code, str(socket), "3"], check=True, capture_output=True, text=True
        )
    assert result.stdout.split() == [str(os.getpriority(os.PRIO_PROCESS, 0) + 3), "True"]


def test_a_server_with_a_thread_does_not_fork(children, begin):
    with fork_server.running_server(warm_ups.THREADED) as socket:
        child = children(socket)
        child.begin(begin())
        assert not forked(child)


def test_a_child_whose_server_has_died_trains_on_and_is_replaced(children, begin):
    with fork_server.running_server(made_up.WARM_UP) as socket:
        child = children(socket)
        child.begin(begin(misdeed="kill"))
        (server,) = servers()
        server.kill()
        server.wait()
        assert child.next().epoch == 1
        with pytest.raises(TrainingFailedError) as caught:
            child.next()
        assert caught.value.error_type == "ProcessKilled"
        assert "is gone, and so is the fork server" in caught.value.message
        child.begin(begin())
        assert not forked(child)


def test_a_child_that_is_given_up_before_it_was_forked_leaves_nothing(children):
    with fork_server.running_server(warm_ups.A_SECOND) as socket:
        child = children(socket)
        child.start()
        child.kill()
        after = children(socket)
        after.start()
        after.wait_for_hello()
        (server,) = servers()
        deadline = time.monotonic() + LEFT_SECONDS
        while len(server.children()) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [p.pid for p in server.children()] == [after.pid]


@pytest.mark.parametrize("warm_up", ["made_up.WARM_UP", "warm_ups.SLOW"], ids=["at work", "while it imports"])
def test_nothing_outlives_a_driver_that_is_killed(tmp_path, warm_up):
    """Its slots die with it here; the busy child, the server and the folder of its socket are gone seconds later."""
    code = (
        "import made_up, warm_ups, pathlib, psutil, sys, time\n"
        "from layersweep.tuning.runtime import fork_server\n"
        "from layersweep.tuning.worker.training_process import TrainingProcess\n"
        "from trainables.worker.training_server import Begin\n"
        "root = pathlib.Path(sys.argv[1])\n"
        f"with fork_server.running_server({warm_up}) as socket:\n"
        f"    child = TrainingProcess(memory_limit_bytes=1 << 33, warm_up={warm_up}, fork_server=socket)\n"
        f"    if {warm_up} is made_up.WARM_UP:\n"
        "        child.begin(Begin(family=made_up.CODE, config={'misdeed': 'hang'},\n"
        "            data=made_up.data(root), seed=0, epochs=3, precision='float32', log=root / 'log'))\n"
        "        child.next()\n"
        "        child.request_epoch(0)\n"
        "    else:\n"
        "        time.sleep(2)\n"
        "    print(socket, *[p.pid for p in psutil.Process().children(recursive=True)], flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as driver:
        socket, *pids = driver.stdout.readline().split()
        driver.kill()
    assert len(pids) == (2 if "made_up" in warm_up else 1)
    assert all(gone(int(pid)) for pid in pids)
    if "made_up" in warm_up:
        assert not Path(socket).parent.exists()
    else:
        Path(socket).unlink(), Path(socket).parent.rmdir()


def test_the_server_ends_with_its_command_though_it_still_imports():
    """Its imports would take an hour, which is more than this test may."""
    with fork_server.running_server(warm_ups.SLOW) as socket:
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        (server,) = servers()
    assert not psutil.pid_exists(server.pid)
    assert not socket.parent.exists()


def test_a_forked_training_equals_one_started_afresh_in_every_digit(children, fashion_mnist, tmp_path):
    """And the server had one thread when it forked, had done nothing with TensorFlow, and had looked for no GPU."""
    data = replace(fashion_mnist, train_images=100, validation_images=60, test_images=50)
    request = Begin(
        family=FamilyCode.named("fashion_cnn"), config=SMALL, data=data, seed=1, epochs=1,
        precision="float32", log=tmp_path / "log",
    )  # fmt: skip
    with fork_server.running_server(warm_ups.KERAS) as socket:
        both = {"forked": children(socket, warm_ups.KERAS), "started": children(None, warm_ups.KERAS)}
        for child in both.values():
            child.start()
        values = {name: timeless([c.begin(request), c.next(), c.next()]) for name, c in both.items()}
        (server,) = servers()
        assert server.num_threads() == 1
        assert both["forked"].hello.device == "initialised: False, devices: None"
        assert forked(both["forked"])
    assert len(values["forked"][1]) > 500
    assert values["forked"] == values["started"]


def timeless(values):
    """The values as text, every number in all its digits, without times."""
    texts = []
    for value in values[:-1]:
        times = {f.name: 0.0 for f in fields(value) if f.name.startswith("seconds")}
        rest = {"latency": None, "save": cannot_save} if isinstance(value, Epoch) else {}
        texts.append(repr(replace(value, **times, **rest)))
    return [*texts, repr(values[-1])]

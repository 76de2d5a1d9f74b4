"""The process that trains, seen from its owner: started, watched, replaced."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import made_up
import psutil
import pytest

from layersweep.records.values import NetworkSummary
from layersweep.tuning.runtime import fork_server
from layersweep.tuning.worker import trial_log
from layersweep.tuning.worker.training_process import TrainingFailedError, TrainingProcess
from trainables.worker.training_server import Begin, Failure

GENEROUS = 8 << 30


@pytest.fixture
def data(tmp_path):
    return made_up.data(tmp_path)


@pytest.fixture(scope="module")
def server():
    with fork_server.running_server(made_up.WARM_UP) as socket:
        yield socket


@pytest.fixture(params=["forked", "started"])
def way(request, server):
    """The socket of a fork server, or none: whatever holds of a child holds both ways."""
    return server if request.param == "forked" else None


@pytest.fixture
def child(way):
    made = TrainingProcess(memory_limit_bytes=GENEROUS, warm_up=made_up.WARM_UP, fork_server=way)
    yield made
    made.kill()


def begin(data, tmp_path, epochs=3, **config):
    return Begin(
        family=made_up.CODE,
        config=config,
        data=data,
        seed=0,
        epochs=epochs,
        precision="float32",
        log=tmp_path / "trial.log",
    )


def test_a_training_is_served_value_by_value(child, data, tmp_path):
    built = child.begin(begin(data, tmp_path))
    assert isinstance(built, NetworkSummary)
    assert child.hello.device == "made-up device"
    epochs = [child.next(), child.next(), child.next()]
    assert [e.epoch for e in epochs] == [1, 2, 3]
    assert [e.val_accuracy for e in epochs] == [0.5 / 2, 0.5 * 2 / 3, 0.5 * 3 / 4]
    assert child.next() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_leaves_signals_to_the_driver(child, data, tmp_path, number):
    """A Ray job that is stopped sends SIGTERM to all that its driver has started."""
    child.begin(begin(data, tmp_path))
    os.kill(child.pid, number)
    assert [child.next().epoch, child.next().epoch] == [1, 2]


def test_an_epoch_may_be_asked_for_and_taken_later(child, data, tmp_path):
    child.begin(begin(data, tmp_path))
    assert child.request_epoch(60)
    assert child.epoch_requested
    assert child.request_epoch(60), "asked for once"
    assert [child.next().epoch, child.next().epoch] == [1, 2]
    assert not child.epoch_requested


def test_an_epoch_that_does_not_come_soon_is_waited_for(child, data, tmp_path):
    child.begin(begin(data, tmp_path, seconds=1.0))
    assert not child.request_epoch(0.05)
    assert child.next().epoch == 1


def test_a_death_comes_soon_and_is_told_by_next(child, data, tmp_path):
    child.begin(begin(data, tmp_path, misdeed="kill"))
    child.next()
    assert child.request_epoch(60)
    with pytest.raises(TrainingFailedError) as death:
        child.next()
    assert death.value.error_type == "ProcessKilled"
    assert isinstance(child.begin(begin(data, tmp_path)), NetworkSummary)
    assert not child.epoch_requested


def test_a_training_is_closed_while_an_epoch_is_asked_for(child, data, tmp_path, monkeypatch):
    child.begin(begin(data, tmp_path))
    first = child.pid
    child.request_epoch(0)
    child.close()
    assert child.pid == first
    child.begin(begin(data, tmp_path, misdeed="hang"))
    child.next()
    child.request_epoch(0)
    monkeypatch.setattr("layersweep.tuning.worker.training_process._CLOSE_SECONDS", 0.1)
    child.close()
    assert child.pid is None
    assert isinstance(child.begin(begin(data, tmp_path)), NetworkSummary)


def test_one_process_serves_many_trainings(child, data, tmp_path):
    child.begin(begin(data, tmp_path))
    first = child.pid
    child.next()
    child.close()  # in the middle, as ASHA does
    assert isinstance(child.begin(begin(data, tmp_path)), NetworkSummary)
    assert child.pid == first
    assert child.next().epoch == 1


def test_a_process_that_has_grown_is_replaced_between_trainings(child, data, tmp_path):
    child.begin(begin(data, tmp_path))
    first = child.pid
    child.close()
    child._first_memory = -(1 << 40)  # as if it had held nothing after its first training
    child.begin(begin(data, tmp_path))
    child.close()
    assert child.pid is None
    assert child.hello is None
    child.begin(begin(data, tmp_path))
    assert child.pid != first


def test_an_epoch_that_crossed_the_pipe_cannot_save(child, data, tmp_path):
    child.begin(begin(data, tmp_path))
    with pytest.raises(RuntimeError, match="holds no model"):
        child.next().save(tmp_path / "x")


def test_an_error_is_told_with_its_traceback_and_logged(child, data, tmp_path):
    child.begin(begin(data, tmp_path, misdeed="raise"))
    child.next()
    with pytest.raises(TrainingFailedError) as caught:
        child.next()
    assert caught.value.error_type == "ValueError"
    assert caught.value.message == "made to fail\nwith a second line"
    assert "made_up.py" in caught.value.traceback
    assert "made to fail" in (tmp_path / "trial.log").read_text()


def test_of_a_long_error_the_beginning_of_its_message_and_the_end_of_its_traceback_are_told():
    try:
        raise ValueError("first" + "x" * 10_000_000 + "last")
    except ValueError as error:
        failure = Failure.of(error)
    assert failure.message.startswith("first")
    assert failure.traceback.endswith("last\n")
    assert len(failure.message) == len(failure.traceback) == 1 << 16


def test_after_an_error_the_next_training_gets_a_new_process(child, data, tmp_path):
    child.begin(begin(data, tmp_path, misdeed="raise"))
    child.next()
    with pytest.raises(TrainingFailedError):
        child.next()
    assert isinstance(child.begin(begin(data, tmp_path)), NetworkSummary)


@pytest.mark.parametrize(
    ("misdeed", "error_type", "words"),
    [("kill", "ProcessKilled", "SIGKILL"), ("exit", "ProcessExited", "code 3")],
)
def test_a_death_has_a_reason(child, data, tmp_path, misdeed, error_type, words):
    child.begin(begin(data, tmp_path, misdeed=misdeed))
    child.next()
    with pytest.raises(TrainingFailedError) as caught:
        child.next()
    assert caught.value.error_type == error_type
    assert words in caught.value.message


def test_memory_beyond_the_share_ends_the_process_with_both_numbers(data, tmp_path, way):
    child = TrainingProcess(memory_limit_bytes=600 << 20, warm_up=made_up.WARM_UP, fork_server=way)
    child.begin(begin(data, tmp_path, misdeed="memory"))
    child.next()
    pid = child.pid
    with pytest.raises(TrainingFailedError) as caught:
        child.next()
    assert caught.value.error_type == "OutOfMemory"
    assert "share is 0.6 GiB" in caught.value.message
    assert not psutil.pid_exists(pid)
    assert child.memory_peak_bytes > 600 << 20


def test_what_a_training_prints_is_in_its_log_and_a_silent_one_leaves_none(child, data, tmp_path):
    child.begin(begin(data, tmp_path, misdeed="talk"))
    child.next(), child.next()
    child.close()
    assert (tmp_path / "trial.log").read_text() == "something was said\n"
    (tmp_path / "trial.log").unlink()
    child.begin(begin(data, tmp_path))
    child.close()
    assert not (tmp_path / "trial.log").exists()


def test_a_training_does_not_fail_for_want_of_a_log(child, data, tmp_path):
    """A disk that is full or read-only ends the sweep where rows are written, not trial after trial."""
    (tmp_path / "no folder").touch()
    for log in (tmp_path / "no folder" / "trial.log", Path("/proc/trial.log")):
        child.begin(replace(begin(data, tmp_path, misdeed="talk"), log=log))
        assert [child.next().epoch, child.next().epoch] == [1, 2]
        child.close()


def test_of_what_a_training_prints_without_end_the_end_stays(child, data, tmp_path, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.worker.trial_log.cut.__defaults__", (2 << 20,))
    child.begin(begin(data, tmp_path, misdeed="shout"))
    child.next(), child.next()
    child.close()
    log = tmp_path / "trial.log"
    files = [path for path in (trial_log.earlier(log), log) if path.exists()]
    assert sum(path.stat().st_size for path in files) < made_up.SHOUTED_LINES << 9  # half of what was printed
    _, *numbers = [int(line) for path in files for line in path.read_text().splitlines() if line.strip()]
    assert numbers == sorted(numbers)
    assert numbers[-1] == made_up.SHOUTED_LINES - 1


def test_a_training_that_hangs_can_be_killed(child, data, tmp_path):
    child.begin(begin(data, tmp_path, misdeed="hang"))
    child.next()
    assert not child.request_epoch(0.2)
    pid = child.pid
    child.kill()
    assert not psutil.pid_exists(pid)


def test_a_child_dies_with_its_slot(tmp_path, way):
    """A slot that is killed cannot say goodbye: its child, though busy, is gone seconds later."""
    import subprocess
    import sys

    code = (
        "import made_up, sys, time, pathlib\n"
        "from layersweep.tuning.worker.training_process import TrainingProcess\n"
        "from trainables.data.dataset import Data\n"
        "from trainables.worker.training_server import Begin\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "data = Data(name='none', folder=root, fingerprint='0', classes=('a',), image_shape=(1, 1, 1),"
        " train_images=1, validation_images=1, test_images=1, majority_share=1.0)\n"
        "way = pathlib.Path(sys.argv[2]) if sys.argv[2:] else None\n"
        "child = TrainingProcess(memory_limit_bytes=1 << 33, warm_up=made_up.WARM_UP, fork_server=way)\n"
        "child.begin(Begin(family=made_up.CODE, config={'misdeed': 'hang'}, data=data, seed=0, epochs=3,"
        " precision='float32', log=root / 'log'))\n"
        "child.next()\n"
        "child.request_epoch(0)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    arguments = [str(tmp_path), *([str(way)] if way else [])]
    parent = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    with parent:
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(pid)

"""A trial's log that has grown too long."""

import os

import pytest

from layersweep.tuning.worker import trial_log


def lines(first, last):
    return "".join(f"line {number:04}\n" for number in range(first, last))


def test_a_log_within_the_bound_stays(tmp_path):
    log = tmp_path / "trial.log"
    log.write_text(lines(0, 10))
    trial_log.cut(log, most_bytes=200)
    assert log.read_text() == lines(0, 10)
    assert not trial_log.earlier(log).exists()


def test_the_end_stays_and_a_process_that_appends_goes_on(tmp_path):
    log = tmp_path / "trial.log"
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for first in (0, 100):
        os.write(handle, lines(first, first + 100).encode())
        trial_log.cut(log, most_bytes=200)
    os.write(handle, lines(200, 201).encode())
    os.close(handle)
    assert trial_log.earlier(log).read_text() == lines(190, 200)
    assert log.read_text() == lines(200, 201)


@pytest.mark.parametrize("content", [None, "folder"])
def test_a_log_that_is_none_is_left_alone(tmp_path, content):
    log = tmp_path / "trial.log"
    if content is not None:
        log.mkdir()
        (log / "a file").write_text("x")
    trial_log.cut(log, most_bytes=0)
    assert log.exists() == (content is not None)

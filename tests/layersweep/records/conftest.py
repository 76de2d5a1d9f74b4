"""Fixtures of the records' tests."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture
def results(tmp_path):
    """A results folder, in memory where there is such a place: a busy disk may take seconds to sync a file."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else tmp_path) as folder:
        yield Path(folder) / "results"


class EndlessWriter:
    """A process that appends epochs 0, 1, 2, … of sweep `s`, until it is killed with signal 9, wherever it is."""

    def __init__(self, process):
        self._process = process

    @contextmanager
    def running(self, results, first=0, rows=3):
        """From its first flush on to its death; gives the list of the epochs that it says to be durable."""
        self._process.stdin.write(f"{first} {rows} {results}\n")
        self._process.stdin.flush()
        pid, written_numbers = int(self._line()), [int(self._line())]
        try:
            yield written_numbers
        finally:
            os.kill(pid, signal.SIGKILL)
            while (line := self._line()) != "dead":
                written_numbers.append(int(line))

    def _line(self):
        line = self._process.stdout.readline()
        assert line.endswith("\n"), f"the process that starts the writers has ended: {self._process.wait()}"
        return line.strip()


@pytest.fixture(scope="session")
def endless_writer():
    command = [sys.executable, Path(__file__).parent / "endless_writer.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield EndlessWriter(process)
        process.stdin.close()

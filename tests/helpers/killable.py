"""A sweep's command as a process that tests may kill, with all that it has started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from layersweep.records.read import read

SCRIPT = Path(__file__).parent / "made_up_sweep.py"
ALWAYS = ("--images", "10")
SLOTS = 2
RAY = ("gcs_server", "raylet")
started = []


def command(results, *arguments, slots=SLOTS, script=SCRIPT):
    return [sys.executable, str(script), "--results", str(results), *ALWAYS, "--slots", str(slots), *arguments]


def run(results, *arguments, environment=None):
    return subprocess.run(
        command(results, *arguments), check=False, capture_output=True, text=True, timeout=280,
        env=os.environ | (environment or {}),
    )  # fmt: skip


def epochs(results):
    return read(results, "epochs").height


class Running:
    """A command at work."""

    def __init__(self, results, *arguments, slots=SLOTS, environment=None, script=SCRIPT):
        self.results, self.began = results, time.monotonic()
        self.before = epochs(results)
        self.said = results.with_name("said.txt")
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                command(results, *arguments, slots=slots, script=script), stdout=said, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env=os.environ | (environment or {}),
            )  # fmt: skip
        started.append(self.process)
        self.seen = {}

    def more(self, number, seconds=200):
        """Waits until so many epochs more are recorded than before the command; returns the seconds since its start."""
        self.until(lambda: epochs(self.results) >= self.before + number, seconds)
        return time.monotonic() - self.began

    def until(self, happened, seconds=200):
        deadline = time.monotonic() + seconds
        while not happened():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.2)
        self.tree()

    def tree(self):
        """The driver and all processes below it, as of now."""
        found = [psutil.Process(self.process.pid)]
        found += found[0].children(recursive=True)
        self.seen |= {(p.pid, p.create_time()): p for p in found}
        return found

    def children(self):
        """The processes that train."""
        return [p for p in self.tree() if trains(p)]

    def ray(self):
        return [p for p in self.tree() if p.name() in RAY]

    def kill(self):
        """Kills the driver; returns what it had said."""
        self.tree()
        self.process.kill()
        return self.wait(expected=-signal.SIGKILL)

    def wait(self, expected, seconds=200):
        """Waits for the end; returns what was said."""
        try:
            code = self.process.wait(seconds)
        finally:
            self.process.kill()
        said = self.said.read_text()
        assert code == expected, said
        return said

    def left(self, seconds=100):
        """What is left of its processes after a while: Ray's agent may look for its GCS for a minute before it ends."""
        deadline = time.monotonic() + seconds
        while (left := [p for p in self.seen.values() if alive(p)]) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left


def trains(process):
    """Whether it is a training process: started by a slot, or forked by the fork server, whose command it shows."""
    with contextlib.suppress(psutil.NoSuchProcess):
        command = " ".join(process.cmdline())
        return "trainables.worker.training_server" in command or (
            "trainables.worker.fork_server" in command and process.parent().cmdline() == process.cmdline()
        )
    return False


def slot_of(child):
    """The process of its slot: its parent, or the other one beside the fork server that holds a pidfd of it.

    Soon after the fork none does yet: the server hands it over once the child exists.
    """
    parent = child.parent()
    if "trainables.worker.fork_server" not in " ".join(child.cmdline()):
        return parent
    deadline = time.monotonic() + 30
    while not (found := [p for p in psutil.process_iter() if p != parent and child.pid in watched(p)]):
        assert alive(child), child
        assert time.monotonic() < deadline, f"no slot watches {child}"
        time.sleep(0.05)
    return found[0]


def watched(process):
    """The processes of which it holds a pidfd."""
    found = set()
    with contextlib.suppress(OSError):
        for info in Path(f"/proc/{process.pid}/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                lines = dict(line.split(":\t", 1) for line in info.read_text().splitlines() if ":\t" in line)
                found.add(int(lines.get("Pid", -1)))
    return found


def alive(process):
    """Whether it runs; what has ended and waits for its parent to say goodbye does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

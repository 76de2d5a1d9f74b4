"""The process that trains, seen from the slot that owns it: started, asked, watched and replaced here.

Whatever happens to it (an error, a kill, memory running out) is a `TrainingFailedError` with a reason, never a lost sweep.
"""

import contextlib
import signal
import time
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import psutil

from layersweep.records.values import Built, Epoch
from layersweep.tuning.runtime.processes import Process, end, fork, start
from layersweep.words import GIB, gib
from trainables.worker.training_server import CLOSE, NEXT, Begin, Failure, Hello, Reply, Save, WarmUp, memory_bytes

_WATCH_SECONDS: Final = 0.1
_FAREWELL_SECONDS: Final = 10.0
_GROWTH_BYTES: Final = GIB
_GROWTH_SHARE: Final = 0.6
"""A process that holds 1 GiB more after a trial than after its first one, or this share of what it may use, is
replaced: Keras leaks, and the next trial must not pay for it."""


@dataclass(frozen=True, kw_only=True)
class TrainingFailedError(Exception):
    """The process is gone: an error in the training, a signal, or memory beyond its share."""

    error_type: str
    message: str
    traceback: str = ""


class TrainingProcess:
    """Owns one training process at a time.

    Args:
        memory_limit_bytes: resident memory beyond which the process is killed, so that the other slots live on.
        warm_up: what the process does first, while the caller goes on.
        fork_server: the socket of a fork server; without one that answers, each process is started afresh.

    Attributes:
        hello: what the present process has said of itself; None before its imports are done.
        memory_peak_bytes: the most that was seen of the present training.
        seconds_import: how long the last `begin` waited for a process that was ready.
        asked: whether it is at work on an epoch that `soon` asked for and that nobody has taken yet.
    """

    def __init__(self, *, memory_limit_bytes: int, warm_up: WarmUp, fork_server: Path | None = None) -> None:
        self._warm_up = warm_up
        self._fork_server = fork_server
        self._limit = memory_limit_bytes
        self._process: Process | None = None
        self._pipe: Connection | None = None
        self._first_memory: int | None = None
        self._memory = 0
        self._busy = False
        self._deadline: float | None = None
        self._timeout: float | None = None
        self.asked = False
        self.hello: Hello | None = None
        self.memory_peak_bytes = 0
        self.seconds_import = 0.0

    def start(self) -> None:
        """Starts the process if none runs, by a fork where it can; it warms up while the caller goes on."""
        if self._process is None:
            self._start(self._fork_server)

    def _start(self, fork_server: Path | None) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = (fork(fork_server, theirs) if fork_server else None) or start(theirs)
        self.hello, self._first_memory, self._busy, self.asked = None, None, False, False
        with contextlib.suppress(OSError):  # it is gone already: the next answer says so
            self._pipe.send(self._warm_up)

    @property
    def pid(self) -> int | None:
        """Of the process; None where there is none, or it waits to be forked."""
        return None if self._process is None else self._process.pid

    def wait_for_hello(self) -> float:
        """Waits until the process has done its imports; returns the seconds."""
        began = time.perf_counter()
        hello = self._receive()
        assert isinstance(hello, Hello)
        self.hello = hello
        return time.perf_counter() - began

    def begin(self, request: Begin, *, timeout: float | None = None) -> Built:
        """Starts a training, which is killed if it is not closed so many seconds later; imports do not count.

        Raises:
            TrainingFailedError: if the process died.
        """
        self._deadline, self._timeout = None, timeout
        self.start()
        self.memory_peak_bytes = 0
        self.seconds_import = self.wait_for_hello() if self.hello is None else 0.0
        self._deadline = None if timeout is None else time.monotonic() + timeout  # a machine's sleep does not count
        value = self._ask(request).value
        assert isinstance(value, Built), f"a training must yield Built first, not {type(value).__name__}"
        return value

    def next(self) -> Epoch | None:
        """The training's next epoch; None after its last.

        Raises:
            TrainingFailedError: if the process died.
        """
        if not self.asked:
            self._send(NEXT)
        self.asked = False
        value = self._answer().value
        assert value is None or isinstance(value, Epoch), "a training must yield Built only once"
        return value

    def soon(self, seconds: float) -> bool:
        """Asks for the next epoch; whether `next` gives it, or why there is none, within so many seconds."""
        assert self._pipe is not None, "begin a training first"
        if not self.asked:
            self._send(NEXT)
            self.asked = True
        return self._pipe.poll(max(0.0, seconds))

    def save(self, path: Path) -> str | None:
        """Writes a checkpoint of the last epoch; returns why it could not, if so.

        Raises:
            TrainingFailedError: if the process died.
        """
        return self._ask(Save(path=path)).problem

    def close(self) -> None:
        """Ends the training, if one was begun, and the process as well if it has grown, or is long at work."""
        if self._process is None or self.hello is None:
            return
        if self.asked and not self.soon(_FAREWELL_SECONDS):
            self.kill()
            return
        try:
            if self.asked:
                self.next()
            self._deadline = None
            reply = self._ask(CLOSE)
        except TrainingFailedError:
            return
        if self._first_memory is None:
            self._first_memory = reply.memory_bytes
        if reply.memory_bytes > min(self._first_memory + _GROWTH_BYTES, _GROWTH_SHARE * self._limit):
            self.kill()

    def kill(self) -> None:
        """Ends the process: an idle one goes in order when its pipe closes, one that is at work is killed."""
        if self._process is None or self._pipe is None:
            return
        self._pipe.close()
        end(self._process, within=0 if self._busy or self.hello is None else _FAREWELL_SECONDS)
        self._process = self._pipe = self.hello = None
        self.asked = False

    def _ask(self, message: Begin | Save | str) -> Reply:
        self._send(message)
        return self._answer()

    def _send(self, message: Begin | Save | str) -> None:
        assert self._pipe is not None, "begin a training first"
        with contextlib.suppress(OSError):  # it died meanwhile: what it said last is still in the pipe
            self._pipe.send(message)
        self._busy = True

    def _answer(self) -> Reply:
        reply = self._receive()
        self._busy = False
        assert isinstance(reply, Reply)
        self._note_memory(reply.memory_bytes)
        return reply

    def _receive(self) -> Reply | Hello:
        assert self._pipe is not None
        while not self._pipe.poll(_WATCH_SECONDS):
            self._check_memory()
            self._check_time()
        try:
            word = self._pipe.recv()
        except (EOFError, ConnectionError):
            if self._never_forked():
                self.kill()
                self._start(None)
                return self._receive()
            raise self._death() from None
        if isinstance(word, Failure):
            self._busy = False  # it has said its last word and goes by itself
            self.kill()
            raise TrainingFailedError(error_type=word.error_type, message=word.message, traceback=word.traceback)
        assert isinstance(word, Reply | Hello)
        return word

    def _never_forked(self) -> bool:
        """Whether the fork server has died, or refused, before it made this process."""
        assert self._process is not None
        self._process.wait()
        return self._process.pid is None

    def _check_memory(self) -> None:
        assert self._process is not None
        pid = self._process.pid
        if pid is None:
            return
        try:
            used = memory_bytes(psutil.Process(pid))
        except psutil.NoSuchProcess:
            return
        self._note_memory(used)
        if used > self._limit:
            self.kill()
            raise TrainingFailedError(
                error_type="OutOfMemory",
                message=f"the training used {gib(used)}; a slot's share is {gib(self._limit)}: "
                "use a smaller batch_size or fewer --slots",
            )

    def _check_time(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.kill()
            raise TrainingFailedError(
                error_type="TimedOut", message=f"the training took longer than --trial-timeout, {self._timeout:g} s"
            )

    def _note_memory(self, used: int) -> None:
        self._memory = used or self._memory  # a process that has just died holds nothing
        self.memory_peak_bytes = max(self.memory_peak_bytes, used)

    def _death(self) -> TrainingFailedError:
        assert self._process is not None
        code = self._process.wait()
        self.kill()
        if code is not None and code >= 0:
            return TrainingFailedError(
                error_type="ProcessExited", message=f"the training process ended with code {code}"
            )
        killed = "" if code is None else f"was killed by {signal.Signals(-code).name}"
        how = killed or "is gone, and so is the fork server, which would know why"
        used = f"it used {gib(self._memory)} when last seen"
        return TrainingFailedError(error_type="ProcessKilled", message=f"the training process {how}; {used}")

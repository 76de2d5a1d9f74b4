"""The process that trains, on the side of the slot that owns it: started, asked, watched and replaced here.

Whatever happens to it (an error, a kill, a lack of memory) becomes a `TrainingFailedError` with a reason, and never
ends the sweep. An error in a training ends its process: what an exception left behind in TensorFlow is not trusted, and
a new process costs a tenth of a second.
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

from layersweep.formatting import GIB, gib
from layersweep.records.values import Epoch, NetworkSummary
from layersweep.tuning.runtime.processes import Process, end, fork, start
from layersweep.tuning.worker import trial_log
from trainables.worker.training_server import CLOSE, NEXT, Begin, Failure, Hello, Reply, Save, WarmUp, memory_bytes

_WATCH_SECONDS: Final = 0.1
_CLOSE_SECONDS: Final = 10.0
_GROWTH_BYTES: Final = GIB
_GROWTH_SHARE: Final = 0.6
"""A process that holds 1 GiB more after a trial than after its first one, or this share of its limit, is replaced:
Keras leaks memory, and the next trial must not pay for that."""


@dataclass(frozen=True, kw_only=True)
class TrainingFailedError(Exception):
    """The training failed: an error in it, a signal, or memory beyond the slot's share."""

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
        memory_peak_bytes: the most memory that was measured during the present training.
        seconds_import: how long the last `begin` waited until the process was ready.
        epoch_requested: whether it works on an epoch that `request_epoch` asked for and that `next` has not returned.
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
        self._log: Path | None = None
        self._deadline: float | None = None
        self._timeout: float | None = None
        self.epoch_requested = False
        self.hello: Hello | None = None
        self.memory_peak_bytes = 0
        self.seconds_import = 0.0

    def start(self) -> None:
        """Starts the process if none runs, by a fork if possible; it does its imports while the caller goes on."""
        if self._process is None:
            self._start(self._fork_server)

    def _start(self, fork_server: Path | None) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = (fork(fork_server, theirs) if fork_server else None) or start(theirs)
        self.hello, self._first_memory, self._busy, self.epoch_requested = None, None, False, False
        with contextlib.suppress(OSError):  # if it is gone already, the next answer says so
            self._pipe.send(self._warm_up)

    @property
    def pid(self) -> int | None:
        """The process id; None without a process, or if it is not forked yet."""
        return None if self._process is None else self._process.pid

    def wait_for_hello(self) -> float:
        """Waits until the process has done its imports; returns the seconds."""
        start = time.perf_counter()
        hello = self._receive()
        assert isinstance(hello, Hello)
        self.hello = hello
        return time.perf_counter() - start

    def begin(self, request: Begin, *, timeout: float | None = None) -> NetworkSummary:
        """Starts a training. It is killed if it is not closed `timeout` seconds later.

        Neither imports nor a machine's sleep count.

        Raises:
            TrainingFailedError: if the process died.
        """
        self._deadline, self._timeout = None, timeout
        self.start()
        self.memory_peak_bytes = 0
        self.seconds_import = self.wait_for_hello() if self.hello is None else 0.0
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._log = request.log
        value = self._ask(request).value
        assert isinstance(value, NetworkSummary), (
            f"a training must yield NetworkSummary first, not {type(value).__name__}"
        )
        return value

    def next(self) -> Epoch | None:
        """The training's next epoch; None after its last.

        Raises:
            TrainingFailedError: if the process died.
        """
        if not self.epoch_requested:
            self._send(NEXT)
        self.epoch_requested = False
        value = self._answer().value
        assert value is None or isinstance(value, Epoch), "a training must yield NetworkSummary only once"
        return value

    def request_epoch(self, seconds: float) -> bool:
        """Asks for the next epoch; returns whether `next` has an answer within so many seconds."""
        assert self._pipe is not None, "begin a training first"
        if not self.epoch_requested:
            self._send(NEXT)
            self.epoch_requested = True
        return self._pipe.poll(max(0.0, seconds))

    def save(self, path: Path) -> str | None:
        """Writes a checkpoint of the last epoch; returns why it could not, if so.

        Raises:
            TrainingFailedError: if the process died.
        """
        return self._ask(Save(path=path)).problem

    def close(self) -> None:
        """Ends the training, if one was begun. Ends the process as well if it has grown, or does not answer in time."""
        if self._process is None or self.hello is None:
            return
        if self.epoch_requested and not self.request_epoch(_CLOSE_SECONDS):
            self.kill()
            return
        try:
            if self.epoch_requested:
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
        """Ends the process: an idle one ends when its pipe closes, a busy one is killed."""
        if self._process is None or self._pipe is None:
            return
        self._pipe.close()
        end(self._process, within=0 if self._busy or self.hello is None else _CLOSE_SECONDS)
        self._process = self._pipe = self.hello = None
        self.epoch_requested = False

    def _ask(self, message: Begin | Save | str) -> Reply:
        self._send(message)
        return self._answer()

    def _send(self, message: Begin | Save | str) -> None:
        assert self._pipe is not None, "begin a training first"
        with contextlib.suppress(OSError):  # if it died meanwhile, its last message is still in the pipe
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
            self._cut_log()
        self._cut_log()
        try:
            message = self._pipe.recv()
        except (EOFError, ConnectionError):
            if self._was_never_forked():
                self.kill()
                self._start(None)
                return self._receive()
            raise self._failure() from None
        if isinstance(message, Failure):
            self._busy = False  # this was its last message, and it ends by itself
            self.kill()
            raise TrainingFailedError(
                error_type=message.error_type, message=message.message, traceback=message.traceback
            )
        assert isinstance(message, Reply | Hello)
        return message

    def _was_never_forked(self) -> bool:
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
                "use a smaller image_size or batch_size, or fewer --slots",
            )

    def _check_time(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.kill()
            raise TrainingFailedError(
                error_type="TimedOut", message=f"the training took longer than --trial-timeout, {self._timeout:g} s"
            )

    def _cut_log(self) -> None:
        if self._log is not None:
            trial_log.cut(self._log)

    def _note_memory(self, used: int) -> None:
        self._memory = used or self._memory  # a process that has just died has none
        self.memory_peak_bytes = max(self.memory_peak_bytes, used)

    def _failure(self) -> TrainingFailedError:
        assert self._process is not None
        code = self._process.wait()
        self.kill()
        if code is not None and code >= 0:
            return TrainingFailedError(
                error_type="ProcessExited", message=f"the training process ended with code {code}"
            )
        killed = "" if code is None else f"was killed by {signal.Signals(-code).name}"
        how = killed or "is gone, and so is the fork server, which would know why"
        memory = f"it used {gib(self._memory)} at the last measurement"
        return TrainingFailedError(error_type="ProcessKilled", message=f"the training process {how}; {memory}")

"""Serves trainings over a pipe to the slot that owns this process: `main(descriptor)`, or `serve` in a forked process.

The slot sends a `WarmUp`, and gets a `Hello`. Then, for each training, it sends `Begin`, a `NEXT` for each epoch,
`Save` when a checkpoint is due, and `CLOSE`; each gets one `Reply`. After an error the process sends a `Failure` and
ends, because its state is not safe for another training.
"""

import contextlib
import dataclasses
import gc
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from layersweep.records.files import make_folder, sync
from layersweep.records.values import Epoch, NetworkSummary, cannot_save
from trainables import config as domains
from trainables.data.dataset import Data
from trainables.families.family_code import FamilyCode

if TYPE_CHECKING:
    import psutil

NEXT: Final = "next"
CLOSE: Final = "close"
_GRACE_SECONDS: Final = 1.0
_MOST_CHARACTERS: Final = 1 << 16
"""Of an error's message so much of the beginning is sent and recorded, of its traceback so much of the end."""

Values = Iterator[NetworkSummary | Epoch]


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """What a process does before its first training: two functions of a module.

    Attributes:
        imports: imports the packages that trainings need. It starts no thread, runs no TensorFlow operation and does
            not look for a GPU, so that processes may be forked after it.
        device: returns the name of the device that trains; it is called in the training process.
    """

    imports: Callable[[], None]
    device: Callable[[], str]


@dataclass(frozen=True, kw_only=True)
class Begin:
    """Starts a training of a family with the values of a configuration; its output goes to the file `log`.

    The training continues from the checkpoint `start`, or starts with the weights of `parent`, if one is given. With
    `lite` LiteRT converts its network at the end.
    """

    family: FamilyCode
    config: Mapping[str, Any]
    data: Data
    seed: int
    epochs: int
    precision: str
    log: Path
    start: Path | None = None
    parent: Path | None = None
    lite: bool = False

    def values(self) -> Values:
        """Calls `train`: the training, as an iterator."""
        options = {name: getattr(self, name) for name in ("seed", "epochs", "precision", "start")}
        further_options = {name: getattr(self, name) for name in ("parent", "lite") if getattr(self, name)}
        config = domains.make(self.family.Config, self.config)
        return self.family.train(config, self.data, **options, **further_options)


@dataclass(frozen=True, kw_only=True)
class Save:
    """Requests a checkpoint of the last epoch, written to `path` whole or not at all."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A training's next value (None if it has ended or is closed), and the memory of the process.

    `problem` is the reason why a checkpoint could not be written; the training continues.
    """

    value: NetworkSummary | Epoch | None
    memory_bytes: int
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The first message: the imports are done."""

    device: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The last message of a process whose training raised an error."""

    error_type: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The message for an error."""
        text = "".join(traceback.format_exception(error))
        message = str(error)
        return cls(
            error_type=type(error).__name__, message=message[:_MOST_CHARACTERS], traceback=text[-_MOST_CHARACTERS:]
        )


def main(descriptor: int) -> None:
    """Serves over the pipe with this descriptor."""
    serve(Connection(descriptor))


def serve(pipe: Connection) -> None:
    """Serves until the pipe is closed."""
    end_of_service = threading.Event()
    _behave_as_a_child(pipe, end_of_service)
    warm_up: WarmUp = pipe.recv()
    warm_up.imports()
    gc.collect()
    gc.freeze()  # imported objects are never freed: later collections skip them
    pipe.send(Hello(device=warm_up.device()))
    training: Values = iter(())
    value: NetworkSummary | Epoch | None = None
    log = None
    with contextlib.suppress(EOFError):
        while True:
            message = pipe.recv()
            if isinstance(message, Save):
                pipe.send(_reply(None, _save(value, message.path)))
                continue
            if isinstance(message, Begin):
                log = message.log
                _redirect(log)
                training = message.values()
            value = None if message == CLOSE else next(training, None)
            if message == CLOSE:
                training = _close_training(training, log)
            pipe.send(_reply(value))
    end_of_service.set()
    _drop_if_empty(log)


def _save(value: NetworkSummary | Epoch | None, path: Path) -> str | None:
    """Writes a checkpoint to a new file, syncs it and renames it; returns the problem (such as a full disk) or None."""
    if not isinstance(value, Epoch) or value.save is cannot_save:
        return None
    new_file = path.with_name(f".{path.name}")  # Keras needs the suffix
    try:
        make_folder(path.parent)
        value.save(new_file)
        sync(new_file)
        new_file.rename(path)
        sync(path.parent)  # before the slot deletes the checkpoints that this one replaces
    except OSError as error:
        with contextlib.suppress(OSError):
            new_file.unlink(missing_ok=True)
        return f"no checkpoint could be written to {path.parent}: {error.strerror or error}"
    return None


def _close_training(training: Values, log: Path | None) -> Values:
    """Frees a training's memory, and its log if that is empty. Returns a training that has ended.

    The idle model in `trainables.training.traced_models` stays for the next training.
    """
    getattr(training, "close", lambda: None)()
    del training
    gc.collect()
    _drop_if_empty(log)
    return iter(())


def _drop_if_empty(log: Path | None) -> None:
    with contextlib.suppress(OSError):  # it costs only space, and `layersweep records prune` frees it
        if log is not None and log.exists() and log.stat().st_size == 0:
            log.unlink()


def _reply(value: NetworkSummary | Epoch | None, problem: str | None = None) -> Reply:
    import psutil  # imported here, because a laptop that follows a sweep does not have it

    if isinstance(value, Epoch):  # a bound method of the model cannot be pickled
        value = dataclasses.replace(value, save=cannot_save)
    return Reply(value=value, memory_bytes=memory_bytes(psutil.Process()), problem=problem)


def memory_bytes(process: "psutil.Process") -> int:
    """A process' memory without mapped files, which the system frees when memory is short."""
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def _redirect(log: Path) -> None:
    """Sends this process' output to a file from now on; nowhere if the disk is full or read-only.

    A trial does not fail for want of its log: if the disk refuses the records too, the driver ends the sweep.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        handle = os.open(os.devnull, os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _behave_as_a_child(pipe: Connection, end_of_service: threading.Event) -> None:
    """Sets up this process: the driver handles signals; it ends with its slot, ends first if memory is short, and
    reports an error before it ends.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    threading.Thread(target=_exit_when_orphaned, args=(pipe.fileno(), end_of_service), daemon=True).start()

    def report_failure(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        failure = Failure.of(error)
        sys.stderr.write(failure.traceback)
        with contextlib.suppress(OSError):
            pipe.send(failure)

    sys.excepthook = report_failure


def _exit_when_orphaned(pipe: int, end_of_service: threading.Event) -> None:
    """Ends this process if its pipe is closed during a training; an idle process notices that itself, and ends."""
    poll = select.poll()
    poll.register(pipe, 0)
    poll.poll()
    if not end_of_service.wait(_GRACE_SECONDS):
        os._exit(1)

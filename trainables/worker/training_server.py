"""Serves trainings to the slot that owns this process, over a pipe: `main(descriptor)`, or `serve` in a forked process.

The slot sends a `WarmUp`, answered by `Hello`; then, for each training, `Begin`, a `NEXT` for each epoch, `Save`
where a checkpoint is due, and `CLOSE`, each answered by one `Reply`. An error ends the process with a `Failure` as its
last word: what a training left behind after an error is not trusted with another one.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from layersweep.records.values import Built, Epoch, cannot_save
from trainables.data.dataset import Data

if TYPE_CHECKING:
    import psutil

NEXT: Final = "next"
CLOSE: Final = "close"
_FAREWELL_SECONDS: Final = 1.0

Values = Iterator[Built | Epoch]


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """What a process does before its first training: two functions of a module.

    Attributes:
        imports: imports what trainings need, and starts nothing: no thread, no operation of TensorFlow, no look at a
            GPU. Processes may be forked after it.
        device: the name of the device that trains; called in the process that will.
    """

    imports: Callable[[], None]
    device: Callable[[], str]


@dataclass(frozen=True, kw_only=True)
class Begin:
    """Starts a training: `train` is a family's function; what the training prints goes to the file `log`.

    It goes on from the checkpoint `start`, if there is one; it begins with the weights of `parent`, if it has one. With
    `lite` its network is converted by LiteRT at the end.
    """

    train: Callable[..., Values]
    config: Any
    data: Data
    seed: int
    epochs: int
    precision: str
    log: Path
    start: Path | None = None
    parent: Path | None = None
    lite: bool = False

    def values(self) -> Values:
        """The training itself."""
        options = {name: getattr(self, name) for name in ("seed", "epochs", "precision", "start")}
        asked = {name: getattr(self, name) for name in ("parent", "lite") if getattr(self, name)}
        return self.train(self.config, self.data, **options, **asked)


@dataclass(frozen=True, kw_only=True)
class Save:
    """Asks for a checkpoint of the last epoch, put at `path` whole or not at all."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A training's next value (None: it has ended, or was closed), and the memory that the process holds.

    `problem` says why a checkpoint could not be written; the training goes on.
    """

    value: Built | Epoch | None
    memory_bytes: int
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The first word: the imports are done."""

    device: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The last word of a process whose training raised an error."""

    error_type: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """That of an error."""
        text = "".join(traceback.format_exception(error))
        return cls(error_type=type(error).__name__, message=str(error), traceback=text)


def main(descriptor: int) -> None:
    """Serves over the pipe of this descriptor."""
    serve(Connection(descriptor))


def serve(pipe: Connection) -> None:
    """Serves until the pipe is closed."""
    over = threading.Event()
    _behave_as_a_child(pipe, over)
    warm_up: WarmUp = pipe.recv()
    warm_up.imports()
    gc.collect()
    gc.freeze()  # what was imported is never freed: no later collection looks at it again
    pipe.send(Hello(device=warm_up.device()))
    training: Values = iter(())
    value: Built | Epoch | None = None
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
                training = _closed(training, log)
            pipe.send(_reply(value))
    over.set()
    _drop_if_empty(log)


def _save(value: Built | Epoch | None, path: Path) -> str | None:
    """Writes a checkpoint aside, syncs it and renames it; returns why that failed (a full disk), if it did."""
    if not isinstance(value, Epoch) or value.save is cannot_save:
        return None
    aside = path.with_name(f".{path.name}")  # Keras wants the suffix
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        value.save(aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        return f"no checkpoint could be written to {path.parent}: {error.strerror or error}"
    return None


def _closed(training: Values, log: Path | None) -> Values:
    """Frees what the training held, its log too if nothing was said. Returns a training that has ended.

    What `trainables.training.traced_models` keeps for the next training stays.
    """
    getattr(training, "close", lambda: None)()
    del training
    gc.collect()
    _drop_if_empty(log)
    return iter(())


def _drop_if_empty(log: Path | None) -> None:
    if log is not None and log.exists() and log.stat().st_size == 0:
        log.unlink()


def _reply(value: Built | Epoch | None, problem: str | None = None) -> Reply:
    import psutil  # here: a laptop that follows a sweep has none

    if isinstance(value, Epoch):  # a bound method of the model cannot cross the pipe
        value = dataclasses.replace(value, save=cannot_save)
    return Reply(value=value, memory_bytes=memory_bytes(psutil.Process()), problem=problem)


def memory_bytes(process: "psutil.Process") -> int:
    """What a process holds, without files that it has mapped: those are given back when memory is short."""
    held = process.memory_info()
    return int(held.rss - getattr(held, "shared", 0))


def _redirect(log: Path) -> None:
    """Sends what this process prints from now on to a file of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _behave_as_a_child(pipe: Connection, over: threading.Event) -> None:
    """Leaves signals to the driver, dies with its slot, is first to go when memory is short, and says why it dies."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    threading.Thread(target=_exit_when_orphaned, args=(pipe.fileno(), over), daemon=True).start()

    def last_word(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        failure = Failure.of(error)
        sys.stderr.write(failure.traceback)
        with contextlib.suppress(OSError):
            pipe.send(failure)

    sys.excepthook = last_word


def _exit_when_orphaned(pipe: int, over: threading.Event) -> None:
    """An idle child sees its pipe close and ends in order; one that trains does not, and is ended here."""
    hung_up = select.poll()
    hung_up.register(pipe, 0)
    hung_up.poll()
    if not over.wait(_FAREWELL_SECONDS):
        os._exit(1)

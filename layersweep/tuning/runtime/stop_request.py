"""A person's request to stop the command: by Ctrl-C, SIGTERM or the stop button of a notebook."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any


@dataclass
class StopRequest:
    """Whether the command is to stop at the end of the present step.

    Attributes:
        requested: whether it is.
        signal: the signal that came first; None before one came, and if this process asked for it itself.
    """

    requested: bool = False
    signal: int | None = None
    _interruptible: bool = field(default=False, repr=False)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """While inside, the first SIGINT or SIGTERM is a request to stop; then the earlier handlers are back.

        Between two of Tune's events nothing is half written: rows are flushed, and the run is recorded as interrupted.
        A second signal interrupts at once within `interruptible`; elsewhere, where Ray starts or something is cleaned
        up, it does nothing. A thread other than the main one gets no signals: there this does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        earlier_handlers: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in earlier_handlers.items():
                signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """While inside, a second signal interrupts at once, since something may hang; a third one does nothing.

        Raises:
            KeyboardInterrupt: if a stop is requested already.
        """
        self.check()
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False

    def check(self) -> None:
        """Stops here if that is requested.

        Raises:
            KeyboardInterrupt: if it is.
        """
        if self.requested:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.requested and self._interruptible:
            self._interruptible = False
            raise KeyboardInterrupt
        if not self.requested:
            self.requested, self.signal = True, number


def stopper(stop: StopRequest) -> Callable[[], None]:
    """What another thread calls to stop this one: the first call is a request, the second one interrupts at once.

    A signal wakes the main thread even if it waits within Ray. Another thread is interrupted when it returns to Python.
    """
    thread = threading.current_thread()

    def request_stop() -> None:
        if thread is threading.main_thread():
            os.kill(os.getpid(), signal.SIGTERM)
        elif stop.requested:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
            )
        else:
            stop.requested = True

    return request_stop

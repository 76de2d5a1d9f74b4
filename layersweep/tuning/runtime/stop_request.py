"""A person's request to stop the command, by Ctrl-C or SIGTERM."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass
class StopRequest:
    """Whether the command is to stop at the end of the present step."""

    requested: bool = False

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """While inside, the first SIGINT or SIGTERM is a request to stop, the second one interrupts at once.

        Between two of Tune's events nothing is half written: rows are flushed, and the run is recorded as interrupted.
        """

        def request_stop(_number: int, _frame: FrameType | None) -> None:
            if self.requested:
                raise KeyboardInterrupt
            self.requested = True

        earlier_handlers: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {
            number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in earlier_handlers.items():
                signal.signal(number, handler)

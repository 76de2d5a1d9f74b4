"""The table of a running sweep in a notebook: one output of the cell, drawn again and again."""

import time
from typing import Any, Final

_DRAW_SECONDS: Final = 0.5
"""A browser far away should not be sent more."""


class NotebookView:
    """Shows the live table below a cell; at the end it is gone, as in a terminal."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._time = -_DRAW_SECONDS

    def start(self) -> None:
        """Makes the output."""
        import IPython.display

        display: Any = IPython.display.display

        self._handle = display(_bundle("", ""), raw=True, display_id=True)

    def update(self, renderable: Any, *, refresh: bool = False) -> None:
        """Draws the table, if the last drawing is old enough."""
        now = time.monotonic()
        if self._handle is not None and now - self._time >= _DRAW_SECONDS:
            self._time = now
            self._handle.update(_bundle(renderable.html(), renderable.text()), raw=True)

    def stop(self) -> None:
        """Empties the output."""
        if self._handle is not None:
            self._handle.update(_bundle("", ""), raw=True)
            self._handle, self._time = None, -_DRAW_SECONDS


def _bundle(html: str, text: str) -> dict[str, str]:
    return {"text/html": html, "text/plain": text}

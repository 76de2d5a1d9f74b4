"""The console that every command prints to: text from outside is shown there, and does nothing."""

import errno
import os
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from layersweep.escaping import terminal


class Console(rich.console.Console):
    """Rich's console without markup, codes of emoji and highlighting; control characters are written out.

    A style is given by `style` or by a `Text`, never inside a string. The arguments are those of Rich.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def on_broken_pipe(self) -> None:
        """Lets the error through to `layersweep.pipes`; Rich would end the program here.

        Raises:
            BrokenPipeError: always.
        """
        self.quiet = True
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def render_str(self, text: str, **options: Any) -> Text:
        """As Rich does; escaped here as well, so that the columns of a table have the right width."""
        return super().render_str(terminal(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As Rich does, with escaped text; Rich's own control codes are not part of a text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(terminal(segment.text), segment.style)

"""The console that every command prints to: text from outside is shown there, and does nothing."""

import sys
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from layersweep.escaping import terminal
from layersweep.exit_codes import BROKEN_PIPE


class Console(rich.console.Console):
    """Rich's console without markup, codes of emoji and highlighting; control characters are written out.

    A style is given by `style` or by a `Text`, never inside a string. The arguments are those of Rich.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def on_broken_pipe(self) -> None:
        """Ends the program with the exit code of Unix tools; Rich would end it with 1.

        Raises:
            SystemExit: always; a `BrokenPipeError` would be an error of the trial whose line is printed.
        """
        self.quiet = True
        raise SystemExit(BROKEN_PIPE)

    def render_str(self, text: str, **options: Any) -> Text:
        """As Rich does; escaped here as well, so that the columns of a table have the right width."""
        return super().render_str(terminal(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As Rich does, with escaped text; Rich's own control codes are not part of a text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(terminal(segment.text), segment.style)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, which shows HTML; IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def call_console(**options: Any) -> Console:
    """The console of a call, not of a command: plain text in a notebook, which keeps it; else as any other."""
    if not in_notebook():
        return Console(**options)
    return Console(force_jupyter=False, force_terminal=False, color_system=None, **options)

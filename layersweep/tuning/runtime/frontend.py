"""Where a person started a sweep, a command line or a notebook: where it prints, how it is stopped and repeated."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from layersweep.studies.wording.recorded_commands import command_with_seeds
from layersweep.terminal import Console
from layersweep.tuning.common.script_files import is_own_script
from layersweep.tuning.runtime.stop_request import StopRequest


class LiveView(Protocol):
    """What shows the table of a running sweep, each time in place of the last one; Rich's `Live` is one."""

    def start(self) -> None:
        """Begins to show."""

    def update(self, renderable: Any, *, refresh: bool = False) -> None:
        """Shows this table."""

    def stop(self) -> None:
        """Shows nothing any more."""


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """The command or the call that a person gave.

    Attributes:
        recorded: as it is in the records, such as `sweeps/optimizers.py --epochs 2` or `ls.run(optimizers, epochs=2)`.
        again: what a person runs to continue.
    """

    recorded: str
    again: str

    @classmethod
    def of_command_line(cls, sweep: str, words: Sequence[str]) -> Self:
        """That of a script with these words; a script of the user's is recorded by its name."""
        script = Path(sys.argv[0])
        name = script.name if is_own_script(script.resolve()) else f"sweeps/{sweep}.py"
        return cls(recorded=shlex.join([name, *words]), again=shlex.join(["python", sys.argv[0], *words]))

    def with_seeds(self, seeds: int) -> Self:
        """The same, with another number of seeds."""
        return type(self)(
            recorded=command_with_seeds(self.recorded, seeds), again=command_with_seeds(self.again, seeds)
        )


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """Where a person started a sweep.

    Attributes:
        console: where lines are printed.
        invocation: what the person gave.
        study_console: where the study is printed; None for standard output.
        live: shows the running trials; None for a live table if the console is a terminal, else lines.
        stop: the person's request to stop.
    """

    console: Console
    invocation: Invocation
    study_console: Console | None = None
    live: LiveView | None = None
    stop: StopRequest = field(default_factory=StopRequest)

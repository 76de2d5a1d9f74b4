"""A sweep as a call, for notebooks: options in, by their names; a recorded sweep and its result out.

It is the same path as that of the command line, without its ends: nothing reads `sys.argv` or ends the process, bad
input is an exception of one line, and after the call no handler of a signal, no Ray and no process is left.
"""

import inspect
import json
import logging
import os
import re
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from layersweep.escaping import visible
from layersweep.exit_codes import OK
from layersweep.records.errors import ResultsError
from layersweep.studies.sweep_result import Result
from layersweep.tuning.command.sweep_command import carry_out
from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.experiment.options import Options, parse
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range
from trainables.errors import DataError, near_miss

if TYPE_CHECKING:
    from layersweep.tuning.runtime.frontend import Frontend

_ONLY_COMMANDS: Final = ("cluster", "fetch")
_PLURALS: Final = {"arms": "arm"}
"""Options of a call that hold a list where a command line repeats a flag."""

_one_at_a_time: Final = threading.Lock()
"""A process has one Ray."""


class _OneLine:
    """An exception that a notebook shows in one line, without the frames of this package."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of the exception."""
        return [f"{type(self).__name__}: {visible(str(self))}"]


class Error(_OneLine, Exception):
    """A sweep that a notebook cannot run, or that broke off; the message is one line."""


class Interrupted(_OneLine, KeyboardInterrupt):
    """A sweep that a person stopped. Every finished epoch is recorded; the same call continues."""


def run(sweep: Sweep, **options: Any) -> Result:
    """Runs a sweep, and returns its answer, frames and figures; what is recorded already is not run again.

        result = ls.run(SWEEP, epochs=2, images=2_000, set={"learning_rate": [0.01, 0.1]})

    The stop button interrupts it. Every finished epoch is kept, and the same call goes on.

    Args:
        sweep: what to run.
        options: those of the command line by their names, with `_` for `-`: `epochs=2` is `--epochs 2`. `set` is a dict
            from keys to a value, a list of values or an `ls.Range`; `arms` is a list of dicts, each an arm.

    Raises:
        Error: one line, for bad input before any trial starts, and for a sweep that broke off.
        Interrupted: a KeyboardInterrupt; when a person stopped it.
    """
    from layersweep.tuning.runtime.frontend import Invocation

    if not isinstance(sweep, Sweep):
        raise Error(f"{_shown(sweep)} is no sweep; valid: ls.run(SWEEP, ...) with SWEEP = ls.Sweep(...)")
    try:
        call = _call(sweep.name, options)
        values = parse(_words(options), program=f"ls.run({sweep.name})")
        frontend = _frontend(Invocation(recorded=call, again=call))
        with _alone():
            code = _carry_out(sweep, values, frontend)
    except (UsageError, DataError, ResultsError, BrokenOffError) as error:
        raise Error(_without_dashes(str(error))) from None
    return Result(values.results.absolute(), sweep.name, complete=code == OK and not values.dry_run)


def _carry_out(sweep: Sweep, options: Options, frontend: "Frontend") -> int:
    """Runs the sweep; a SIGTERM that stopped it then does what it does outside of the run.

    Raises:
        Interrupted: when a person stopped it.
    """
    try:
        return carry_out(sweep, options, frontend)
    except KeyboardInterrupt:
        if frontend.stop.signal == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)
        raise Interrupted("stopped; every finished epoch is kept. To continue, run this cell again") from None


@contextmanager
def _alone() -> Iterator[None]:
    """Refuses a second run at the same time, in another thread.

    Raises:
        UsageError: if one is at work.
    """
    if not _one_at_a_time.acquire(blocking=False):
        raise UsageError("ls.run is at work in this process already; valid: wait for it, or use another notebook")
    try:
        yield
    finally:
        _one_at_a_time.release()


def _frontend(invocation: Any) -> "Frontend":
    """Where this call prints: to the cell of a notebook, or to standard output."""
    from layersweep.terminal import Console, call_console, in_notebook
    from layersweep.tuning.command.notebook_view import NotebookView
    from layersweep.tuning.runtime.frontend import Frontend

    logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)  # else Ray asks for a package that we do not need
    warnings.filterwarnings("ignore", message="IProgress not found")
    quiet = Console(quiet=True)  # the result says it
    live = NotebookView() if in_notebook() else None
    return Frontend(console=call_console(soft_wrap=True), invocation=invocation, study_console=quiet, live=live)


def _words(options: Mapping[str, Any]) -> list[str]:
    """The command line of these options.

    Raises:
        UsageError: for an option that does not exist, or a value that no command line can say.
    """
    names = [_PLURALS.get(name, name) for name in options]
    valid = [f.name for f in fields(Options) if f.name not in _ONLY_COMMANDS]
    words: list[str] = []
    for name, value in zip(names, options.values(), strict=True):
        if name in _ONLY_COMMANDS:
            raise UsageError(f"{name}= is for scripts: write the sweep into a file, and run that with this flag")
        if name not in valid:
            raise UsageError(f"unknown option {name}: {near_miss(name, valid)}valid: {', '.join(valid)}")
        if value is not None:
            words += _words_of_option(name, value)
    return words


def _words_of_option(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if name == "set":
        return [f"{flag}={key}={_values(f'set: {key}', item)}" for key, item in _mapping(name, value).items()]
    if name == "arm":
        if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
            raise UsageError(f"arms={_shown(value)} is not valid; valid: a list of dicts, one for each arm")
        return [
            f"{flag}="
            + ",".join(f"{key}={_one_value(f'arms: {key}', item)}" for key, item in _mapping("arms", arm).items())
            for arm in value
        ]
    if isinstance(next(f.default for f in fields(Options) if f.name == name), bool):
        if not isinstance(value, bool):
            raise UsageError(f"{name}={_shown(value)} is not valid; valid: True, False")
        return [flag] if value else []
    return [f"{flag}={os.fspath(value) if isinstance(value, os.PathLike) else value}"]


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and "=" not in key for key in value):
        example = '{"learning_rate": [0.01, 0.1]}' if name == "set" else '[{"learning_rate": 0.01}]'
        raise UsageError(f"{name}={_shown(value)} is not valid; valid: by key, such as {name}={example}")
    return value


def _values(key: str, value: Any) -> str:
    """What follows `--set key=`: one value, several, or a range. `key` is for errors."""
    if isinstance(value, Range):
        if value.log or value.step is not None:
            raise UsageError(f"{key}={_shown(value)}: the key says its scale and steps; valid: ls.Range(low, high)")
        return str(value)
    if isinstance(value, str | Mapping) or not hasattr(value, "__iter__"):
        return _value(key, value)
    values = list(value) if getattr(value, "ndim", 1) else [value[()]]
    if not values:
        raise UsageError(f"{key} has no value; valid: at least one")
    if any(isinstance(item, Mapping) for item in values) and len(values) > 1:
        raise UsageError(f"{key} has several values that are dicts; valid: one of them")
    return ",".join(_one_value(key, item) for item in values)


def _one_value(key: str, value: Any) -> str:
    """A value among others: a comma in it would make it two."""
    if isinstance(value, str) and "," in value:
        raise UsageError(f"{key}={_shown(value)} has a comma; valid: a text without one")
    return _value(key, value)


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return json.dumps(value)
    if value is None or (hasattr(value, "__iter__") and not isinstance(value, str)):
        raise UsageError(f"{key}={_shown(value)} is not valid; valid: a number, a text, True or False")
    return str(value)


def _call(sweep: str, options: Mapping[str, Any]) -> str:
    """The call, as a person repeats it."""
    return f"ls.run({', '.join([sweep, *(f'{name}={_shown(value)}' for name, value in options.items())])})"


def _shown(value: Any) -> str:
    """A value as it stands in a cell, in one line."""
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_shown(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Range):
        return f"ls.{value!r}"
    return " ".join(repr(value).split())


def _without_dashes(message: str) -> str:
    """An error of the command line with the options as a call names them: `epochs 0`, not `--epochs 0`."""
    names = "|".join(sorted((f.name.replace("_", "-") for f in fields(Options)), key=len, reverse=True))
    return re.sub(rf"(?<![\w-])--({names})(?![\w-])", lambda match: match[1].replace("-", "_"), message)


_SIGNATURE: Final = [
    inspect.Parameter("sweep", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Sweep),
    *(
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=f.default)
        for f in fields(Options)
        if f.name not in _ONLY_COMMANDS
        for name in [next((many for many, one in _PLURALS.items() if one == f.name), f.name)]
    ),
]
run.__signature__ = inspect.Signature(_SIGNATURE, return_annotation=Result)  # type: ignore[attr-defined]
"""So a notebook completes the names of options, and `help` lists them."""

"""A person's requests to a running sweep: JSON files in `results/.state/requests/<sweep>/`, which its command honours.

Whoever may write to the results may put one there, so nothing in such a file is trusted. Requests are not part of the
records: the command records what it did with each, and then removes its file.
"""

import json
import os
import re
import secrets
import stat
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from layersweep.formatting import count
from layersweep.records.errors import ResultsError, reason, results_errors
from layersweep.records.files import write_whole

STOP_TRIAL: Final = "stop_trial"
STOP_SWEEP: Final = "stop_sweep"
ADD_SEEDS: Final = "add_seeds"
ACTIONS: Final = (STOP_TRIAL, STOP_SWEEP, ADD_SEEDS)

MOST_SEEDS: Final = 1_000
"""How many more seeds one request may ask for."""

_MOST_BYTES: Final = 10_000
_ID: Final = re.compile(r"\d{8}T\d{12}-[0-9a-f]{16}")
_TRIAL_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_KEYS: Final = frozenset({"id", "sweep", "action", "trial_id", "seeds", "at"})


class RequestWarning(UserWarning):
    """A file among the requests is no valid request, and was removed; or the requests cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asks of a running sweep.

    Attributes:
        id: its id, which sorts by time and which nobody can guess.
        sweep: the sweep's name.
        action: `STOP_TRIAL`, `STOP_SWEEP` (after its running trials) or `ADD_SEEDS`.
        trial_id: the trial to stop; None for other actions.
        seeds: how many more seeds each arm gets; None for other actions.
        at: when it was put there.
    """

    id: str
    sweep: str
    action: str
    trial_id: str | None
    seeds: int | None
    at: datetime

    def __post_init__(self) -> None:
        """Checks all values, which come from a file or a page.

        Raises:
            ResultsError: naming the value and what is valid.
        """
        valid_trial = self.trial_id is None or _matches(_TRIAL_ID, self.trial_id)
        valid_seeds = self.seeds is None or (type(self.seeds) is int and 1 <= self.seeds <= MOST_SEEDS)
        for name, is_valid, valid in (
            ("id", _matches(_ID, self.id), "what `put` gives"),
            ("sweep", _is_folder_name(self.sweep), "the name of a sweep"),
            ("action", self.action in ACTIONS, ", ".join(ACTIONS)),
            ("trial_id", valid_trial, "the id of a trial"),
            ("trial_id", (self.trial_id is not None) == (self.action == STOP_TRIAL), f"one with {STOP_TRIAL} only"),
            ("seeds", valid_seeds, f"1 to {MOST_SEEDS:,}"),
            ("seeds", (self.seeds is not None) == (self.action == ADD_SEEDS), f"a number with {ADD_SEEDS} only"),
            ("at", isinstance(self.at, datetime) and self.at.tzinfo is not None, "a time with its zone"),
        ):
            if not is_valid:
                value = repr(getattr(self, name))
                raise ResultsError(f"a request's {name} {value[:100]} is not valid; valid: {valid}")

    @property
    def text(self) -> str:
        """The request in words."""
        if self.action == STOP_TRIAL:
            return f"stop the trial {self.trial_id}"
        if self.action == STOP_SWEEP:
            return "stop after the running trials"
        return f"train {count(self.seeds or 0, 'more seed')}"

    @property
    def json(self) -> str:
        """The request as its file has it."""
        return json.dumps({**asdict(self), "at": self.at.isoformat()})

    @classmethod
    def of_json(cls, text: bytes) -> Self:
        """The request in a file.

        Raises:
            ResultsError: if it is none.
        """
        try:
            values: Any = json.loads(text)
            if not isinstance(values, dict) or values.keys() != _KEYS:
                raise ResultsError(f"it is no JSON object of {', '.join(sorted(_KEYS))}")
            return cls(**{**values, "at": datetime.fromisoformat(values["at"])})
        except (ValueError, TypeError, RecursionError) as error:
            raise ResultsError(f"it is no request ({type(error).__name__})") from error


def put(results: Path, sweep: str, action: str, *, trial_id: str | None = None, seeds: int | None = None) -> Request:
    """Puts a request to a sweep, whole and on the disk; the running command of the sweep finds it within a second.

    Raises:
        ResultsError: if a value is not valid, or the file cannot be written.
    """
    at = datetime.now(UTC)
    request = Request(
        id=f"{at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(8)}",
        sweep=sweep,
        action=action,
        trial_id=trial_id,
        seeds=seeds,
        at=at,
    )
    write(results, request)
    return request


def write(results: Path, request: Request) -> None:
    """Writes the file of a request, whole and synced.

    Raises:
        ResultsError: if there are no results, or it cannot be written.
    """
    if not results.is_dir():
        raise ResultsError(f"there is no results folder {results}: set the right one with --results")
    file = _file(results, request)
    with results_errors(f"cannot write {file}"):
        write_whole(file, request.json.encode())


def _warn(message: str) -> None:
    warnings.warn(message, RequestWarning, stacklevel=3)


def pending(results: Path, sweep: str, *, warn: Callable[[str], None] = _warn) -> list[Request]:
    """The requests to a sweep, in their order; reads one folder if there is none.

    A file that is no valid request is removed. `warn` is told, as it is if the folder cannot be read; nothing raises.
    """
    folder = folder_of(results, sweep)
    try:
        files = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        warn(f"the requests to the sweep cannot be read: {folder}: {reason(error)}")
        return []
    requests = []
    for file in files:
        if file.name.startswith("."):  # it is being written
            continue
        try:
            requests.append(_read(file, sweep))
        except FileNotFoundError:
            continue
        except (ResultsError, OSError) as error:
            problem = reason(error) if isinstance(error, OSError) else str(error)
            warn(f"{str(file)!r} is no valid request: {problem}; {_dispose(file)}")
    return requests


def remove(results: Path, request: Request) -> None:
    """Removes a request that was honoured or refused, and recorded.

    Raises:
        ResultsError: if its file cannot be removed.
    """
    file = _file(results, request)
    with results_errors(f"cannot remove {file}"):
        file.unlink(missing_ok=True)


def folder_of(results: Path, sweep: str) -> Path:
    """The folder of the requests to a sweep."""
    return results / ".state" / "requests" / sweep


def _file(results: Path, request: Request) -> Path:
    return folder_of(results, request.sweep) / f"{request.id}.json"


def _read(file: Path, sweep: str) -> Request:
    """The request in a file; neither follows a link nor waits for a pipe."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as content:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ResultsError("it is no regular file")
        text = content.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ResultsError(f"it has more than {_MOST_BYTES:,} bytes")
    request = Request.of_json(text)
    if request.sweep != sweep or f"{request.id}.json" != file.name:
        raise ResultsError("it has another file's id or sweep")
    return request


def _dispose(file: Path) -> str:
    """Removes what is no request; returns what became of it."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        return f"it cannot be removed ({reason(error)})"
    return "removed"


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_folder_name(value: object) -> bool:
    return isinstance(value, str) and value not in ("", ".", "..") and not {"/", "\0"} & {*value}

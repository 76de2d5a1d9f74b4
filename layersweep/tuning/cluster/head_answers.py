"""The answers of a cluster's head, checked.

The head runs other people's code, so it may turn bad and answer anything. What it answers becomes paths, patterns of
rsync and printed commands here: a value of another form is refused with a `HeadError` that names it.
"""

import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layersweep.records.read import part_range
from layersweep.records.tables import TABLES
from layersweep.tuning.cluster.local_records import Parts

MOST_BYTES: Final = 16 << 20
"""The longest line of an answer: that of a sweep with 100,000 trials has a few kB."""

_LONGEST_TEXT: Final = 4096
_LONGEST_NAME: Final = 200
_LATEST_TIME: Final = 1 << 33
"""A Unix time in the year 2242: `datetime` can represent all before it."""

_NAME: Final = re.compile(r"[^\W\d_][\w+-]*([. ][\w+-]+)*")
"""The name of a sweep, which is a folder's name: no path, no pattern of rsync, no hidden file."""

_JOB_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_STATUSES: Final = ("PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED")

Answer = Mapping[str, Any]


class HeadError(Exception):
    """ssh reaches the head, and the message says what is wrong there."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """A sweep's records on the head: the absolute path of the results folder, and the names of the parts by table."""

    results: str
    parts: Parts


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of Ray on the head.

    Attributes:
        id: its submission id.
        status: one of `PENDING`, `RUNNING`, `STOPPED`, `SUCCEEDED` and `FAILED`.
        exit_code: the exit code of its driver; None if Ray does not know it.
        message: what Ray says about its end; empty if nothing.
        start: when it started, in Unix time of the head's clock; None if it has not.
        flags: the flags of the sweep's command; empty if there are none.
        script: the script on the head, below the project's folder; empty if the head does not say.
    """

    id: str
    status: str
    exit_code: int | None = None
    message: str = ""
    start: float | None = None
    flags: str = ""
    script: str = ""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The head at one moment: the sweep's records, the clock in Unix time, and a job; None if there is none."""

    records: Records
    now: float
    job: Job | None


def decode(line: bytes) -> Answer:
    """The JSON object of a line.

    Raises:
        HeadError: if the line holds none, or the head reports a problem in it.
    """
    try:
        answer = json.loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        raise HeadError(f"its answer is no JSON: {reprlib.repr(line)}") from None
    if not isinstance(answer, dict):
        raise _refusal("answer", answer, "an object")
    if "error" in answer:
        raise HeadError(" ".join(_text(answer, "error").split()))
    return answer


def records(answer: Answer) -> Records:
    """The answer to `records`.

    Raises:
        HeadError: if it is not valid.
    """
    results = _text(answer, "results")
    if not Path(results).is_absolute() or ".." in Path(results).parts or not results.isprintable():
        raise _refusal("results", results, "an absolute path")
    return Records(results=results, parts=_parts(answer.get("parts")))


def look(answer: Answer, job: str | None = None) -> Look:
    """The answer to `look`; `job` is the id that was asked for.

    Raises:
        HeadError: if it is not valid.
    """
    job_facts = _job(answer.get("job"))
    if job_facts is not None and job not in (None, job_facts.id):
        raise _refusal("job.id", job_facts.id, f"{job}, the job that was asked for")
    return Look(records=records(answer), now=_time("now", answer.get("now")), job=job_facts)


def others(answer: Answer) -> dict[str, Parts]:
    """The answer to `others`: the parts of other sweeps by name.

    Raises:
        HeadError: if it is not valid.
    """
    sweeps = answer.get("others")
    if not isinstance(sweeps, dict):
        raise _refusal("others", sweeps, "an object")
    for name in sweeps:
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise _refusal("others", name, "the name of a sweep")
    return {name: _parts(parts) for name, parts in sweeps.items()}


def log_lines(answer: Answer, most: int) -> tuple[str, ...]:
    """The answer to `log`: at most `most` lines, each cut at a length that a screen can show.

    Raises:
        HeadError: if it is not valid.
    """
    lines = answer.get("lines")
    if not isinstance(lines, list):
        raise _refusal("lines", lines, "a list of lines")
    return tuple(_string("lines", line)[:_LONGEST_TEXT] for line in lines[-most:])


def _parts(parts: Any) -> Parts:
    if not isinstance(parts, dict):
        raise _refusal("parts", parts, "an object")
    for table, names in parts.items():
        if table not in TABLES:
            raise _refusal("parts", table, "the name of a table")
        if not isinstance(names, list):
            raise _refusal(f"parts.{table}", names, "a list of names")
        for name in names:
            text = _string(f"parts.{table}", name)
            if not text.isascii() or "/" in text or part_range(Path(text)) is None:
                raise _refusal(f"parts.{table}", name, "the name of a part such as 00000000-00000007.parquet")
    return {table: tuple(names) for table, names in parts.items()}


def _job(facts: Any) -> Job | None:
    if facts is None:
        return None
    if not isinstance(facts, dict):
        raise _refusal("job", facts, "an object or null")
    name, status, metadata = _text(facts, "id"), _text(facts, "status"), facts.get("metadata")
    if not _JOB_ID.fullmatch(name):
        raise _refusal("job.id", name, "letters, digits, and - _ . behind the first of them")
    if status not in _STATUSES:
        raise _refusal("job.status", status, ", ".join(_STATUSES))
    if not isinstance(metadata, dict):
        raise _refusal("job.metadata", metadata, "an object")
    code, start = facts.get("exit_code"), facts.get("started")
    if code is not None and type(code) is not int:
        raise _refusal("job.exit_code", code, "a whole number or null")
    return Job(
        id=name,
        status=status,
        exit_code=code,
        message=_text(facts, "message"),
        start=None if start is None else _time("job.started", start),
        flags=_string("job.metadata.flags", metadata.get("flags", "")),
        script=_string("job.metadata.script", metadata.get("script", "")),
    )


def _text(answer: Answer, name: str) -> str:
    """A text that is not too long to be shown or to be a path."""
    text = _string(name, answer.get(name))
    if len(text) > _LONGEST_TEXT:
        raise _refusal(name, text, f"at most {_LONGEST_TEXT:,} characters")
    return text


def _string(name: str, value: Any) -> str:
    """A string that can be written to a terminal and a file: JSON may hold halves of characters, which cannot."""
    if not isinstance(value, str):
        raise _refusal(name, value, "a text")
    return value.encode(errors="replace").decode()


def _time(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < _LATEST_TIME:  # neither is NaN
        raise _refusal(name, value, "a Unix time in seconds")
    return float(value)


def _refusal(name: str, value: Any, valid: str) -> HeadError:
    return HeadError(f"its answer is not valid: {name} is {reprlib.repr(value)}; valid: {valid}")

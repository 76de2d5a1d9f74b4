"""A cluster's head at a laptop's service: its jobs and its records, a line of JSON each way.

`python -m layersweep.tuning.cluster.head_server` runs on the head, in the project's folder, at the other end of ssh,
until its input ends. Lines that do not begin with `ANSWER` are not its own: a shell's greeting, say.
"""

import functools
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import polars as pl

from layersweep.records.errors import ResultsError
from layersweep.records.read import read
from layersweep.records.tables import TABLES
from layersweep.words import first_line

ANSWER: Final = "layersweep> "
"""Each answer begins so."""

DASHBOARD: Final = "http://127.0.0.1:8265"
ACTIVE: Final = ("PENDING", "RUNNING")
_OVERRIDING: Final = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Ray's job client goes where these say, whatever address it is given."""

_PYTHON: Final = ".venv/bin/python"

Reply = dict[str, Any]


def main() -> None:
    """Answers what it is asked on its standard input, to the end."""
    for name in _OVERRIDING:
        os.environ.pop(name, None)
    serve(sys.stdin, sys.stdout, _client)


def serve(asked: TextIO, answered: TextIO, client: Callable[[], Any]) -> None:
    """Answers each line of `asked`; Ray's job client is made when it is needed first.

    An answer is a JSON object. Where something is wrong, `error` is all that it has.
    """

    @functools.cache
    def jobs() -> Any:
        return client()

    for line in asked:
        question = json.loads(line)
        try:
            reply = _ANSWERS[question.pop("do")](jobs, **question)
        except (OSError, RuntimeError, ResultsError) as error:  # Ray's job client raises the first two
            reply = {"error": _problem(error)}
        answered.write(f"{ANSWER}{json.dumps(reply)}\n")
        answered.flush()


def _problem(error: Exception) -> str:
    """One line; what requests says of a connection that is refused is longer than a screen is wide."""
    if isinstance(error, ConnectionError) or type(error).__module__.startswith("requests."):
        return f"Ray does not answer at {DASHBOARD}"
    return " ".join(str(error).split()) or type(error).__name__


def _client() -> Any:
    """Ray's job client.

    Raises:
        ConnectionError, RuntimeError: if Ray does not run here, or refuses the token.
    """
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(DASHBOARD)
    except RayError as error:
        raise RuntimeError(str(error)) from error


def _records(_jobs: Callable[[], Any], *, sweep: str, results: str) -> Reply:
    """Where the results folder is, and the names of the sweep's parts by table."""
    folder = Path(results).absolute()
    tables = {table: sorted(p.name for p in (folder / table / sweep).glob("*.parquet")) for table in TABLES}
    return {"results": str(folder), "parts": {table: names for table, names in tables.items() if names}}


def _others(_jobs: Callable[[], Any], *, sweep: str, results: str) -> Reply:
    """The parts of the other sweeps that have trained trials of this one: it asks for them and does not train them."""
    folder = Path(results).absolute()
    asked = read(folder, "plan", sweep, columns=("trial_id",), set_aside=False)["trial_id"].unique()
    ends = read(folder, "trials", columns=("sweep", "trial_id"), set_aside=False)
    own = ends.filter(pl.col("sweep") == sweep)["trial_id"]
    foreign = ends.filter(pl.col("trial_id").is_in(asked.to_list()) & ~pl.col("trial_id").is_in(own.to_list()))
    names = sorted(foreign["sweep"].unique())
    return {"others": {name: _records(_jobs, sweep=name, results=results)["parts"] for name in names}}


def _look(jobs: Callable[[], Any], *, sweep: str, results: str, job: str | None = None) -> Reply:
    """The records, this machine's clock, and the job of that id; without one, that which works on the sweep now.

    `job` is null if there is none.
    """
    told = [_told(one) for one in jobs().list_jobs() if one.submission_id]
    reply = _records(jobs, sweep=sweep, results=results)  # after the status: an ended job's rows are all there
    if job is None:
        mine = {"sweep": sweep, "results": reply["results"]}
        working = [one for one in told if one["status"] in ACTIVE and mine.items() <= one["metadata"].items()]
        found = max(working, key=lambda one: one["started"] or 0, default=None)
    else:
        found = next((one for one in told if one["id"] == job), None)
    return {**reply, "now": datetime.now(UTC).timestamp(), "job": found}


def _told(job: Any) -> Reply:
    started = job.start_time
    return {
        "id": job.submission_id,
        "status": str(job.status),
        "exit_code": job.driver_exit_code,
        "message": first_line(job.message or ""),
        "started": None if started is None else started / 1000,
        "metadata": job.metadata or {},
    }


def _submit(jobs: Callable[[], Any], *, sweep: str, results: str, job: str, script: str, flags: list[str]) -> Reply:
    """Submits the sweep's script under this id, unless that was done already."""
    if all(one.submission_id != job for one in jobs().list_jobs()):
        command = f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join([_PYTHON, script, *flags])}"
        jobs().submit_job(
            entrypoint=f"bash -c {shlex.quote(command)}",
            submission_id=job,
            metadata={"sweep": sweep, "results": str(Path(results).absolute()), "flags": shlex.join(flags)},
        )
    return {}


def _log(jobs: Callable[[], Any], *, job: str, lines: int) -> Reply:
    """The last lines of what a job printed."""
    return {"lines": [line for line in jobs().get_job_logs(job).splitlines() if line.strip()][-lines:]}


_ANSWERS: Final[Mapping[str, Callable[..., Reply]]] = {
    "records": _records,
    "others": _others,
    "look": _look,
    "submit": _submit,
    "log": _log,
}

if __name__ == "__main__":
    main()

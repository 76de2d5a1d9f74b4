"""The server on a cluster's head that answers a laptop's questions about jobs and records, in lines of JSON.

`python -m layersweep.tuning.cluster.head_server` runs on the head, in the project's folder, at the other end of ssh,
until its input ends. Its answers begin with `ANSWER`; other lines come from elsewhere, such as a shell's greeting.
"""

import base64
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

from layersweep.escaping import to_json
from layersweep.formatting import first_line
from layersweep.records import requests
from layersweep.records.errors import ResultsError
from layersweep.records.read import read
from layersweep.records.tables import TABLES
from layersweep.tuning.common.code_commit import SCRIPT_COMMIT
from layersweep.tuning.common.job import JOB
from layersweep.tuning.common.script_files import FOLDER_ON_HEAD, ScriptFiles

ANSWER: Final = "layersweep> "
"""The beginning of each answer."""

DASHBOARD: Final = "http://127.0.0.1:8265"
ACTIVE: Final = ("PENDING", "RUNNING")
_ADDRESS_VARIABLES: Final = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Ray's job client uses these addresses, even if it is given another one."""

_LONGEST_LINE: Final = 1000
_PYTHON: Final = ".venv/bin/python"

Reply = dict[str, Any]


def main() -> None:
    """Answers the questions on standard input until it ends."""
    for name in _ADDRESS_VARIABLES:
        os.environ.pop(name, None)
    serve(sys.stdin, sys.stdout, _client)


def serve(questions: TextIO, answers: TextIO, client: Callable[[], Any]) -> None:
    """Answers each line of `questions`; `client` makes Ray's job client, when a question first needs it.

    An answer is a JSON object. After a problem it holds `error` only.
    """

    @functools.cache
    def jobs() -> Any:
        return client()

    for line in questions:
        question = json.loads(line)
        try:
            reply = _ANSWERS[question.pop("do")](jobs, **question)
        except (OSError, RuntimeError, ValueError, ResultsError) as error:  # the first two are of Ray's job client
            reply = {"error": _problem(error)}
        answers.write(f"{ANSWER}{to_json(reply)}\n")
        answers.flush()


def _problem(error: Exception) -> str:
    """The error in one line; the text of `requests` for a refused connection would be longer than a screen is wide."""
    if isinstance(error, ConnectionError) or type(error).__module__.startswith("requests."):
        return f"Ray does not answer at {DASHBOARD}"
    return " ".join(str(error).split()) or type(error).__name__


def _client() -> Any:
    """Ray's job client.

    Raises:
        ConnectionError, RuntimeError: if Ray does not run here, or refuses the token, or another user has its port.
    """
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    from layersweep.tuning.runtime.port_owner import is_another_users  # a laptop imports this module, and has no psutil

    if is_another_users(DASHBOARD.removeprefix("http://")):  # it would be sent the token
        raise RuntimeError(f"another user's process listens at {DASHBOARD}, where Ray should")
    try:
        return JobSubmissionClient(DASHBOARD)
    except RayError as error:
        raise RuntimeError(str(error)) from error


def _records(_jobs: Callable[[], Any], *, sweep: str, results: str) -> Reply:
    """The path of the results folder, and the names of the sweep's parts by table."""
    folder = Path(results).absolute()
    tables = {table: sorted(p.name for p in (folder / table / sweep).glob("*.parquet")) for table in TABLES}
    return {"results": str(folder), "parts": {table: names for table, names in tables.items() if names}}


def _others(_jobs: Callable[[], Any], *, sweep: str, results: str) -> Reply:
    """The parts of other sweeps that have trained trials of this sweep's plan, which it therefore does not train."""
    folder = Path(results).absolute()
    plan = read(folder, "plan", sweep, columns=("trial_id",))
    ends = read(folder, "trials", columns=("sweep", "trial_id"))
    own_ends = ends.filter(pl.col("sweep") == sweep)
    other_ends = ends.join(plan, on="trial_id", how="semi").join(own_ends, on="trial_id", how="anti")
    names = sorted(other_ends["sweep"].unique())
    return {"others": {name: _records(_jobs, sweep=name, results=results)["parts"] for name in names}}


def _look(jobs: Callable[[], Any], *, sweep: str, results: str, job: str | None = None) -> Reply:
    """The records, this machine's clock, and the job of that id; without an id, the job that runs the sweep now.

    `job` is null if there is none.
    """
    facts = [_job_facts(details) for details in jobs().list_jobs() if details.submission_id]
    reply = _records(jobs, sweep=sweep, results=results)  # after the status, so that an ended job's rows are complete
    if job is None:
        target = {"sweep": sweep, "results": reply["results"]}
        active = [each for each in facts if each["status"] in ACTIVE and target.items() <= each["metadata"].items()]
        match = max(active, key=lambda each: each["started"] or 0, default=None)
    else:
        match = next((each for each in facts if each["id"] == job), None)
    return {**reply, "now": datetime.now(UTC).timestamp(), "job": match}


def _job_facts(job: Any) -> Reply:
    started_ms = job.start_time
    return {
        "id": job.submission_id,
        "status": str(job.status),
        "exit_code": job.driver_exit_code,
        "message": first_line(job.message or ""),
        "started": None if started_ms is None else started_ms / 1000,
        "metadata": job.metadata or {},
    }


def _script(_jobs: Callable[[], Any], *, name: str, archive: str) -> Reply:
    """Writes a script of another machine, and the files beside it, into a folder named after their content."""
    ScriptFiles.of_archive(base64.b64decode(archive), name).written(Path(FOLDER_ON_HEAD).absolute())
    return {}


def _submit(
    jobs: Callable[[], Any], *, sweep: str, results: str, job: str, command: list[str], commit: str | None = None
) -> Reply:
    """Submits the sweep's command, a script with its flags, under this id, unless a job has this id already.

    `commit` is that of a script that came from another machine; its folder is in no repository here.
    """
    if all(details.submission_id != job for details in jobs().list_jobs()):
        script, *flags = command
        variables = [f"{JOB}={job}"] + ([] if commit is None else [f"{SCRIPT_COMMIT}={commit}"])
        program = shlex.join(["env", *variables, _PYTHON, *command])
        in_project = f"cd {shlex.quote(str(Path.cwd()))} && exec {program}"
        target = {"sweep": sweep, "results": str(Path(results).absolute())}
        jobs().submit_job(
            entrypoint=f"bash -c {shlex.quote(in_project)}",
            submission_id=job,
            metadata={**target, "flags": shlex.join(flags), "script": script},
        )
    return {}


def _log(jobs: Callable[[], Any], *, job: str, lines: int) -> Reply:
    """The last lines of what a job printed."""
    last = [line for line in jobs().get_job_logs(job).splitlines() if line.strip()][-lines:]
    return {"lines": [line[:_LONGEST_LINE] for line in last]}


def _request(_jobs: Callable[[], Any], *, sweep: str, results: str, request: str) -> Reply:
    """Puts a person's request to the sweep, as if it had been made on this machine."""
    parsed = requests.Request.of_json(request.encode())
    if parsed.sweep != sweep:
        raise ResultsError(f"a request to the sweep {parsed.sweep!r} is none to {sweep!r}")
    requests.write(Path(results).absolute(), parsed)
    return {}


_ANSWERS: Final[Mapping[str, Callable[..., Reply]]] = {
    "records": _records,
    "others": _others,
    "look": _look,
    "script": _script,
    "submit": _submit,
    "log": _log,
    "request": _request,
}

if __name__ == "__main__":
    main()

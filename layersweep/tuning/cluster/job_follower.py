"""Follows a sweep's job on a cluster from another machine, however often the connection is lost."""

import secrets
import shlex
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich.live import Live

from layersweep.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, OK, UNFINISHED
from layersweep.formatting import count
from layersweep.records.errors import ResultsError
from layersweep.records.tables import STOPPED_ON_REQUEST
from layersweep.tuning.cluster.head_answers import Job, Look
from layersweep.tuning.cluster.head_client import HeadClient
from layersweep.tuning.cluster.head_server import ACTIVE
from layersweep.tuning.cluster.job_epochs import JobEpochs
from layersweep.tuning.cluster.job_progress import CommandOfJob, JobProgress, TrialEnd, read_progress
from layersweep.tuning.cluster.local_records import LocalRecords, Parts
from layersweep.tuning.common.errors import BrokenOffError, UsageError

POLL_SECONDS: Final = 2.0
"""The time between two looks at the job."""

_LOG_LINES: Final = 20
_CLOCK_SECONDS: Final = 1.0
"""Ray gives a job's start in milliseconds, and may round it."""

_STYLES: Final = {"failed": "red", "hopeless": "yellow"}
"""Outcomes of trials that are shown with their reason, in a terminal as well."""

_STUDIED: Final = ("ended", "time budget spent", STOPPED_ON_REQUEST)
"""Outcomes of a command after which a study follows."""


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """How a job ended.

    Attributes:
        exit_code: that of the sweep's command on the head.
        complete: whether the sweep came to its end, so that there is something to study.
    """

    exit_code: int
    complete: bool


class JobFollower:
    """Submits a sweep's job, or finds it running, and follows it to its end.

    Args:
        client: the client of the head.
    """

    def __init__(self, client: HeadClient) -> None:
        self._client, self._request, self._say = client, client.request, client.say
        sweep = self._request.sweep
        self._epochs = JobEpochs(self._request.local_results, sweep.name, metric=sweep.metric, mode=sweep.mode)
        self._parts: Parts | None = None
        self._progress: JobProgress | None = None
        self._joins_running_job = False

    def fetch_records(self) -> None:
        """Copies the records to this machine, and nothing else.

        Raises:
            UsageError: if the head does not answer or has no records, or the folder here holds others of the sweep.
        """
        remote = self._client.first_records()
        if not remote.parts:
            name, target = self._request.sweep.name, self._request.cluster.target
            raise UsageError(f"--fetch: no records of the sweep {name!r} in {remote.results} on the head {target}")
        records = self._client.local_records(remote)
        self._client.fetch(records, remote.parts, everything=True)
        self._client.fetch_other_sweeps(records, everything=True)
        self.say_records()

    def say_records(self) -> None:
        """Prints where the records are."""
        self._say(f"records  {self._request.local_results}/*/{self._request.sweep.name}/*.parquet")

    def find_or_submit(self) -> Job:
        """The job that runs the sweep already, or a new one.

        Raises:
            UsageError: if the head does not answer or has no Ray, or the folder here holds other records of the sweep.
        """
        look = self._client.first_look()
        cluster, job = self._request.cluster, look.job
        self._say(f"on the cluster {cluster.name}: {cluster.target}, records in {look.records.results}")
        if job is None:
            return self._submit()
        self._joins_running_job = True
        self._say(f"{job.id} is running there already: following it")
        differences = []
        if job.flags != shlex.join(self._request.flags):
            differences.append(f"it was started with other flags: {job.flags or 'none'}")
        if job.script not in ("", self._request.script):
            differences.append("the script or a file beside it has changed since it was submitted")
        if differences:
            stop = self._request.stop_command(job.id)
            self._say(f"{'; '.join(differences)}. To stop it: {stop}", "yellow")
        return job

    def _submit(self) -> Job:
        request = self._request
        job = f"layersweep-{request.sweep.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        try:
            self._client.discard_requests()
            self._client.retry(lambda: self._client.submit(job))
        except KeyboardInterrupt:
            self._say(
                f"stopped while {job} was being submitted. If it runs, the same command follows it: {request.command}"
            )
            raise
        self._say(f"submitted {job}. It does not need this machine; the same command follows it")
        return Job(id=job, status=ACTIVE[0])

    def follow(self, job: Job) -> JobResult:
        """Shows the job's progress until it ends, and copies its records to this machine.

        Raises:
            BrokenOffError: if Ray on the head has ended, or the records cannot be written here.
            KeyboardInterrupt: after Ctrl-C.
        """
        still_running = f"{job.id} goes on without this command. To follow it: {self._request.command}"
        try:
            job, records = self._follow_to_the_end(job)
            self._client.fetch(records, self._parts or {}, everything=True)
            self._client.fetch_other_sweeps(records, everything=True)
        except KeyboardInterrupt:
            self._say(still_running)
            self._say(f"To stop it: {self._request.stop_command(job.id)}")
            raise
        except ResultsError as error:
            raise BrokenOffError(f"{error}. {still_running}") from error
        if self._progress is not None:
            if not self._progress.ends.is_empty():
                self._say(self._progress.machines())
            self._say(self._progress.summary(self._request.sweep.metric))
        return self._result(job)

    def _follow_to_the_end(self, job: Job) -> tuple[Job, LocalRecords]:
        name = job.id
        with self._live_display() as live:
            while True:
                look = self._client.retry(lambda: self._client.look(name))
                records = self._client.local_records(look.records)
                if look.job is None:
                    self._client.fetch(records, look.records.parts, everything=True)
                    raise BrokenOffError(
                        f"Ray on the head does not know {name} any more, because Ray was restarted. Every recorded "
                        f"epoch is kept. To continue, run the same command: {self._request.command}"
                    )
                self._client.retry(self._client.send_requests)
                self._update(records, look, look.job)
                self._draw(look.job, live)
                if look.job.status not in ACTIVE:
                    return look.job, records
                time.sleep(POLL_SECONDS)

    def _update(self, records: LocalRecords, look: Look, job: Job) -> None:
        """Copies new records, reads the progress from them, and says which trials have ended."""
        parts = look.records.parts
        if parts != self._parts:
            self._client.fetch(records, parts)
            if "plan" in parts and "plan" not in (self._parts or {}):
                self._client.fetch_other_sweeps(records)
            self._parts, earlier = parts, self._progress
            self._progress = self._read_progress(job, look.now)
            if self._progress is not None:
                self._say_new_ends(self._progress, earlier)
        elif self._progress is not None:
            self._progress = self._progress.at(look.now)

    def _read_progress(self, job: Job, now: float) -> JobProgress | None:
        """The progress by the records here; None before the job has begun."""
        if job.start is None:
            return None
        command = CommandOfJob(job=job.id, since=job.start - _CLOCK_SECONDS)
        return read_progress(self._epochs, command, now=now)

    def _say_new_ends(self, progress: JobProgress, earlier: JobProgress | None) -> None:
        """One line for each new end of a trial; in a terminal only for trials that failed or were hopeless."""
        metric = self._request.sweep.metric
        if self._joins_running_job:  # what has ended by now is summed up
            self._joins_running_job = False
            self._say(progress.summary(metric))
            return
        for end in progress.ends_after(earlier):
            if end.outcome in _STYLES:
                outcome = end.outcome if end.final else "tried again"
                self._say(f"{outcome} {end.label}: {end.reason}", _STYLES[end.outcome])
            elif not self._client.console.is_terminal:
                self._say(f"[{end.number}/{progress.trials}] {_line(end, metric)}")

    def _live_display(self) -> AbstractContextManager[Live | None]:
        console = self._client.console
        return Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else nullcontext()

    def _draw(self, job: Job, live: Live | None) -> None:
        """Draws the live table; before there is any progress, the job's status."""
        if live is None:
            return
        status = f"{job.id}: {job.status.lower()}"
        table = status if self._progress is None else self._progress.table(self._request.sweep.metric)
        live.update(table, refresh=True)

    def _result(self, job: Job) -> JobResult:
        """The job's result; says how the job ended if it did not end well."""
        code = exit_code(job.status, job.exit_code)
        outcome = self._progress.outcome if self._progress else None
        complete = code in (OK, FAILED, UNFINISHED) and outcome in _STUDIED
        if code is None:
            self._say(_death(job), "red")
        elif code == INTERRUPTED:
            self._say(f"{job.id} was stopped", "yellow")
        if not complete and code != INTERRUPTED:
            self._say_log(job.id)
        if code not in (OK, BAD_INPUT):
            self._say(f"every recorded epoch is kept. To continue, run the same command: {self._request.command}")
        return JobResult(exit_code=FAILED if code is None else code, complete=complete)

    def _say_log(self, job: str) -> None:
        try:
            lines = self._client.retry(lambda: self._client.log_lines(job, _LOG_LINES))
        except BrokenOffError:
            return
        self._say(f"the last lines of its log on the head:{'' if lines else ' none'}")
        for line in lines:
            self._say(f"  {line}")


def exit_code(status: str, driver: int | None) -> int | None:
    """The exit code of a sweep's job; None if the driver ended with a code that no sweep's command has."""
    if status == "STOPPED":
        return INTERRUPTED
    if status == "SUCCEEDED":
        return OK
    return driver if driver in (FAILED, BAD_INPUT, UNFINISHED, INTERRUPTED) else None


def _death(job: Job) -> str:
    """What is known of a driver that ended with a code that no sweep's command has."""
    if job.exit_code is not None:
        return f"the driver of {job.id} ended with code {job.exit_code} and reported no error"
    reason = f" ({job.message})" if job.message else ""
    return f"the driver of {job.id} was killed and reported no error{reason}"


def _line(end: TrialEnd, metric: str) -> str:
    value = "" if end.value is None else f", {metric} {end.value:.4f}"
    host = "" if end.host is None else f", on {end.host}"
    return f"{end.label}: {end.outcome} after {count(end.epochs, 'epoch')}{value}{host}"

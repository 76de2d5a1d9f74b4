"""Follows a sweep's job on a cluster from afar, however often the connection is lost."""

import secrets
import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.live import Live

from layersweep.records.errors import ResultsError
from layersweep.records.lock import alone
from layersweep.tuning.cluster.cluster_request import Order
from layersweep.tuning.cluster.head_server import ACTIVE, DASHBOARD
from layersweep.tuning.cluster.job_progress import Ended, Watched, watch
from layersweep.tuning.cluster.local_records import Home, Parts
from layersweep.tuning.cluster.ssh_channel import Channel, HeadError, LostError
from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.common.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, OK, UNFINISHED
from layersweep.words import count

POLL_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 60.0
"""Between two attempts to reach a head that was lost."""

HEAD_PATIENCE_SECONDS: Final = 120.0
"""So long may a head that is reached say that Ray does not answer there, before its job is given up."""

_LOG_LINES: Final = 20
_CLOCK_SECONDS: Final = 1.0
"""A job's start is told in milliseconds, and may be rounded."""

_TOLD: Final = ("failed", "hopeless")
_WELL: Final = ("ended", "time budget spent")
"""Outcomes of a command behind which a study comes."""

_Found = TypeVar("_Found")


@dataclass(kw_only=True)
class Follower:
    """Submits a sweep, or finds it at work, and follows it to its end.

    Attributes:
        ended_well: whether it came to its end there, so that there is something to study.
    """

    order: Order
    channel: Channel
    console: Console
    ended_well: bool = False
    _parts: Parts | None = None
    _seen: Watched | None = None
    _said: set[tuple[str, int, int]] | None = field(default_factory=set)

    def fetch(self) -> None:
        """Brings the records home.

        Raises:
            UsageError: if the head is not reached or has none, or the folder here holds other records of the sweep.
        """
        reply, home = self._first("records")
        if not reply["parts"]:
            name, target = self.order.sweep.name, self.order.cluster.target
            raise UsageError(f"--fetch: no records of the sweep {name!r} in {reply['results']} on the head {target}")
        self._bring(home, reply["parts"], everything=True)
        self._bring_others(home, everything=True)
        self.say_records()

    def say_records(self) -> None:
        """Says where the records are."""
        self._say(f"records  {self.order.here}/*/{self.order.sweep.name}/*.parquet")

    def job(self) -> dict[str, Any]:
        """The job that works on the sweep: one that does already, or a new one.

        Raises:
            UsageError: if the head is not reached or has no Ray, or the folder here holds other records of the sweep.
        """
        order, (reply, _) = self.order, self._first("look")
        self._say(f"on the cluster {order.cluster.name}: {order.cluster.target}, records in {reply['results']}")
        if (found := reply["job"]) is not None:
            self._found(found)
            return dict(found)
        job = f"layersweep-{order.sweep.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        try:
            self._patiently(lambda: self._ask("submit", job=job, script=order.script, flags=[*order.flags]))
        except KeyboardInterrupt:
            self._say(f"stopped while {job} was submitted. If it was, the same command follows it: {order.again}")
            raise
        self._say(f"submitted {job}; it needs this machine no more, and the same command follows it")
        return {"id": job, "status": ACTIVE[0], "started": None}

    def _found(self, job: dict[str, Any]) -> None:
        self._said = None
        self._say(f"{job['id']} is at work there: following it")
        flags = job["metadata"].get("flags", "")
        if flags != shlex.join(self.order.flags):
            self._say(f"its flags are others: {flags or 'none'}. To stop it: {self._stop(job['id'])}", "yellow")

    def follow(self, job: dict[str, Any]) -> int:
        """Shows what a job does until it ends, brings its records home, and returns its exit code.

        Raises:
            BrokenOffError: if Ray on the head has ended, or the records cannot be kept here.
            KeyboardInterrupt: after Ctrl-C.
        """
        try:
            job, home = self._watch_to_the_end(job)
            self._bring(home, self._parts or {}, everything=True)
            self._bring_others(home, everything=True)
        except KeyboardInterrupt:
            self._say(f"{job['id']} goes on without this command. To follow it: {self.order.again}")
            self._say(f"To stop it: {self._stop(job['id'])}")
            raise
        except ResultsError as error:
            raise BrokenOffError(
                f"{error}. {job['id']} goes on without this command. To follow it: {self.order.again}"
            ) from error
        if self._seen is not None:
            if self._seen.ended:
                self._say(self._seen.machines())
            self._say(self._seen.summary(self.order.sweep.metric))
        return self._end(job)

    def _watch_to_the_end(self, job: dict[str, Any]) -> tuple[dict[str, Any], Home]:
        name = job["id"]
        with self._live() as live:
            while True:
                reply = self._patiently(lambda: self._ask("look", job=name))
                home = self._home_of(reply)
                if (now := reply["job"]) is None:
                    self._bring(home, reply["parts"], everything=True)
                    raise BrokenOffError(
                        f"Ray on the head does not know {name} any more: it was started anew meanwhile. Every recorded "
                        f"epoch is kept; the same command goes on: {self.order.again}"
                    )
                self._show(home, reply, now, live)
                if now["status"] not in ACTIVE:
                    return now, home
                time.sleep(POLL_SECONDS)

    def _live(self) -> AbstractContextManager[Live | None]:
        drawn = self.console.is_terminal
        return Live(console=self.console, auto_refresh=False, transient=True) if drawn else nullcontext()

    def _show(self, home: Home, reply: dict[str, Any], job: dict[str, Any], live: Live | None) -> None:
        """Brings what is new, says which trials have ended, and draws the table."""
        if reply["parts"] != self._parts:
            self._bring(home, reply["parts"])
            if "plan" in reply["parts"] and "plan" not in (self._parts or {}):
                self._bring_others(home)
            self._parts = reply["parts"]
            self._seen = self._watched(job["started"], reply["now"])
        elif self._seen is not None:
            self._seen = replace(self._seen, now=reply["now"])
        if self._seen is not None:
            self._say_ended(self._seen)
        if live is not None:
            waits = f"{job['id']}: {job['status'].lower()}"
            live.update(waits if self._seen is None else self._seen.table(self.order.sweep.metric), refresh=True)

    def _watched(self, began: float | None, now: float) -> Watched | None:
        """What the records here say of the job; None before it began."""
        if began is None:
            return None
        order, since = self.order, began - _CLOCK_SECONDS
        metric, mode = order.sweep.metric, order.sweep.mode
        return watch(order.here, order.sweep.name, metric=metric, mode=mode, since=since, now=now)

    def _say_ended(self, seen: Watched) -> None:
        """One line for each end that is new; in a terminal only for those that failed or were hopeless."""
        if self._said is None:  # the job was at work already
            self._said = {end.key for end in seen.ended}
            self._say(seen.summary(self.order.sweep.metric))
        for number, end in enumerate(seen.ended, 1):
            if end.key in self._said:
                continue
            self._said.add(end.key)
            if end.outcome in _TOLD:
                style = "red" if end.outcome == "failed" else "yellow"
                self._say(f"{end.outcome if end.final else 'tried again'} {end.label}: {end.why}", style)
            elif not self.console.is_terminal:
                final = sum(one.final for one in seen.ended[:number])
                self._say(f"[{final}/{seen.trials}] {_line(end, self.order.sweep.metric)}")

    def _end(self, job: dict[str, Any]) -> int:
        """Says how a job has ended if it did not end well; returns its exit code."""
        code = exit_code(job["status"], job["exit_code"])
        if code is None:
            ended = "was killed" if job["exit_code"] is None else f"ended with code {job['exit_code']}"
            why = f" ({job['message']})" if job["message"] and job["exit_code"] is None else ""
            self._say(f"the driver of {job['id']} {ended} without a last word{why}", "red")
        elif code == INTERRUPTED:
            self._say(f"{job['id']} was stopped", "yellow")
        outcome = self._seen.outcome if self._seen else None
        self.ended_well = code in (OK, FAILED, UNFINISHED) and outcome in _WELL
        if not self.ended_well and code != INTERRUPTED:
            self._say_log(job["id"])
        if code not in (OK, BAD_INPUT):
            self._say(f"every recorded epoch is kept. The same command goes on: {self.order.again}")
        return FAILED if code is None else code

    def _say_log(self, job: str) -> None:
        try:
            lines = self._patiently(lambda: self.channel.ask("log", job=job, lines=_LOG_LINES))["lines"]
        except BrokenOffError:
            return
        self._say(f"the last lines of its log on the head:{'' if lines else ' none'}")
        for line in lines:
            self._say(f"  {line}")

    def _first(self, do: str) -> tuple[dict[str, Any], Home]:
        """The first answer of the head, without which there is nothing to wait for; the folder here is taken for it."""
        try:
            reply = self._ask(do)
        except (LostError, HeadError) as error:
            raise self.order.refusal(error) from error
        home = self._home_of(reply)
        home.claim(reply["parts"])
        return reply, home

    def _home_of(self, reply: dict[str, Any]) -> Home:
        order = self.order
        return Home(results=order.here, sweep=order.sweep.name, cluster=order.cluster.name, there=reply["results"])

    def _bring(self, home: Home, parts: Parts, *, everything: bool = False) -> None:
        """Brings the records home; `parts` are those that the head has just named."""
        for path in home.set_aside(parts):
            self._say(f"the head has lost rows that were here: they are kept as {path}", "yellow")
        if parts:
            self._patiently(lambda: home.bring(self.channel.bring, everything=everything))

    def _bring_others(self, home: Home, *, everything: bool = False) -> None:
        """Brings the records of other sweeps that have trained trials of this one, where that loses nothing here."""
        for name, parts in self._patiently(self._ask_others).items():
            other = replace(home, sweep=name)
            try:
                with alone(home.results, name):
                    other.claim(parts)
                    self._bring(other, parts, everything=everything)
            except (UsageError, ResultsError) as error:
                if everything:
                    self._say(
                        f"some of its trials are recorded by the sweep {name!r} and not brought: {error}", "yellow"
                    )

    def _ask_others(self) -> dict[str, Parts]:
        try:
            return dict(self._ask("others")["others"])
        except HeadError:  # damaged records, which the sweep there speaks of
            return {}

    def _ask(self, do: str, **what: Any) -> dict[str, Any]:
        return self.channel.ask(do, sweep=self.order.sweep.name, results=self.order.there, **what)

    def _patiently(self, act: Callable[[], _Found]) -> _Found:
        """Does what needs the head, as often as it takes to reach it.

        Raises:
            BrokenOffError: if the head is reached, but Ray does not answer there.
        """
        wait, said, refused = POLL_SECONDS, False, 0.0
        while True:
            try:
                found = act()
            except LostError as error:
                problem = f"lost the head ({error}); the sweep goes on there. Trying to reach it …"
            except HeadError as error:
                problem = f"the head is reached, but: {error}. Trying again …"
                refused += wait
                if refused > HEAD_PATIENCE_SECONDS:
                    raise self.order.broken_off(error) from error
            else:
                if said:
                    self._say("the head is reached again")
                return found
            if not said:
                self._say(problem, "yellow")
            said = True
            time.sleep(wait)
            wait = min(LONGEST_WAIT_SECONDS, 2 * wait)

    def _stop(self, job: str) -> str:
        """The command line that stops a job."""
        cluster = self.order.cluster
        key = [] if cluster.key is None else ["-i", str(cluster.key)]
        stop = f"RAY_AUTH_MODE=token {cluster.project}/.venv/bin/ray job stop --address {DASHBOARD} {job}"
        return f"{shlex.join(['ssh', *key, cluster.target])} {stop!r}"

    def _say(self, line: str, style: str | None = None) -> None:
        self.console.print(line, style=style, markup=False, soft_wrap=True)


def exit_code(status: str, driver: int | None) -> int | None:
    """The exit code of a sweep's job; None if the driver ended otherwise than a sweep's command does."""
    if status == "STOPPED":
        return INTERRUPTED
    if status == "SUCCEEDED":
        return OK
    return driver if driver in (FAILED, BAD_INPUT, UNFINISHED, INTERRUPTED) else None


def _line(end: Ended, metric: str) -> str:
    value = "" if end.value is None else f", {metric} {end.value:.4f}"
    host = "" if end.host is None else f", on {end.host}"
    return f"{end.label}: {end.outcome} after {count(end.epochs, 'epoch')}{value}{host}"

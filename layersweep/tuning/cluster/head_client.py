"""The head of a cluster as one sweep uses it: asked until it answers, its records copied to this machine."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from rich.console import Console

from layersweep.records import requests
from layersweep.records.errors import ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.records.requests import Request
from layersweep.tuning.cluster import head_answers
from layersweep.tuning.cluster.cluster_request import ClusterRequest
from layersweep.tuning.cluster.head_answers import Answer, HeadError, Look, Records
from layersweep.tuning.cluster.head_channel import Channel, NotReachedError
from layersweep.tuning.cluster.local_records import LocalRecords, Parts
from layersweep.tuning.common.errors import UsageError

FIRST_WAIT_SECONDS: Final = 2.0
"""The wait before a second attempt to reach the head; it doubles with each attempt."""

LONGEST_WAIT_SECONDS: Final = 60.0
"""The longest wait between two attempts."""

HEAD_PATIENCE_SECONDS: Final = 120.0
"""If ssh reaches the head, but Ray does not answer there for this time, its job is given up."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class HeadClient:
    """Asks the head about one sweep, and copies its records; prints problems on the console."""

    request: ClusterRequest
    channel: Channel
    console: Console

    def say(self, line: str, style: str | None = None) -> None:
        """Prints a line."""
        self.console.print(line, style=style, markup=False, soft_wrap=True)

    def look(self, job: str | None = None) -> Look:
        """The records, the clock and the job of that id on the head; without an id, the job that runs the sweep now.

        Raises:
            NotReachedError, HeadError: if there is no answer, or it is not valid.
        """
        return head_answers.look(self._ask("look", job=job), job)

    def send_script(self) -> None:
        """Sends the script and the files beside it, if they are not the project's.

        Raises:
            NotReachedError, HeadError: if there is no answer, or they cannot be written there.
        """
        files = self.request.script_files
        if files is not None:
            self.channel.ask("script", name=files.name, archive=base64.b64encode(files.archive()).decode())

    def send_first_script(self) -> None:
        """Sends the script, when nothing else has been asked of the head.

        Raises:
            UsageError: if the head does not answer.
        """
        try:
            self.send_script()
        except (NotReachedError, HeadError) as error:
            raise self.request.refusal(error) from error

    def submit(self, job: str) -> None:
        """Submits the sweep's script as a job of this id, unless there is one.

        Raises:
            NotReachedError, HeadError: if there is no answer.
        """
        self.send_script()
        request = self.request
        own = {} if request.script_files is None else {"commit": request.script_commit}
        self._ask("submit", job=job, command=[request.script, *request.flags], **own)

    def send_requests(self) -> None:
        """Hands what people ask of the sweep on this machine on to the head, and removes it here.

        Raises:
            NotReachedError: if the head is not reached; the request stays for the next time.
            ResultsError: if it cannot be removed here.
        """
        for request in self._requests():
            try:
                self._ask("request", request=request.json)
            except HeadError as error:
                answer = f"refused by the head: {error}"
            else:
                answer = "sent to the head"
            requests.remove(self.request.local_results, request)
            self.say(f"request to {request.text}: {answer}", "yellow")

    def discard_requests(self) -> None:
        """Removes requests that are older than the job: they were to another one.

        Raises:
            ResultsError: if they cannot be removed.
        """
        for request in self._requests():
            requests.remove(self.request.local_results, request)
            self.say(f"discarded a request that is older than the job: {request.text}", "yellow")

    def _requests(self) -> list[Request]:
        local_results, sweep = self.request.local_results, self.request.sweep.name
        return requests.pending(local_results, sweep, warn=lambda line: self.say(f"warning: {line}", "yellow"))

    def log_lines(self, job: str, most: int) -> tuple[str, ...]:
        """The last lines of what a job printed.

        Raises:
            NotReachedError, HeadError: if there is no answer, or it is not valid.
        """
        return head_answers.log_lines(self.channel.ask("log", job=job, lines=most), most)

    def first_look(self) -> Look:
        """The first answer of the head, for whose records the folder here is claimed.

        Raises:
            UsageError: if the head does not answer, or the folder here holds other records of the sweep.
        """
        return self._claimed(self.look, lambda look: look.records)

    def first_records(self) -> Records:
        """The records on the head, for which the folder here is claimed; the head needs no Ray.

        Raises:
            UsageError: if the head does not answer, or the folder here holds other records of the sweep.
        """
        return self._claimed(lambda: head_answers.records(self._ask("records")), lambda records: records)

    def _claimed(self, question: Callable[[], _Result], records_of: Callable[[_Result], Records]) -> _Result:
        try:
            result = question()
        except (NotReachedError, HeadError) as error:
            raise self.request.refusal(error) from error
        records = records_of(result)
        self.local_records(records).claim(records.parts)
        return result

    def _ask(self, question: str, **arguments: Any) -> Answer:
        request = self.request
        return self.channel.ask(question, sweep=request.sweep.name, results=request.remote_results, **arguments)

    def local_records(self, records: Records) -> LocalRecords:
        """The local copy of the records on the head."""
        request = self.request
        return LocalRecords(
            results=request.local_results,
            sweep=request.sweep.name,
            cluster=request.cluster.name,
            remote_results=records.results,
        )

    def retry(self, action: Callable[[], _Result]) -> _Result:
        """Runs an action that needs the head, again and again until the head is reached.

        Raises:
            BrokenOffError: if ssh reaches the head, but Ray does not answer there.
        """
        wait, has_warned, refused_seconds = FIRST_WAIT_SECONDS, False, 0.0
        while True:
            try:
                result = action()
            except NotReachedError as error:
                problem = f"lost the connection to the head ({error}). The sweep goes on there. Trying to reconnect …"
            except HeadError as error:
                problem = f"ssh reaches the head, but: {error}. Trying again …"
                refused_seconds += wait
                if refused_seconds > HEAD_PATIENCE_SECONDS:
                    raise self.request.broken_off(error) from error
            else:
                if has_warned:
                    self.say("the head answers again")
                return result
            if not has_warned:
                self.say(problem, "yellow")
            has_warned = True
            time.sleep(wait)
            wait = min(LONGEST_WAIT_SECONDS, 2 * wait)

    def fetch(self, records: LocalRecords, parts: Parts, *, everything: bool = False) -> None:
        """Copies records to this machine; `parts` are those that the head has.

        Raises:
            BrokenOffError: if Ray does not answer on the head.
            ResultsError: if the folder here cannot be written.
        """
        for path in records.set_aside_lost(parts):
            self.say(f"the head has lost rows that this machine has: they are kept in {path}", "yellow")
        if parts:
            self.retry(lambda: records.fetch(self.channel.copy_folder, everything=everything))

    def fetch_other_sweeps(self, records: LocalRecords, *, everything: bool = False) -> None:
        """Copies the records of other sweeps that have trained trials of this one, where that loses nothing here."""
        for name, parts in self.retry(self._other_sweeps).items():
            others = replace(records, sweep=name)
            try:
                with sweep_lock(records.results, name):
                    others.claim(parts)
                    self.fetch(others, parts, everything=everything)
            except (UsageError, ResultsError) as error:
                if everything:
                    self.say(
                        f"some of its trials are recorded by the sweep {name!r}, which is not copied: {error}", "yellow"
                    )

    def _other_sweeps(self) -> dict[str, Parts]:
        try:
            return head_answers.others(self._ask("others"))
        except HeadError:  # damaged records, which the sweep on the head reports
            return {}

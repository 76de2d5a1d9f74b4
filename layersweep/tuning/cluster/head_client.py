"""The head of a cluster as one sweep uses it: asked until it answers, its records copied to this machine."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from rich.console import Console

from layersweep.records.errors import ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.tuning.cluster.cluster_request import ClusterRequest
from layersweep.tuning.cluster.head_channel import Channel, HeadError, NotReachedError
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

    def ask(self, question: str, **arguments: Any) -> dict[str, Any]:
        """The head's answer to a question about the sweep.

        Raises:
            NotReachedError, HeadError: if there is none.
        """
        request = self.request
        return self.channel.ask(question, sweep=request.sweep.name, results=request.remote_results, **arguments)

    def ask_first(self, question: str) -> tuple[dict[str, Any], LocalRecords]:
        """The first answer of the head, with the records here, which are claimed for the cluster.

        Raises:
            UsageError: if the head does not answer, or the folder here holds other records of the sweep.
        """
        try:
            reply = self.ask(question)
        except (NotReachedError, HeadError) as error:
            raise self.request.refusal(error) from error
        records = self.local_records(reply)
        records.claim(reply["parts"])
        return reply, records

    def local_records(self, reply: dict[str, Any]) -> LocalRecords:
        """The local copy of the records that an answer of the head names."""
        request = self.request
        return LocalRecords(
            results=request.local_results,
            sweep=request.sweep.name,
            cluster=request.cluster.name,
            remote_results=reply["results"],
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
            return dict(self.ask("others")["others"])
        except HeadError:  # damaged records, which the sweep on the head reports
            return {}

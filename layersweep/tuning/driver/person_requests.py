"""Honours what people ask of a running sweep (`layersweep.records.requests`), and records what became of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from layersweep.formatting import count
from layersweep.records import requests
from layersweep.records.errors import ResultsError
from layersweep.records.requests import Request
from layersweep.tuning.driver.trial_events import TrialEvents
from layersweep.tuning.experiment.settings import Settings


def _no_records(_request: Request, _outcome: str) -> None:
    """For a command whose run has not begun."""


class PersonRequests:
    """The requests to one command, from its start to its end.

    A request is honoured once. Its file is removed when what became of it is on the disk.

    Args:
        settings: the command's flags.
        sweep: the name of its sweep.

    Attributes:
        record: adds a row of what became of a request.
        more_seeds: how many seeds the command is to add to each arm when its trials have ended.
    """

    def __init__(self, settings: Settings, sweep: str) -> None:
        self._results: Path = settings.results
        self._settings, self._sweep = settings, sweep
        self._seen_ids: set[str] = set()
        self._recorded: list[Request] = []
        self.record: Callable[[Request, str], None] = _no_records
        self.more_seeds = 0

    def discard_earlier(self, say: Callable[[str], None]) -> None:
        """Removes the requests that were made before the command began: they were to another one.

        Raises:
            ResultsError: if they cannot be removed.
        """
        for request in requests.pending(self._results, self._sweep, warn=say):
            requests.remove(self._results, request)
            say(f"discarded a request that is older than this command: {request.text}")

    def honour(self, events: TrialEvents) -> None:
        """Does what people have asked since the last call, and says so; never raises."""
        for request in requests.pending(self._results, self._sweep, warn=events.display.warn):
            if request.id in self._seen_ids:  # its file could not be removed
                continue
            self._seen_ids.add(request.id)
            outcome = self._honour(request, events)
            self.record(request, outcome)
            self._recorded.append(request)
            events.display.say(f"request to {request.text}: {outcome}", style="yellow")

    def remove_recorded(self) -> None:
        """Removes the files of requests whose rows are written; one that stays is not honoured again."""
        while self._recorded:
            try:
                requests.remove(self._results, self._recorded.pop())
            except ResultsError:
                continue

    @property
    def seeds(self) -> int:
        """The seeds of each arm, with those that people have added."""
        return self._settings.seeds + self.more_seeds

    def take_more_seeds(self) -> Settings:
        """The flags with the seeds that people have added, for the next run of this command."""
        self._settings, self.more_seeds = replace(self._settings, seeds=self.seeds), 0
        return self._settings

    def _honour(self, request: Request, events: TrialEvents) -> str:
        match request.action:
            case requests.STOP_TRIAL:
                return events.stop_trial(request.trial_id or "")
            case requests.STOP_SWEEP:
                return events.stop_sweep()
            case _:
                return self._add_seeds(request.seeds or 0, events)

    def _add_seeds(self, seeds: int, events: TrialEvents) -> str:
        if self._settings.folds:
            return "refused: its arms are compared on folds, so more seeds would not add to them"
        if events.queue.closed:
            return "refused: the sweep ends after its running trials"
        self.more_seeds += seeds
        return f"when the present trials have ended, it goes on to {count(self.seeds, 'seed')}"

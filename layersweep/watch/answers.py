"""What the server says: the page of one sweep or of several, what has changed there, and a person's requests.

Names and ids of an address are looked up among the recorded ones, and are never paths.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from layersweep.escaping import to_json
from layersweep.records.errors import ResultsError
from layersweep.watch.access import RefusedError
from layersweep.watch.live_sweep import LiveSweep, Payload, live_sweep
from layersweep.watch.sweep_list import SweepList

Query = Mapping[str, Sequence[str]]

_VERSIONS: Final = 3
"""So many versions of a page's values stay, so that a browser gets only what has changed since."""

_MOST_SWEEPS: Final = 10


class _Page:
    """The values of one page, in their last versions."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._payload: Payload | None = None
        self._values: dict[int, Mapping[str, Any]] = {0: {}}

    def update(self, payload: Payload) -> tuple[int, Mapping[str, Any]]:
        """The present version and its values."""
        from layersweep.studies.pages.page_values import page_values

        version, values = next(reversed(self._values.items()))
        if self._payload is None or self._payload != payload:
            self._payload, new_values = payload, page_values(payload)
            if values != new_values:
                version, values = version + 1, new_values
                self._values[version] = values
                for old in [*self._values][:-_VERSIONS]:
                    del self._values[old]
        return version, values

    def changes(self, since: int, version: int) -> Mapping[str, Any]:
        """What a page of an earlier version needs; everything if that version is not known any more."""
        from layersweep.studies.pages.page_values import changes

        return changes(self._values.get(since, {}), self._values[version])


class RecordedAnswers:
    """The answers from the records of a results folder.

    Args:
        results: the results folder.
        sweeps: the sweeps that the page shows unless its address names others; if empty, it lists all.
        open_sweep: the recorded sweep of a name.
    """

    def __init__(
        self, results: Path, sweeps: Sequence[str] = (), open_sweep: Callable[[Path, str], LiveSweep] = live_sweep
    ) -> None:
        self._results, self._sweeps, self._open_sweep = results, tuple(sweeps), open_sweep
        self._lock = threading.Lock()
        self._live_sweeps: dict[str, LiveSweep] = {}
        self._pages: dict[tuple[str, ...], _Page] = {}
        self._list = SweepList(results)

    def page(self, query: Query, nonce: str) -> str:
        """The page of the sweeps in the address, else of this server's, else the list."""
        from layersweep.studies.pages import view_page

        names = self._names(query)
        if not names:
            return self.sweeps(query, nonce)
        page = self._page(names)
        with page.lock:
            version, values = page.update(self._payload(names))
        return view_page.html(values, live={"query": _address(names), "version": version, "nonce": nonce})

    def sweeps(self, query: Query, nonce: str) -> str:
        """The page with the list of sweeps."""
        return self._list.page(nonce)

    def updates(self, query: Query) -> str:
        """What has changed since a version."""
        names, since = self._names(query), query.get("since", ["0"])[-1]
        if not since.isascii() or not since.isdecimal() or not names:
            raise RefusedError(400, "an update is of a sweep, since the number of a version")
        page = self._page(names)
        with page.lock:
            version, _ = page.update(self._payload(names))
            known_version = int(since) if len(since) < len(str(1 << 63)) else 0
            return to_json({**page.changes(known_version, version), "version": version})

    def trial(self, query: Query) -> str:
        """The details of one trial, as HTML."""
        from layersweep.studies.pages.page_values import trial_html

        names = self._names(query)
        sweep, trial_id = self._trial(names, query.get("id", [""])[-1])
        key = trial_id if len(names) == 1 else f"{sweep}:{trial_id}"
        try:
            details = self._live_sweep(sweep).details(trial_id)
            return to_json({"html": trial_html({**self._payload(names), "details": {key: details}}, key)})
        except ResultsError as error:
            raise RefusedError(404, str(error)) from error

    def request(self, body: bytes) -> str:
        """Puts a request to a running sweep, whose command finds it within a second."""
        from layersweep.records import requests

        sweep, action, trial_id, seeds = self._requested(body)
        if not self._live_sweep(sweep).payload()["state"]["running"]:
            raise RefusedError(409, f"the sweep {sweep} is not running: there is nothing to ask of it")
        try:
            request = requests.put(self._results, sweep, action, trial_id=trial_id, seeds=seeds)
        except ResultsError as error:
            raise RefusedError(400, str(error)) from error
        return to_json({"sentence": f"the sweep {sweep} was asked to {request.text}"})

    def _requested(self, body: bytes) -> tuple[str, str, str | None, int | None]:
        """The sweep, the action, the trial and the seeds of a request."""
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            raise RefusedError(400, "a request is JSON") from None
        names = ("sweep", "action", "trial_id", "seeds")
        if not isinstance(values, dict) or values.keys() - {*names}:
            raise RefusedError(400, f"a request has {', '.join(names)}")
        sweep, action, trial_id, seeds = (values.get(name) for name in names)
        if not isinstance(action, str) or not isinstance(sweep, str):
            raise RefusedError(400, "a request has a sweep and an action")
        if trial_id is None:
            (sweep,) = self._known([sweep])
            return sweep, action, None, seeds
        name, colon, _ = str(trial_id).rpartition(":")
        sweep, trial_id = self._trial(self._known([name if colon else sweep]), str(trial_id))
        return sweep, action, trial_id, seeds

    def _names(self, query: Query) -> tuple[str, ...]:
        return self._known(query.get("sweep", self._sweeps))

    def _known(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names, each once, if they are recorded. This server's own sweep may have no row yet."""
        if len({*names}) > _MOST_SWEEPS:
            raise RefusedError(400, f"a page has at most {_MOST_SWEEPS} sweeps")
        for name in names:
            self._live_sweep(name)
        return tuple(dict.fromkeys(names))

    def _live_sweep(self, name: str) -> LiveSweep:
        from layersweep.records.overview import check_recorded

        with self._lock:
            if name not in self._live_sweeps:
                try:
                    if name not in self._sweeps:
                        check_recorded(self._results, name)
                except ResultsError as error:
                    raise RefusedError(404, str(error)) from error
                self._live_sweeps[name] = self._open_sweep(self._results, name)
            return self._live_sweeps[name]

    def _page(self, names: tuple[str, ...]) -> _Page:
        with self._lock:
            return self._pages.setdefault(names, _Page())

    def _payload(self, names: Sequence[str]) -> Payload:
        from layersweep.studies.views.combination import combine

        return combine([self._live_sweep(name).payload() for name in names])

    def _trial(self, names: Sequence[str], text: str) -> tuple[str, str]:
        """The sweep and the id of a trial, which a page of several sweeps writes as `NAME:ID`."""
        name, _, trial_id = text.rpartition(":")
        for sweep in [name] if name in names else names if not name else ():
            if trial_id in self._live_sweep(sweep).payload()["trials"]["id"]:
                return sweep, trial_id
        raise RefusedError(404, "no such trial is recorded")


def _address(names: Sequence[str]) -> str:
    return urlencode([("sweep", name) for name in names])

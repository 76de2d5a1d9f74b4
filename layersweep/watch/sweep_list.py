"""The page with the list of the recorded sweeps: those that run first, with their state and their answer."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from layersweep.escaping import to_html
from layersweep.formatting import count
from layersweep.records.errors import ResultsError

if TYPE_CHECKING:
    from layersweep.records.overview import Summary

_ANSWER_SECONDS: Final = 3.0
"""A list does not wait longer for answers; the next one has more of them."""
_REFRESH_SECONDS: Final = 2.0
_STYLE: Final = """
body { margin: 0 auto; max-width: 70rem; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
a { color: inherit; }
.quiet { color: var(--muted); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .7rem; border-bottom: 1px solid var(--grid); text-align: left; vertical-align: top; }
th { color: var(--muted); font-weight: 500; }
td:last-child { min-width: 14rem; }
"""
_COLUMNS: Final = ("sweep", "state", "trials", "last run (UTC)", "answer")


class SweepList:
    """The list of the sweeps of a results folder.

    Args:
        results: the results folder.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[Summary, str]] = {}
        self._body: Sequence[str] = ()
        self._next_refresh = -float("inf")

    def page(self, nonce: str) -> str:
        """The page; its one script, with this nonce, takes the token out of the browser's address."""
        from layersweep.studies.pages import page

        with self._lock:
            if time.monotonic() >= self._next_refresh:
                self._body = self._elements()
                self._next_refresh = time.monotonic() + _REFRESH_SECONDS
            script = f'<script nonce="{nonce}">history.replaceState(null, "", location.pathname)</script>'
            return page.page("Sweeps", [f"<style>{_STYLE}</style>", *self._body, script])

    def _elements(self) -> list[str]:
        from layersweep.records.lock import is_busy
        from layersweep.records.overview import summaries

        heading = f"<h1>Sweeps</h1><p class='quiet'>{to_html(str(self._results.absolute()))}</p>"
        try:
            summary_list = summaries(self._results)
        except ResultsError as error:
            return [heading, f"<p>{to_html(str(error))}</p>"]
        if not summary_list:
            return [heading, "<p>No sweep is recorded here yet.</p>"]
        running = {summary.sweep: is_busy(self._results, summary.sweep) for summary in summary_list}
        order = sorted(summary_list, key=lambda each: (not running[each.sweep], -_seconds(each), each.sweep))
        deadline = time.monotonic() + _ANSWER_SECONDS
        rows = [_row(each, self._answer(each, deadline), is_running=running[each.sweep]) for each in order]
        titles = "".join(f"<th scope='col'>{title}</th>" for title in _COLUMNS)
        table = f"<table class='facts'><thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        return [heading, f"<div class='wide'>{table}</div>"]

    def _answer(self, summary: "Summary", deadline: float) -> str:
        """The answer of a sweep's study, computed anew only if its records have changed and there is time."""
        from layersweep.studies.earlier_records import question_of
        from layersweep.studies.recorded_comparison import load
        from layersweep.studies.statistics.judgement import Criteria
        from layersweep.studies.wording.answer_sentences import answer

        known = self._answers.get(summary.sweep)
        if known is not None and known[0] == summary:
            return known[1]
        if time.monotonic() > deadline:
            return "" if known is None else known[1]
        try:
            criteria = Criteria(metric=question_of(self._results, summary.sweep).metric)
            text = answer(load(self._results, summary.sweep, criteria=criteria)[0])
        except ResultsError as error:
            text = str(error)
        self._answers[summary.sweep] = summary, text
        return text


def _row(summary: "Summary", answer: str, *, is_running: bool) -> str:
    outcomes = [f"{number:,} {outcome}" for outcome, number in summary.outcomes.items()]
    trials = ", ".join([*outcomes, f"{summary.unfinished:,} unfinished"] if summary.unfinished else outcomes)
    state = "running" if is_running else _ended(summary)
    at = f"{summary.last_run:%Y-%m-%d %H:%M}" if summary.last_run else ""
    link = f'<a href="./?sweep={to_html(quote(summary.sweep, safe=""))}">{to_html(summary.sweep)}</a>'
    epochs = count(summary.epochs, "epoch")
    cells = [link, *map(to_html, (state, trials or epochs, at, answer))]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _ended(summary: "Summary") -> str:
    from layersweep.records.overview import RUNNING_OR_KILLED

    if summary.last_outcome == RUNNING_OR_KILLED:
        return "killed, or running on another machine"
    return summary.last_outcome or ""


def _seconds(summary: "Summary") -> float:
    return summary.last_run.timestamp() if summary.last_run else 0.0

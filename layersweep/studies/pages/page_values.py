"""What the page of a sweep shows: texts, tables, and the columns of its figures, from the prepared values of the views.

The page in the browser only filters, selects and sorts these values; nothing is computed there. While a sweep runs,
the page gets the changes of them.
"""

from collections.abc import Mapping
from typing import Any, Final

from layersweep.formatting import count, duration
from layersweep.studies.pages import trial_part
from layersweep.studies.pages.figure_columns import Arms, Columns, Payload, figure_columns

_TEXTS: Final = (
    "sweep", "question", "metric", "state", "answer", "sentences", "cautions", "notes", "arms", "curves_note",
    "importance_note", "provenance",
)  # fmt: skip


def page_values(payload: Payload) -> dict[str, Any]:
    """The values of a page: the payload's texts and tables, and `sources`, the columns of each figure by name."""
    arms = Arms(payload)
    columns, trials = _trials(payload, arms)
    sources = {"trials": trials, **figure_columns(payload)}
    texts = {name: payload[name] for name in _TEXTS if name in payload}
    return {
        **texts,
        "arms": _arm_table(payload["arms"]),
        "cost": _cost(payload["state"]),
        "styles": dict(zip(arms.names, arms.styles, strict=True)),
        "trial_columns": columns,
        "sources": sources,
        "details": {key: trial_html(payload, key) for key in payload["details"]},
    }


def trial_html(payload: Payload, trial_id: str) -> str:
    """What the page shows of one trial, as HTML; its details are in the payload."""
    trials = payload["trials"]
    place = trials["id"].index(trial_id)
    row = {name: trials[name][place] for name in ("id", "seed", "state", "epoch", "epochs", "reason")}
    arm = payload["arm_names"][trials["arm"][place]]
    return trial_part.html({**row, "arm": arm}, payload["details"][trial_id])


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What a page with the old values needs to show the new ones; empty if nothing has changed.

    A source with a column `key` is given by its changed rows, and by the keys of all rows in their order if that
    changed; others, and texts, as a whole.
    """
    changed = {
        name: value for name, value in new.items() if name not in ("sources", "details") and old.get(name) != value
    }
    for name in ("sources", "details"):
        parts = {
            key: _rows_changed(old.get(name, {}).get(key), value) if name == "sources" else value
            for key, value in new.get(name, {}).items()
            if old.get(name, {}).get(key) != value
        }
        if parts:
            changed[name] = parts
    return changed


def _rows_changed(old: Columns | None, new: Columns) -> dict[str, Any]:
    if old is None or "key" not in new or len({*new["key"]}) < len(new["key"]):
        return {"columns": new}
    places = {key: i for i, key in enumerate(old["key"])}
    rows = [
        i
        for i, key in enumerate(new["key"])
        if (place := places.get(key)) is None or any(new[name][i] != old[name][place] for name in new)
    ]
    part: dict[str, Any] = {"rows": {name: [column[i] for i in rows] for name, column in new.items()}}
    return part if old["key"] == new["key"] else part | {"keys": new["key"]}


def _cost(state: Mapping[str, Any]) -> str:
    """The time of slots that the sweep has spent."""
    if not state["slot_hours"]:
        return ""
    slots = f" on {count(state['slots'], 'slot')}" if state["slots"] else ""
    return f"{duration(3600 * state['slot_hours'])} of slot time spent{slots}"


def _arm_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table of arms; a narrow page shows its first columns of results."""
    columns = [{**column, "narrow": column["name"] in _NARROW_ARMS} for column in table["columns"]]
    rows = [{name: row[name] for name in ("arm", "cells", "values")} for row in table["rows"]]
    return {"columns": columns, "rows": rows}


_TRIAL_COLUMNS: Final[Mapping[str, str]] = {
    "key": "trial", "arm": "arm", "seed": "seed", "fold": "fold", "question": "question", "state": "state",
    "epoch": "epoch", "epochs": "planned", "value": "last value", "best": "best value",
    "seconds": "seconds", "attempts": "attempts", "host": "host", "reason": "reason",
}  # fmt: skip
_TEXT_COLUMNS: Final = ("key", "arm", "question", "state", "host", "reason")
_SHOWN: Final = ("arm", "seed", "fold", "state", "epoch", "epochs", "value", "best", "reason")
_NARROW_ARMS: Final = ("arm", "mean", "so_far", "verdict", "state")
_NARROW: Final = ("arm", "seed", "state", "value")
"""The columns that a narrow page shows."""


def _trials(payload: Payload, arms: Arms) -> tuple[list[dict[str, Any]], Columns]:
    """The columns of the table of trials that have a value, and the rows of all trials."""
    trials = payload["trials"]
    names = [arms.names[arm] for arm in trials["arm"]]
    rows: Columns = {name: list(trials[name]) for name in _TRIAL_COLUMNS if name in trials}
    rows |= {"key": list(trials["id"]), "arm": names}
    headings = dict(_TRIAL_COLUMNS)
    for key in payload["keys"]:
        column = f"config {key['name']}"
        rows[column], headings[column] = list(trials["config"][key["name"]]), key["name"].replace("_", " ")
    always = ("key", "arm", "state")
    rows = {name: column for name, column in rows.items() if name in always or any(v not in (None, "") for v in column)}
    columns = [
        {
            "name": name,
            "heading": heading,
            "is_text": name in _TEXT_COLUMNS or any(isinstance(value, str) for value in rows[name]),
            "shown": name in _SHOWN,
            "narrow": name in _NARROW,
        }
        for name, heading in headings.items()
        if name in rows
    ]
    return columns, rows

"""Several sweeps as one page: their arms and trials side by side, each with its sweep's name in front."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from layersweep.records.metrics import METRICS

Payload = Mapping[str, Any]

_BINS: Final = 120
_TEXTS: Final = ("question", "answer", "curves_note", "importance_note")


def combine(payloads: Sequence[Payload]) -> Payload:
    """The values of a page with several sweeps. The id of a trial is `NAME:ID`, since sweeps may share trials."""
    if len(payloads) == 1:
        return payloads[0]
    first = payloads[0]
    sweeps = [payload["sweep"] for payload in payloads]
    offsets = [0, *accumulate(len(payload["arm_names"]) for payload in payloads)]
    keys = _keys(payloads)
    numbered = list(zip(payloads, offsets, strict=False))
    return {
        **first,
        "sweep": ", ".join(sweeps),
        "sweeps": sweeps,
        "epochs": max(payload["epochs"] for payload in payloads),
        "state": _state(payloads),
        **{name: "\n".join(_with_name(payloads, name)) for name in _TEXTS},
        "sentences": _lines(payloads, "sentences"),
        "cautions": _lines(payloads, "cautions"),
        "notes": [*_differences(payloads), *_lines(payloads, "notes")],
        "arms": _arms(payloads),
        "arm_names": [f"{payload['sweep']}: {name}" for payload in payloads for name in payload["arm_names"]],
        "keys": keys,
        "trials": _trials(numbered, [key["name"] for key in keys]),
        "curves": _by_trial(payloads, "curves"),
        "rungs": _columns(numbered, "rungs"),
        "slots": _slots(payloads),
        **{name: _with_keys(payloads, name) for name in ("effects", "importance")},
        "pareto": _pareto(numbered),
        "confusion": [
            {**item, "arm": item["arm"] + start} for payload, start in numbered for item in payload["confusion"]
        ],
        "provenance": [
            [f"{payload['sweep']}: {name}", text] for payload in payloads for name, text in payload["provenance"]
        ],
        "details": _by_trial(payloads, "details"),
    }


def _with_name(payloads: Iterable[Payload], name: str) -> list[str]:
    return [f"{payload['sweep']}: {payload[name]}" for payload in payloads if payload[name]]


def _lines(payloads: Iterable[Payload], name: str) -> list[str]:
    return [f"{payload['sweep']}: {line}" for payload in payloads for line in payload[name]]


def _differences(payloads: Sequence[Payload]) -> list[str]:
    """What makes values of the sweeps hard to compare."""
    metrics = {METRICS[payload["metric"]].name for payload in payloads}
    note = f"the sweeps are judged by {' and '.join(sorted(metrics))}: their values are not comparable"
    others = "each sweep is compared within itself: verdicts and intervals are not between sweeps"
    return [note, others] if len(metrics) > 1 else [others]


def _state(payloads: Sequence[Payload]) -> dict[str, Any]:
    states = [payload["state"] for payload in payloads]
    seconds = [state["seconds_left"] for state in states if state["seconds_left"] is not None]
    slots = [state["slots"] for state in states if state["slots"] is not None]
    by_sweep = [{**state, "sweep": payload["sweep"]} for state, payload in zip(states, payloads, strict=True)]
    return {
        "running": any(state["running"] for state in states),
        "sentence": "\n".join(_with_name(by_sweep, "sentence")),
        "seconds_left": max(seconds, default=None),
        "slots": sum(slots) if slots else None,
        "slot_hours": sum(state["slot_hours"] for state in states),
        "look": "\n".join(_with_name(by_sweep, "look")),
    }


def _arms(payloads: Iterable[Payload]) -> dict[str, Any]:
    """The tables of arms below each other; a column that a sweep lacks is empty there.

    A column with different headings, as "at 3 epochs" and "at 6 epochs", has both.
    """
    columns: dict[str, Mapping[str, Any]] = {}
    headings: dict[str, dict[str, None]] = {}
    for payload in payloads:
        for column in payload["arms"]["columns"]:
            headings.setdefault(column["name"], {})[column["heading"]] = None
        columns = {column["name"]: column for column in payload["arms"]["columns"]} | columns
    columns = {name: {**column, "heading": " / ".join(headings[name])} for name, column in columns.items()}
    rows = []
    for payload in payloads:
        places = {column["name"]: i for i, column in enumerate(payload["arms"]["columns"])}
        for row in payload["arms"]["rows"]:
            name = f"{payload['sweep']}: {row['arm']}"
            cells = [row["cells"][places[column]] if column in places else "" for column in columns]
            values = [row["values"][places[column]] if column in places else None for column in columns]
            if "arm" in columns:
                place = list(columns).index("arm")
                cells[place] = values[place] = name
            rows.append({**row, "arm": name, "cells": cells, "values": values})
    return {"columns": list(columns.values()), "rows": rows}


def _keys(payloads: Iterable[Payload]) -> list[dict[str, Any]]:
    """The keys of all sweeps; one that is a text in some of them is a text in all."""
    keys: dict[str, dict[str, Any]] = {}
    for payload in payloads:
        for key in payload["keys"]:
            other = keys.setdefault(key["name"], {**key})
            if other["levels"] is None and key["levels"] is None:
                other["log"] = other["log"] or key["log"]
                continue
            levels = (level for each in payloads for level in _levels(each, key["name"]))
            other |= {"log": False, "levels": [*dict.fromkeys(levels)]}
    return list(keys.values())


def _levels(payload: Payload, key: str) -> list[str]:
    """The values of a key in one sweep, as texts."""
    levels = next((each["levels"] for each in payload["keys"] if each["name"] == key), None)
    values = payload["trials"]["config"].get(key, ())
    return levels or [str(value) for value in values if value is not None]


def _trials(numbered: Sequence[tuple[Payload, int]], keys: Sequence[str]) -> dict[str, Any]:
    config: dict[str, list[Any]] = {key: [] for key in keys}
    for payload, _ in numbered:
        trials = payload["trials"]
        for key in config:
            config[key] += trials["config"].get(key, [None] * len(trials["id"]))
    return {**_columns(numbered, "trials"), "config": config}


def _columns(numbered: Sequence[tuple[Payload, int]], table: str) -> dict[str, Any]:
    """The rows of a table below each other, with the numbers of the arms and the ids as the combination has them."""
    columns: dict[str, list[Any]] = {name: [] for name in numbered[0][0][table] if name != "config"}
    for payload, start in numbered:
        rows = payload[table]
        changed = {
            "arm": [arm + start for arm in rows["arm"]],
            "id": [f"{payload['sweep']}:{trial_id}" for trial_id in rows["id"]],
        }
        for name in columns:
            columns[name] += changed.get(name, rows[name])
    return columns


def _by_trial(payloads: Iterable[Payload], name: str) -> dict[str, Any]:
    return {f"{payload['sweep']}:{trial_id}": item for payload in payloads for trial_id, item in payload[name].items()}


def _with_keys(payloads: Iterable[Payload], name: str) -> list[dict[str, Any]]:
    return [{**item, "key": f"{payload['sweep']}: {item['key']}"} for payload in payloads for item in payload[name]]


def _pareto(numbered: Sequence[tuple[Payload, int]]) -> list[dict[str, Any]]:
    """The points of all sweeps; the front is that of each sweep, since its gains are tested there."""
    fronts: dict[str, dict[str, Any]] = {}
    for payload, start in numbered:
        for front in payload["pareto"]:
            other = fronts.setdefault(front["cost"], {**front, "arm": [], "x": [], "y": [], "front": []})
            other["arm"] += [arm + start for arm in front["arm"]]
            for name in ("x", "y", "front"):
                other[name] += front[name]
    return list(fronts.values())


def _slots(payloads: Iterable[Payload]) -> dict[str, Any]:
    """What the slots of all sweeps did, each counted from its own start, in bins of equal width."""
    slots = [payload["slots"] for payload in payloads if payload["slots"]["edges"]]
    if not slots:
        return {"edges": [], "classes": {}}
    end = max(each["edges"][-1] for each in slots)
    edges = [end * i / _BINS for i in range(_BINS + 1)]
    classes: dict[str, list[float]] = {}
    for each in slots:
        for name, values in each["classes"].items():
            means = [_mean(each["edges"], values, low, high) for low, high in pairwise(edges)]
            old = classes.get(name, [0.0] * _BINS)
            classes[name] = [round(a + b, 3) for a, b in zip(old, means, strict=True)]
    return {"edges": [round(edge, 1) for edge in edges], "classes": classes}


def _mean(edges: Sequence[float], values: Sequence[float], low: float, high: float) -> float:
    """The mean from `low` to `high` of what has these values between these edges, and is 0 beyond them."""
    overlaps = (max(0.0, min(high, b) - max(low, a)) for a, b in pairwise(edges))
    total = sum(value * overlap for value, overlap in zip(values, overlaps, strict=True))
    return total / (high - low) if high > low else 0.0

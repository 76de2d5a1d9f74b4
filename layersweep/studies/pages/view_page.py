"""The page of a sweep: to watch while it runs, and the report afterwards. It is one file, which needs no network.

Both are the same views on the same values. The report holds all of them; the page of a running sweep asks a server for
what has changed (`layersweep.watch`).
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from layersweep.escaping import to_html, to_script_json
from layersweep.formatting import capitalized
from layersweep.records.metrics import METRICS
from layersweep.studies.figures.style import COLOURS
from layersweep.studies.pages import page, plots

_SEARCH: Final = (
    '<input name="text" type="search" placeholder="search: adam seed=2" aria-label="search"><output id="shown">'
    "</output>"
)
_STATES: Final = ("waiting", "running", "completed", "stopped", "diverged", "hopeless", "failed", "unfinished")
_FEW_NOTES: Final = 3
_AXES: Final = {"epochs": "epoch", "seconds": "seconds of the trial"}
_CLOCKS: Final = {
    "epochs": "epochs of all trials", "seconds": "seconds since the start", "slot_seconds": "seconds of slots",
}  # fmt: skip


def html(values: Mapping[str, Any], *, sections: Sequence[str] = (), live: Mapping[str, Any] | None = None) -> str:
    """The page as HTML; every text of the values is escaped.

    Args:
        values: as `page_values` makes them.
        sections: HTML elements before the method: what the study says besides.
        live: for the page of a running sweep: `query`, the part of the address that names the sweeps; `version` of the
            values; `nonce`, which the server allows scripts by. None for a report.
    """
    from bokeh.embed import json_item

    figures = {name: json_item(plot, f"plot-{name}") for name, plot in plots.figures(values).items()}
    config = {
        "live": live is not None,
        "query": "",
        "version": 0,
        **{name: value for name, value in (live or {}).items() if name != "nonce"},
        "light": list(COLOURS),
        "dark": list(COLOURS.values()),
        "figures": list(figures),
        "axes": _AXES,
        "clocks": _CLOCKS,
        **_choices(values),
    }
    nonce = f' nonce="{to_html(live["nonce"])}"' if live else ""
    scripts = [
        _json_script("config", config),
        _json_script("values", values),
        _json_script("figures", list(figures.values())),
        f"<script{nonce}>{_bokeh()}</script>",
        f"<script{nonce}>{page.own_file('view_page.js')}</script>",
    ]
    noun = METRICS[values["metric"]].noun
    body = [
        *_head(values, live=live is not None),
        *_views(_choices(values), noun),
        *sections,
        *_provenance(values),
        *scripts,
    ]
    return page.page(values["question"], body)


def _head(values: Mapping[str, Any], *, live: bool) -> list[str]:
    buttons = page.action("Stop after the running trials", {"action": "stop_sweep"})
    buttons += page.action("One more seed for each arm", {"action": "add_seeds", "seeds": 1})
    is_open = " open" if len(values["notes"]) <= _FEW_NOTES else ""  # many notes would fill the first screen
    notes = f'<details{is_open}><summary class="quiet">notes</summary><ul id="notes"></ul></details>'
    states = page.select("state", {"": "all states", **{state: state for state in _STATES}})
    arms = page.select("arm", {"": "all arms", **{arm: arm for arm in sorted(values["styles"])}})
    command = f"layersweep records show {values['sweep']} TRIAL"
    return [
        f"<header><h1>{to_html(values['question'])}</h1>",
        '<p class="answer" data-text="answer"></p>',
        '<p data-text="state.sentence"></p><p class="quiet" data-text="cost"></p>',
        '<p class="quiet" data-text="state.look"></p>',
        f'<p class="actions" id="actions" hidden>{buttons}</p>' if live else "",
        f'<p id="connection" role="status"></p><ul id="cautions"></ul>{notes}</header>',
        f'<form id="controls" aria-label="filter of all views">{states}{arms}{_SEARCH}</form>',
        '<section id="trial" hidden></section>',
        f'<template id="no-details"><p>Its details: <code>{to_html(command)}</code></p></template>',
    ]


def _choices(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """The kinds of cost, and the confusion matrices, that there are."""
    columns = {"costs": ("pareto", "cost"), "matrices": ("confusion", "which")}
    return {name: [*dict.fromkeys(values["sources"][of][column])] or [""] for name, (of, column) in columns.items()}


_CAPTIONS: Final = {
    "differences": (
        "Lines are intervals that hold for all pairs of arms. One that does not reach 0 shows a difference to the "
        "leader. A dot without a line has no such interval: the seeds do not suffice."
    ),
    "seeds": (
        "Thick lines are means over seeds, up to the last epoch that all of them have; bands reach from the lowest to "
        "the highest seed. Failed, diverged and hopeless trials have no part in them, unless an arm has no others. "
        "To see one arm alone, click it in the table."
    ),
    "best": "Each arm on its own epochs or time, as if it had been trained alone; the grey line is all arms together.",
    "rungs": "A cross is a trial that was stopped there; grey dashes are the cutoffs.",
    "parallel": "A line is a trial. Its colour is that of its arm.",
    "pareto": "Named arms are on the front: no other arm is shown to be better at less cost.",
    "effects": "The effect of each choice on the mean of its arms; lines are 95 % intervals, each by itself.",
    "slots": "How many slots did what, all trials together: the filter has no effect here.",
    "lanes": "A bar is a trial, from its start to its end; trials in one row ran one after the other.",
    "confusion": "Images, summed over the seeds of one arm. A row is what an image is, a column what the model said.",
}


def _views(choices: Mapping[str, Sequence[str]], noun: str) -> list[str]:
    few = "lines of trials if there are few"
    lines = page.select("lines", {"auto": few, "all": "lines of all trials", "none": "no lines of trials"})
    top = page.select("top", {"5": "best 5 arms", "10": "best 10 arms", "25": "best 25 arms", "0": "all arms"})
    clock = page.select("clock", {"epochs": "by epochs", "seconds": "by seconds", "slot_seconds": "by slot-seconds"})
    x = page.select("x", {"epochs": "by epochs", "seconds": "by seconds"})
    cost, matrix = (
        page.select(name, {text: text for text in choices[of]})
        for name, of in (("cost", "costs"), ("matrix", "matrices"))
    )
    return [
        _table("arms", "Arms"),
        '<div id="sentences"></div>',
        _view("differences", "Difference to the leader"),
        _view("seeds", "Learning curves", plot="curves", options=[x, top, lines], text="curves_note"),
        '<div class="pair">',
        _view("best", "Best so far", options=[clock]),
        _view("rungs", "Rungs of early stopping"),
        _view("parallel", "Configurations"),
        _view("pareto", f"{capitalized(noun)} and cost", options=[cost]),
        _view("effects", "Effects"),
        _view("importance", "Importance", text="importance_note"),
        _view("slots", "What the slots did"),
        _view("lanes", "Trials over time"),
        _view("confusion", "Confused classes", options=[matrix]),
        "</div>",
        _table("trials", "Trials"),
    ]


def _view(source: str, heading: str, *, plot: str = "", options: Sequence[str] = (), text: str = "") -> str:
    note = f'<p class="quiet" data-text="{text}"></p>' if text else ""
    return (
        f'<section data-source="{source}"><h2>{to_html(heading)}</h2><div class="options">{"".join(options)}</div>'
        f'<div id="plot-{plot or source}"></div><p class="quiet">{_CAPTIONS.get(source, "")}</p>{note}</section>'
    )


def _table(name: str, heading: str) -> str:
    return (
        f'<section><h2>{heading}</h2><div class="wide"><table id="{name}"></table></div>'
        f'<p class="quiet" id="{name}-more"></p>'
        f'<details class="columns quiet"><summary>columns</summary><div id="{name}-columns"></div></details></section>'
    )


def _provenance(values: Mapping[str, Any]) -> list[str]:
    return ["<h2>How it was computed</h2>", page.facts(dict(values["provenance"]))]


def _json_script(name: str, value: Any) -> str:
    return f'<script type="application/json" id="{name}">{to_script_json(value)}</script>'


@cache
def _bokeh() -> str:
    """Bokeh's part for the browser, without its tables and widgets."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)

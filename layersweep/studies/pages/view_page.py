"""The page of a sweep: to watch while it runs, and the report afterwards. It is one file, which needs no network.

Both are the same views on the same values. The report holds all of them; the page of a running sweep asks a server for
what has changed (`layersweep.watch`).
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from layersweep.escaping import to_html, to_script_json
from layersweep.studies.figures.style import COLOURS, DARK
from layersweep.studies.pages import page, plots

_LAYERS: Final = ("layer", "kind", "parameters", "activation mean", "dead share", "weight norm", "gradient norm")


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
        "layers": _LAYERS,
        "figures": list(figures),
    }
    nonce = f' nonce="{to_html(live["nonce"])}"' if live else ""
    scripts = [
        _json_script("config", config),
        _json_script("values", values),
        _json_script("figures", list(figures.values())),
        f"<script{nonce}>{_bokeh()}</script>",
        f"<script{nonce}>{_own_file('view_page.js')}</script>",
    ]
    body = [*_head(values, live=live is not None), *_views(), *sections, *_provenance(values), *scripts]
    return page.document(values["question"], body, style=_own_file("view_page.css"))


def _head(values: Mapping[str, Any], *, live: bool) -> list[str]:
    actions = (
        ("Stop after the running trials", {"action": "stop_sweep"}),
        ("One more seed for each arm", {"action": "add_seeds", "seeds": 1}),
    )
    buttons = "".join(
        f'<button type="button" data-action="{to_html(json.dumps(action))}">{to_html(text)}</button> ' for text, action in actions
    )
    return [
        f"<header><h1>{to_html(values['question'])}</h1>",
        '<p class="answer" data-text="answer"></p>',
        '<p data-text="state.sentence"></p><p class="quiet" data-text="state.look"></p>',
        f'<p class="actions">{buttons}</p>' if live and values["state"]["running"] else "",
        '<p id="connection" role="status"></p><ul id="notes"></ul></header>',
        '<form id="controls" aria-label="filter of all views"><select name="state" aria-label="state"></select>'
        '<select name="arm" aria-label="arm"></select>'
        '<input id="text" name="text" type="search" placeholder="search, e.g. adam seed=2" aria-label="search">'
        '<output id="shown"></output></form>',
        '<section id="trial" hidden></section>',
    ]


def _views() -> list[str]:
    select = page.select
    lines = select("lines", {"auto": "lines of trials if there are few", "all": "lines of all trials", "none": "no lines of trials"})
    top = select("top", {"5": "best 5 arms", "10": "best 10 arms", "25": "best 25 arms", "0": "all arms"})
    clock = select("clock", {"epochs": "by epochs", "seconds": "by seconds", "slot_seconds": "by seconds of slots"})
    x = select("x", {"epochs": "by epochs", "seconds": "by seconds"})
    return [
        _table("arms", "Arms"),
        _view("differences", "Difference to the leader", "An arm whose line does not reach 0 is worse. Lines are intervals that hold for all pairs of arms at once."),
        _view("seeds", "Learning curves", "Thick lines are means over seeds up to the epoch that all of them have reached; bands reach from the lowest to the highest seed.", plot="curves", options=[x, top, lines]),
        '<div class="pair">',
        _view("best", "Best so far", "", options=[clock]),
        _view("rungs", "Rungs of early stopping", "A cross is a trial that was stopped there; grey dashes are the cutoffs."),
        _view("parallel", "Configurations", "A line is a trial. Its colour is that of its arm."),
        _view("pareto", "Accuracy and cost", "Named arms are on the front: no other arm is shown to be better at less cost.", options=[select("cost", {})]),
        _view("effects", "Effects", ""),
        _view("importance", "Importance", "", text="importance_note"),
        _view("slots", "What the slots did", ""),
        _view("lanes", "Trials over time", "A bar is a trial, from its start to its end."),
        _view("confusion", "Confused classes", "", options=[select("matrix", {})]),
        "</div>",
        _table("trials", "Trials"),
    ]


def _view(source: str, heading: str, caption: str, *, plot: str = "", options: Sequence[str] = (), text: str = "") -> str:
    note = f'<p class="quiet" data-text="{text}"></p>' if text else ""
    return (
        f'<section data-source="{source}"><h2>{to_html(heading)}</h2><div class="options">{"".join(options)}</div>'
        f'<div id="plot-{plot or source}"></div><p class="quiet">{to_html(caption)}</p>{note}</section>'
    )


def _table(name: str, heading: str) -> str:
    return (
        f'<section><h2>{heading}</h2><div class="wide"><table id="{name}"></table></div><p class="quiet" id="{name}-more"></p>'
        f'<details class="columns quiet"><summary>columns</summary><div id="{name}-columns"></div></details></section>'
    )


def _provenance(values: Mapping[str, Any]) -> list[str]:
    return ["<h2>How it was computed</h2>", page.facts(dict(values["provenance"]))]


def _json_script(name: str, value: Any) -> str:
    return f'<script type="application/json" id="{name}">{to_script_json(value)}</script>'


@cache
def _own_file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()


@cache
def _bokeh() -> str:
    """Bokeh's part for the browser, without its tables and widgets."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)

"""The part of the page that shows one trial: configuration, attempts, layers, error and log, as HTML."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from layersweep.escaping import to_html
from layersweep.studies.pages import page

_ATTEMPT: Final[Mapping[str, str]] = {
    "attempt": "attempt", "outcome": "end", "epochs": "epochs", "seconds": "seconds", "host": "host",
    "reason": "reason", "error": "error",
}  # fmt: skip
_LAYER: Final = ("layer", "kind", "parameters", "activation mean", "dead share", "weight norm", "gradient norm")


def html(trial: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """One trial, with every text escaped.

    Args:
        trial: its row of the payload's `trials`: id, arm (the name), seed, state, epoch, epochs, reason.
        details: its entry of the payload's `details`.
    """
    where = f"epoch {trial['epoch']} of {trial['epochs']}"
    facts = filter(None, (f"trial {trial['id']}", trial["state"], where, trial["reason"]))
    stop = page.action("Stop this trial", {"action": "stop_trial", "trial_id": trial["id"]})
    attempts = [[_text(attempt.get(name)) for name in _ATTEMPT] for attempt in details["attempts"]]
    layers = details["layers"]
    return "".join(
        [
            f"<h2>{to_html(trial['arm'])}, seed {_text(trial['seed'])}</h2>",
            page.paragraph(" · ".join(facts)),
            stop,
            page.table([*_ATTEMPT.values()], attempts, "Attempts") if attempts else "",
            _configuration(details["config"]),
            page.table(_LAYER, [[*map(_text, row)] for row in layers["rows"]], f"Layers after epoch {layers['epoch']}")
            if layers
            else "",
            _folded("Error", details["traceback"], is_open=True),
            _folded("Log", details["log"]),
        ]
    )


def _configuration(rows: Sequence[Sequence[Any]]) -> str:
    """The configuration; what differs from the leader's comes first, in bold."""
    texts = sorted(([*map(_text, row)] for row in rows), key=lambda row: row[1] == row[2])
    cells = "".join(
        f'<tr class="{"quiet" if value == leader else "differs"}"><th scope="row">{to_html(key)}</th>'
        f"<td>{to_html(value)}</td><td>{to_html(leader)}</td></tr>"
        for key, value, leader in texts
    )
    head = "<thead><tr><th>key</th><th>this trial</th><th>the leader</th></tr></thead>"
    return f"<table><caption>Configuration</caption>{head}<tbody>{cells}</tbody></table>" if cells else ""


def _folded(title: str, text: str, *, is_open: bool = False) -> str:
    attribute = " open" if is_open else ""
    return f"<details{attribute}><summary>{title}</summary><pre>{to_html(text)}</pre></details>" if text else ""


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)

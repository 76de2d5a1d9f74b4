"""The elements of HTML pages without external files, in light and dark colours."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from layersweep.escaping import to_html
from layersweep.studies.figures.drawing import Drawing, in_tags
from layersweep.studies.figures.style import COLOURS, DARK

_NAMES: Final[Mapping[str, str]] = {
    **dict(zip(DARK, ("--ink", "--muted", "--grid", "--paper"), strict=True)),
    **{colour: f"--arm-{i}" for i, colour in enumerate(COLOURS)},
}

_COLOUR: Final = re.compile("|".join(_NAMES))


def page(title: str, body: Sequence[str], more_style: str = "") -> str:
    """An HTML document; the parts of its body are HTML elements. The colours of `figures.style` are CSS variables.

    Args:
        title: plain text.
        body: HTML elements.
        more_style: CSS rules that this page needs besides.
    """
    light = "".join(f"{name}: {colour}; " for colour, name in _NAMES.items())
    dark = "".join(f"{_NAMES[colour]}: {dark_colour}; " for colour, dark_colour in {**DARK, **COLOURS}.items())
    dark_media = "screen and (prefers-color-scheme: dark)"
    style = f":root {{ {light}}}\n@media {dark_media} {{ :root {{ {dark}}} }}\n{own_file('page.css')}{more_style}"
    head_html = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{to_html(title)}</title>\n<style>{style}</style>"
    )
    body_html = "\n".join(part for part in body if part)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head_html}\n</head>\n<body>\n{body_html}\n</body>\n</html>\n'


@cache
def own_file(name: str) -> str:
    """The text of a file in this folder."""
    return resources.files(__package__).joinpath(name).read_text()


def action(text: str, content: Mapping[str, Any]) -> str:
    """A button that sends a request to the running sweep."""
    return f'<button type="button" data-action="{to_html(json.dumps(content))}">{to_html(text)}</button> '


def select(name: str, choices: Mapping[str, str]) -> str:
    """A choice of the page's state: values with their texts."""
    options = "".join(f'<option value="{to_html(value)}">{to_html(text)}</option>' for value, text in choices.items())
    return f'<select name="{name}" aria-label="{name}">{options}</select>'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; empty for empty text."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{to_html(text)}</p>" if text else ""


def figure(drawing: Drawing[Any], caption: str) -> str:
    """A figure with its caption below; it uses the light or dark colours of the page."""
    svg = in_tags(drawing.svg(), lambda tag: _COLOUR.sub(lambda match: f"var({_NAMES[match[0]]})", tag))
    return f"<figure>{svg}<figcaption>{to_html(caption)}</figcaption></figure>"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table of plain text."""
    titles = "".join(f"<th scope='col'>{to_html(text)}</th>" for text in columns)
    body_rows = ["<tr>" + "".join(f"<td>{to_html(text)}</td>" for text in row) + "</tr>" for row in rows]
    content = (
        f"<caption>{to_html(caption)}</caption><thead><tr>{titles}</tr></thead><tbody>{''.join(body_rows)}</tbody>"
    )
    return f'<div class="wide"><table>{content}</table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    """A table of names and values, one per row; without empty values."""
    rows = [f"<tr><th scope='row'>{to_html(k)}</th><td>{to_html(v)}</td></tr>" for k, v in pairs.items() if v]
    return f'<table class="facts">{"".join(rows)}</table>'

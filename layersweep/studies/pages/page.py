"""The elements of HTML pages without scripts and external files, in light and dark colours."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from layersweep.escaping import to_html
from layersweep.studies.figures.drawing import Drawing, in_tags
from layersweep.studies.figures.style import COLOURS, DARK

_NAMES: Final[Mapping[str, str]] = {
    **dict(zip(DARK, ("--ink", "--muted", "--grid", "--paper"), strict=True)),
    **{colour: f"--arm-{i}" for i, colour in enumerate(COLOURS)},
}

_COLOUR: Final = re.compile("|".join(_NAMES))

_CSS: Final = """
* { box-sizing: border-box; }
html { color-scheme: light dark; }
body { margin: 0 auto; max-width: 62rem; padding: 3rem 1.5rem 5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.1rem; margin: 2.8rem 0 .6rem; }
p { max-width: 46rem; margin: .5rem 0; }
.answer { font-size: 1.2rem; line-height: 1.5; margin: 1.2rem 0 .8rem; }
.quiet, figcaption, caption { color: var(--muted); font-size: .9rem; }
.warnings { border-left: 3px solid var(--arm-4); padding: .2rem 0 .2rem 1rem; margin: 1.4rem 0; }
.warnings ul { margin: .3rem 0; padding-left: 1.1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; padding: .2rem 0 .5rem; }
th { color: var(--muted); font-weight: 500; text-align: right; vertical-align: bottom; }
th, td { padding: .38rem .7rem; border-bottom: 1px solid var(--grid); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:last-child, th:last-child { text-align: left; white-space: normal; min-width: 11rem; }
.facts td, .facts th { text-align: left; white-space: normal; vertical-align: top; }
.facts th { width: 11rem; padding-left: 0; }
.mark { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; }
figure { margin: 1.2rem 0 2rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font-family: inherit !important; }
code { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
@media print { body { padding: 0; } figure { break-inside: avoid; } }
"""


def document(title: str, body: Sequence[str], *, style: str) -> str:
    """An HTML document; the parts of its body are HTML elements. The colours of `figures.style` are CSS variables."""
    light = "".join(f"{name}: {colour}; " for colour, name in _NAMES.items())
    dark = "".join(f"{_NAMES[colour]}: {dark_colour}; " for colour, dark_colour in {**DARK, **COLOURS}.items())
    dark_media = "screen and (prefers-color-scheme: dark)"
    style = f":root {{ {light}}}\n@media {dark_media} {{ :root {{ {dark}}} }}\n{style}"
    head_html = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{to_html(title)}</title>\n<style>{style}</style>"
    )
    body_html = "\n".join(part for part in body if part)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head_html}\n</head>\n<body>\n{body_html}\n</body>\n</html>\n'


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


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str, marks: Sequence[str] = ()) -> str:
    """A table of plain text; `marks` are the colours of dots before the first cell of each row."""
    titles = "".join(f"<th scope='col'>{to_html(text)}</th>" for text in columns)
    dots = [f'<span class="mark" style="background: var({_NAMES[mark]})"></span>' for mark in marks] or [""] * len(rows)
    body_rows = [
        "<tr>" + "".join(f"<td>{dot if i == 0 else ''}{to_html(text)}</td>" for i, text in enumerate(row)) + "</tr>"
        for dot, row in zip(dots, rows, strict=True)
    ]
    content = (
        f"<caption>{to_html(caption)}</caption><thead><tr>{titles}</tr></thead><tbody>{''.join(body_rows)}</tbody>"
    )
    return f'<div class="wide"><table>{content}</table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    """A table of names and values, one per row; without empty values."""
    rows = [f"<tr><th scope='row'>{to_html(k)}</th><td>{to_html(v)}</td></tr>" for k, v in pairs.items() if v]
    return f'<table class="facts">{"".join(rows)}</table>'


def warnings(texts: Sequence[str]) -> str:
    """A list of warnings; empty if there are none."""
    if not texts:
        return ""
    return f'<div class="warnings"><ul>{"".join(f"<li>{to_html(text)}</li>" for text in texts)}</ul></div>'

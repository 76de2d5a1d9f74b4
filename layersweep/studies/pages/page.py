"""The frame of a report: a page of its own, without scripts or requests, to be read in light and dark."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import COLOURS, DARK

_NAMES: Final[Mapping[str, str]] = {
    **dict(zip(DARK, ("--ink", "--muted", "--grid", "--paper"), strict=True)),
    **{colour: f"--arm-{i}" for i, colour in enumerate(COLOURS)},
}

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


def page(title: str, body: Sequence[str]) -> str:
    """An HTML document; the parts of its body are HTML already."""
    light = "".join(f"{name}: {colour}; " for colour, name in _NAMES.items())
    dark = "".join(f"{_NAMES[colour]}: {twin}; " for colour, twin in {**DARK, **COLOURS}.items())
    style = f":root {{ {light}}}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}{_CSS}"
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>"
    )
    inner = "\n".join(part for part in body if part)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{inner}\n</body>\n</html>\n'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; nothing for an empty one."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{escape(text)}</p>" if text else ""


def figure(drawing: Drawing[Any], caption: str) -> str:
    """A figure over its caption; its colours follow the page's, light or dark."""
    svg = drawing.svg()
    for colour, name in _NAMES.items():
        svg = svg.replace(colour, f"var({name})")
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, marks: Sequence[str] = ()) -> str:
    """A table of plain texts; `marks` are the colours of dots before each row's first cell."""
    titles = "".join(f"<th scope='col'>{escape(text)}</th>" for text in head)
    dots = [f'<span class="mark" style="background: var({_NAMES[mark]})"></span>' for mark in marks] or [""] * len(rows)
    lines = [
        "<tr>" + "".join(f"<td>{dot if i == 0 else ''}{escape(text)}</td>" for i, text in enumerate(row)) + "</tr>"
        for dot, row in zip(dots, rows, strict=True)
    ]
    inner = f"<caption>{escape(caption)}</caption><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="wide"><table>{inner}</table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    """Names and values, one a row; those without a value are left out."""
    rows = [f"<tr><th scope='row'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in pairs.items() if v]
    return f'<table class="facts">{"".join(rows)}</table>'


def warnings(said: Sequence[str]) -> str:
    """What a reader should know first; nothing if there is nothing."""
    if not said:
        return ""
    return f'<div class="warnings"><ul>{"".join(f"<li>{escape(text)}</li>" for text in said)}</ul></div>'

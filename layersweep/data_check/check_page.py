"""The page of a data check: one file without scripts, which needs no network."""

import base64
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Final

import numpy as np
from PIL import Image

from layersweep.data_check.collection import Collection
from layersweep.data_check.copies import KINDS, Copies, Copy
from layersweep.data_check.findings import FINE, MATTERS, SPOILS, WORDS, Finding, in_order, pair_text
from layersweep.data_check.sheet import SheetRow
from layersweep.data_check.thumbnails import Bytes
from layersweep.escaping import to_html
from layersweep.formatting import count
from layersweep.studies.pages.page import facts, page, paragraph, table
from trainables.config import stated
from trainables.data.pictures.picture_list import PARTS, Fitting
from trainables.data.pictures.variants import stored_size
from trainables.keys import Keys

SHOWN_PAIRS: Final = 20
LISTED: Final = 200
"""How many names of pairs and of damaged files are listed."""

_PAIR_PIXELS: Final = 160
_SHEET_PIXELS: Final = 112
_SMALL: Final = 64
"""Pictures of fewer pixels are shown with their pixels visible."""
_SHEET_BUDGET: Final = 2_000_000
"""Pixels of all pictures of the sheet together: about 5 MB of PNG."""
_LEAST: Final = 24
_SIZES: Final = 10
_DOTS: Final = 400
_CLASSES: Final = {SPOILS: "bad", MATTERS: "look", FINE: "fine"}


def html(pictures: Collection, copies: Copies, texts: Sequence[Finding], rows: Sequence[SheetRow], config: Keys) -> str:
    """The whole page."""
    parts = [
        f"<h1>{to_html(pictures.title)}: data check</h1>",
        paragraph(_verdict(texts), "answer"),
        *map(_finding, texts),
        *_contents(pictures),
        *_class_table(pictures),
        *_copies(pictures, copies),
        *_sheet(pictures, rows, config),
        *_sizes(pictures, config),
        *_unread(pictures),
    ]
    style = resources.files(__package__).joinpath("check.css").read_text()
    return page(f"{pictures.title}: data check", parts, style)


def _verdict(texts: Sequence[Finding]) -> str:
    bad = sum(finding.level == SPOILS for finding in texts)
    if bad:
        return f"{count(bad, 'thing')} would spoil results. Mend {'it' if bad == 1 else 'them'} before training."
    return "Nothing here would spoil results."


def _finding(finding: Finding) -> str:
    examples = "".join(f"<li>{to_html(example)}</li>" for example in finding.examples)
    return (
        f'<div class="finding {_CLASSES[finding.level]}">{paragraph(finding.text)}'
        f"{f'<ul>{examples}</ul>' if examples else ''}</div>"
    )


def _contents(pictures: Collection) -> Iterator[str]:
    yield "<h2>What it is</h2>"
    yield facts(
        {
            "Layout": pictures.layout,
            "Pictures": f"{len(pictures.names):,}, in {count(len(pictures.classes), 'class')}".replace(
                "classs", "classes"
            ),
            "Test part": "a sixth of each class, always the same" if pictures.draws_test else "",
            "Notes": "; ".join(pictures.notes),
        }
    )


def _class_table(pictures: Collection) -> Iterator[str]:
    counts = pictures.counts
    shown = [part for part in range(len(PARTS)) if counts[:, part].any()]
    most = max(1, int(counts.sum(1).max()))
    head = "".join(f'<th scope="col" class="number">{PARTS[part]}</th>' for part in shown)
    rows = []
    for label, name in enumerate(pictures.classes):
        cells = "".join(f'<td class="number">{counts[label, part]:,}</td>' for part in shown)
        bars = "".join(
            f'<i class="{PARTS[part]}" style="width:{100 * counts[label, part] / most:.2f}%"></i>'
            for part in shown
            if counts[label, part]
        )
        total = counts[label].sum()
        rows.append(
            f'<tr><th scope="row">{to_html(name)}</th>{cells}<td class="number">{total / max(1, counts.sum()):.1%}</td>'
            f'<td class="share"><div class="bar">{bars}</div></td></tr>'
        )
    sums = "".join(f'<td class="number">{counts[:, part].sum():,}</td>' for part in shown)
    rows.append(f'<tr><th scope="row">all</th>{sums}<td></td><td></td></tr>')
    key = "".join(f'<i class="{PARTS[part]}"></i>{PARTS[part]}' for part in shown)
    yield "<h2>Classes and parts</h2>"
    yield f'<p class="quiet key">{key}</p>'
    yield (
        f'<div class="wide"><table><thead><tr><th scope="col">class</th>{head}<th scope="col" class="number">share</th>'
        f"<th></th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _sizes(pictures: Collection, config: Keys) -> Iterator[str]:
    sizes = Counter(map(tuple, pictures.thumbnails.sizes.tolist()))
    frequent = sizes.most_common()
    rows = [[f"{w} x {h}", f"{n:,}", f"{n / len(pictures.names):.1%}"] for (w, h), n in frequent[:_SIZES]]
    if rest := frequent[_SIZES:]:
        n = sum(number for _, number in rest)
        rows.append([count(len(rest), "other size"), f"{n:,}", f"{n / len(pictures.names):.1%}"])
    fitting = Fitting(image_size=config.image_size, fit=config.fit, resizing=config.resizing)
    mixed = len(frequent) > 1
    width, height = stored_size(fitting, pictures.native, mixed=mixed) if pictures.fits else pictures.native
    yield "<h2>Sizes</h2>"
    if pictures.fits:
        text = f"Pictures are stored at {width} x {height} pixels"
        others = sum(n for size, n in frequent if size != (width, height))
        how = {"stretch": "stretched to it", "crop": "cropped to it", "pad": "padded to it"}[config.fit]
        yield paragraph(f"{text}; {others:,} of other sizes are {how}." if others else f"{text}, as they are.")
    listed = table(("width x height", "pictures", "share"), rows, "The most frequent sizes")
    yield f'<div class="sizes">{_dots(frequent)}{listed}</div>' if len(frequent) > 1 else listed


def _dots(sizes: Sequence[tuple[tuple[int, ...], int]]) -> str:
    """A dot for each size, as large as it is frequent; the line is where width equals height."""
    shown = sizes[:_DOTS]
    most = max(max(size) for size, _ in shown)
    dots = []
    for (width, height), number in shown:
        radius = 2.5 + 9 * np.sqrt(number / shown[0][1])
        x, y = 40 + 285 * width / most, 310 - 285 * height / most
        dots.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{width} x {height}: {number:,}</title></circle>'
        )
    return (
        '<figure><svg viewBox="0 0 360 345" role="img" aria-label="Sizes of the pictures">'
        '<line x1="40" y1="310" x2="325" y2="25"/><line x1="40" y1="310" x2="345" y2="310"/>'
        f'<line x1="40" y1="310" x2="40" y2="5"/>{"".join(dots)}'
        f'<text x="325" y="326" text-anchor="end">width {most:,}</text>'
        f'<text x="34" y="29" text-anchor="end">{most:,}</text><text x="34" y="43" text-anchor="end">height</text>'
        "</svg><figcaption>A dot for each size, larger where it is frequent</figcaption></figure>"
    )


def _copies(pictures: Collection, copies: Copies) -> Iterator[str]:
    yield "<h2>Copies</h2>"
    if not copies.pairs:
        yield paragraph("No picture is there twice, neither as a file nor by its pixels, nor saved anew.")
        return
    pairs = in_order(pictures, copies)
    kinds = Counter((pair.kind, _relation(pictures, pair)) for pair in pairs)
    relations = list(dict.fromkeys(_relation(pictures, pair) for pair in pairs))
    rows = [
        [kind, *(f"{kinds[kind, where]:,}" for where in relations)] for kind in KINDS if kind in {k for k, _ in kinds}
    ]
    yield table(("", *relations), rows, "Pairs of pictures, by what they have in common")
    yield f'<div class="pairs">{"".join(_pair(pictures, pair) for pair in pairs[:SHOWN_PAIRS])}</div>'
    if rest := pairs[SHOWN_PAIRS:]:
        items = "".join(f"<li>{to_html(pair_text(pictures, pair))}</li>" for pair in rest[:LISTED])
        more = f", of which {LISTED} are listed" if len(rest) > LISTED else ""
        yield f"<details><summary>{count(len(rest), 'further pair')}{more}</summary><ul>{items}</ul></details>"


def _relation(pictures: Collection, pair: Copy) -> str:
    first, second = (WORDS[pictures.parts[index]] for index in (pair.first, pair.second))
    where = f"within {first}" if first == second else f"{first} and {second}"
    return where if pictures.labels[pair.first] == pictures.labels[pair.second] else f"{where}, two classes"


def _pair(pictures: Collection, pair: Copy) -> str:
    relation = _relation(pictures, pair)
    level = MATTERS if relation.startswith("within") and "," not in relation else SPOILS
    images = [_shown(pictures.images([index], Fitting())[0], _PAIR_PIXELS) for index in (pair.first, pair.second)]
    names = [
        f"<span><b>{to_html(pictures.classes[pictures.labels[index]])}</b> · {PARTS[pictures.parts[index]]}<br>"
        f"{to_html(pictures.names[index])}</span>"
        for index in (pair.first, pair.second)
    ]
    caption = f"<figcaption>{to_html(f'{pair.kind}: {relation}')}</figcaption>"
    return f'<figure class="{_CLASSES[level]}">{caption}{"".join(images)}{"".join(names)}</figure>'


def _unread(pictures: Collection) -> Iterator[str]:
    files = [*pictures.damages, *pictures.strangers]
    if files:
        yield "<h2>Files that are not used</h2>"
        caption = f"The first {LISTED} of {len(files):,}" if len(files) > LISTED else count(len(files), "file")
        yield table(("file", "why"), files[:LISTED], caption)


def _sheet(pictures: Collection, rows: Sequence[SheetRow], config: Keys) -> Iterator[str]:
    if not rows:
        return
    height, width, channels = rows[0].plain.shape[1:]
    keys = ", ".join(f"{key}={value}" for key, value in stated(config).items() if value and key not in _TRAINING_KEYS)
    number = sum(len(row.indices) * (1 if row.augmented is None else 2) for row in rows)
    limit = max(_LEAST, min(_SHEET_PIXELS, int(np.sqrt(_SHEET_BUDGET / number))))
    text = f"Each model is given {width} x {height} pixels with {count(channels, 'channel')}"
    text += f", here with {keys}." if keys else "."
    if max(width, height) > limit:
        text += f" They are shown at {limit} pixels."
    if not config.augmented:
        text += " To see augmented ones: --set flip=horizontal --set rotate=10."
    yield "<h2>What a model sees</h2>"
    yield paragraph(text, "quiet")
    for row in rows:
        yield _class_row(pictures, row, limit)
    if rest := len(pictures.classes) - len(rows):
        yield paragraph(f"{count(rest, 'class').replace('classs', 'classes')} more.", "quiet")


_TRAINING_KEYS: Final = ("optimizer", "learning_rate", "batch_size")


def _class_row(pictures: Collection, row: SheetRow, limit: int) -> str:
    name, total = pictures.classes[row.label], pictures.counts[row.label].sum()
    kinds = {"": row.plain} if row.augmented is None else {"as it is": row.plain, "augmented": row.augmented}
    lines = []
    for kind, images in kinds.items():
        label = f"<span>{kind}</span>" if kind else ""
        shown = "".join(
            _shown(image, limit, pictures.names[index]) for image, index in zip(images, row.indices, strict=True)
        )
        lines.append(f'<div class="row">{label}{shown}</div>')
    return (
        f'<div class="class"><h3>{to_html(name)}<span>{count(int(total), "picture")}</span></h3>'
        f'<div class="rows">{"".join(lines)}</div></div>'
    )


def _shown(pixels: Bytes, limit: int, name: str = "") -> str:
    """A picture (height, width, channels) in the page itself, with at most so many pixels wide and high."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((limit, limit))
    content = io.BytesIO()
    image.save(content, "PNG")
    small = max(image.size) < _SMALL
    factor = 2 if small else 1
    attributes = f' class="small" width="{image.width * factor}" height="{image.height * factor}"' if small else ""
    address = base64.b64encode(content.getvalue()).decode()
    title = f' title="{to_html(name)}"' if name else ""
    return f'<img{attributes}{title} alt="{to_html(name)}" src="data:image/png;base64,{address}">'

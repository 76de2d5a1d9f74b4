"""A comparison as a page: the question, the answer, the table, the figures, and how all of it came about."""

import uuid
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import polars as pl

from layersweep.studies.figures import learning_rates
from layersweep.studies.figures.comparison_figures import against_seconds, final_accuracy, height_of, learning_curves
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.learning_curves import unseen
from layersweep.studies.figures.style import inks
from layersweep.studies.pages import page
from layersweep.studies.statistics.arm_comparison import Comparison, Row
from layersweep.studies.statistics.pooled_variance import Fit
from layersweep.studies.statistics.replicates import of_medians, untuned
from layersweep.studies.statistics.tuned_pairs import gains
from layersweep.studies.statistics.tuning_candidates import nested, shown_keys
from layersweep.studies.wording import provenance
from layersweep.studies.wording.tuning_sentences import chosen, in_words, sentences
from layersweep.studies.wording.words import (
    NONE,
    answer,
    listed,
    method,
    on_seed,
    on_the_test_set,
    setting,
    share,
    verdict,
    with_spread,
)
from layersweep.words import count

_SIZES: Final[Mapping[str, str]] = {"parameters": "parameters", "flops": "FLOPs an image", "size_bytes": "size"}


def html(found: Comparison, *, question: str, runs: pl.DataFrame, more: Sequence[str] = ()) -> str:
    """The page; self-contained, with every recorded text escaped. `more` is HTML that comes before the costs."""
    sizes, constant = _sizes(found)
    said = [*found.warnings, *provenance.warnings(runs)]
    drawn = bool(found.replicates.curves.height)
    return page.page(
        question,
        [
            f"<h1>{escape(question)}</h1>",
            page.paragraph(answer(found), "answer"),
            page.paragraph(on_the_test_set(found)),
            page.warnings(said),
            "<h2>Arms at equal epochs</h2>",
            _results(found),
            *(_figures(found) if drawn else ["<p>No trial has finished an epoch: there is nothing to draw yet.</p>"]),
            *_tuning(found),
            *more,
            "<h2>Cost</h2>",
            sizes,
            "<h2>How it was computed</h2>",
            page.paragraph(method(found)),
            page.paragraph(_rules(found)),
            page.facts({**provenance.facts(found, runs), **constant}),
        ],
    )


def _results(found: Comparison) -> str:
    rows = found.arms.to_dicts()
    columns: dict[str, list[str]] = {"arm": [row["arm"] for row in rows]}
    columns |= {key.replace("_", " "): [chosen(found, row["arm"], key) for row in rows] for key in _varied(found)}
    columns |= {
        f"at {count(found.epoch, 'epoch')}": [with_spread(row["mean"], row["sd"], row["n"]) for row in rows],
        "95 % interval": ["" if r["low"] is None else f"{share(r['low'])} to {share(r['high'])}" for r in rows],
    }
    if found.common_epoch is not None:
        columns[f"all at epoch {found.common_epoch}{on_seed(found)}"] = [
            with_spread(row["common_mean"], row["common_sd"], row["common_n"]) for row in rows
        ]
    columns |= {
        "test accuracy": [with_spread(row["test_mean"], row["test_sd"], row["test_n"]) for row in rows],
        "p (Holm)": [_p_value(row["p"]) for row in rows],
        "verdict": [verdict(row) for row in rows],
    }
    shown = {name: cells for name, cells in columns.items() if any(cell.strip(NONE) for cell in cells)}
    caption = (
        "Validation accuracy: mean ± standard deviation (number of seeds). The test set was read for the chosen arms."
    )
    marks = [ink.colour for ink in inks(columns["arm"]).values()]
    return page.table(list(shown), list(zip(*shown.values(), strict=True)), caption, marks)


def _varied(found: Comparison) -> list[str]:
    """The configuration keys that differ between arms, and whose value an arm's name does not tell."""
    keys = dict.fromkeys(key for config in found.settings.values() for key in config)
    tuned = shown_keys(found.tunings)
    return [key for key in keys if key in tuned or _tells(key, found.settings)]


def _tells(key: str, settings: Mapping[str, Mapping[str, Any]]) -> bool:
    values = {arm: config[key] for arm, config in settings.items() if config.get(key) is not None}
    if any(map(nested, values.values())):
        return False
    several = len({repr(value) for value in values.values()}) > 1
    return several and any(
        {str(value), f"{key}={value}"}.isdisjoint(untuned(arm).split(" ")) for arm, value in values.items()
    )


def _figures(found: Comparison) -> list[str]:
    several = found.replicates.rows.select("seed", "fold").n_unique() > 1
    band = " The line is the mean over seeds, the band reaches from the lowest to the highest seed." if several else ""
    stopped = any(row["stopped"] for row in found.arms.to_dicts())
    cross = " A cross marks where the scheduler stopped a seed, a bar the cutoff that it missed." if stopped else ""
    curves = Drawing(draw=learning_curves, found=found, height=4.2, title="Validation accuracy by epoch")
    seconds = Drawing(draw=against_seconds, found=found, height=4.2, title="Validation accuracy by seconds spent")
    hidden = f" Without an epoch to compare, so not drawn: {listed(none)}." if (none := unseen(found)) else ""
    caption = f"Validation accuracy after each epoch.{band}{cross}{hidden}"
    parts = ["<h2>Learning curves</h2>", page.figure(curves, caption)]
    if any(row["n"] > 1 for row in found.compared):
        title = "Final validation accuracy by arm"
        dots = Drawing(draw=final_accuracy, found=found, height=height_of(found), title=title)
        interval = f" bars are 95 % intervals from {_variance(found.fit)};" if found.fit else ""
        caption = f"Dots are seeds, strokes their means;{interval} the numbers are mean ± standard deviation (seeds)."
        parts += ["<h2>Accuracy at the end</h2>", page.figure(dots, caption)]
    where = ", ".join(found.replicates.rows["device"].drop_nulls().unique().sort()) or "device not recorded"
    caption = f"The same against the seconds that a trial had spent in its epochs ({where}), as means over seeds."
    return [*parts, "<h2>Accuracy for time</h2>", page.figure(seconds, caption)]


def _tuning(found: Comparison) -> list[str]:
    """What tuning tried, cost and changed; nothing where nothing was tuned."""
    said = [page.paragraph(text) for text in sentences(found)]
    if not found.tunings:
        return ["<h2>Tuning</h2>", *said] if said else []
    head = ("arm", "candidates", "epochs", "seconds", "chosen", "default", "tuned less default", "p (Holm)", "verdict")
    gained = {gain.arm: [in_words(gain), _p_value(gain.p), gain.verdict] for gain in gains(found)}
    rows = []
    for t in found.tunings:
        gain = gained.get(t.arm, [""] * 3)
        rows.append(
            [t.arm, t.outcomes, f"{t.epochs:,}", f"{t.seconds:,.0f}", _values(t.chosen), _values(t.default), *gain]
        )
    caption = (
        "Candidates were trained on a seed of their own, which enters no mean and no test. The difference is that of "
        "the means at the end: ± standard deviation over the seeds that both arms have (their number)."
    )
    parts = ["<h2>Tuning</h2>", *said]
    if learning_rates.drawn(found):
        height, title = learning_rates.height_of(found), "Validation accuracy by the tuned value"
        drawing = Drawing(draw=learning_rates.rate_curves, found=found, height=height, title=title)
        parts.append(page.figure(drawing, learning_rates.CAPTION))
    return [*parts, page.table(head, rows, caption)]


def _p_value(p: float | None) -> str:
    return "" if p is None else f"{p:.1g}"


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {setting(value)}" for key, value in values.items())


def _variance(fit: Fit) -> str:
    if fit.pool is None:
        return "each arm's own variance"
    own = [arm for arm, deviation in fit.apart.items() if deviation]
    return "the pooled variance" + (f" ({listed(own)}: from their own)" if own else "")


def _sizes(found: Comparison) -> tuple[str, dict[str, str]]:
    """The table of what each arm cost; and what is the same for all of them, to be said once."""
    rows = found.arms.to_dicts()
    columns: dict[str, list[str]] = {
        "arm": [row["arm"] for row in rows],
        "epochs": [f"{row['epochs']:,}" for row in rows],
        "seconds": [f"{row['seconds']:,.0f}" for row in rows],
        "seconds an epoch": [f"{row['seconds'] / row['epochs']:.1f}" if row["epochs"] else "" for row in rows],
    }
    constant = {}
    for name, title in _SIZES.items():
        values = {row[name] for row in rows if row[name] is not None}
        if len(values) == 1:
            constant[title.capitalize() if title.islower() else title] = _size(name, values.pop())
        elif values:
            columns[title] = ["" if row[name] is None else _size(name, row[name]) for row in rows]
    caption = "Over all of an arm's trials, those that were stopped or failed included; seconds are those of a slot."
    if found.tunings:
        caption += " What tuning cost is counted apart, above."
    if any(row["latency_n"] for row in rows):
        columns[f"latency, {rows[0]['latency_unit']}"] = [_latency(row) for row in rows]
        caption += (
            " Latency of one image: median over trials (lowest\N{EN DASH}highest; trials) of the median of 50 calls"
        )
        if not of_medians(found.replicates.rows):
            least: Any = found.replicates.rows["latency_ms_reference"].min()
            caption += f", each in times of a fixed computation beside it, which takes {least:.2f} ms here at least"
        caption += "."
        if len(rows) > 1 and all(len({row[name] for row in rows} - {None}) == 1 for name in ("parameters", "flops")):
            caption += " All arms have equal parameters and FLOPs: differences in latency between them are noise."
    return page.table(list(columns), list(zip(*columns.values(), strict=True)), caption), constant


def _size(name: str, value: int) -> str:
    return f"{value / 1e6:,.1f} MB" if name == "size_bytes" else f"{value:,}"


def _latency(row: Row) -> str:
    if not row["latency_n"]:
        return ""
    low, high = row["latency_busy_low"], row["latency_busy_high"]
    slots = f"{high} slot{'s' * (high != 1)} busy"
    busy = "busy slots not recorded" if low is None else slots if low == high else f"{low} to {slots}"
    spread = f"{_ms(row['latency_low'])}\N{EN DASH}{_ms(row['latency_high'])}; " if row["latency_n"] > 1 else ""
    return f"{_ms(row['latency'])} ({spread}n = {row['latency_n']}; {busy})"


def _ms(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def _rules(found: Comparison) -> str:
    common = found.common_epoch
    fair = f" The column at epoch {common} compares all arms at the last epoch that each reached." if common else ""
    if common and found.common_on:
        fair += f" It shows the {found.common_on} alone, since stopped arms ran on no other."
    return (
        f"Arms are compared by validation accuracy after {count(found.epoch, 'epoch')}.{fair} A trial that the "
        "scheduler stopped was screened out, which says nothing of where it would have ended; failed, diverged "
        "and hopeless trials (at chance, ended early) are counted and left out of the means. Where a trial was run "
        "again, its latest attempt counts; where it was continued, its last end, and the seconds of all. The test set "
        "decides nothing: it was read for the arm that leads and those tied with it."
    )


def write(path: Path, content: str | bytes) -> None:
    """Writes a file at once: a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

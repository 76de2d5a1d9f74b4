"""The page of a comparison: question, answer, table, figures, and the origin of the results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from layersweep.escaping import to_html
from layersweep.formatting import count
from layersweep.records.errors import results_errors
from layersweep.records.files import write_whole
from layersweep.studies.figures import learning_rates
from layersweep.studies.figures.comparison_figures import (
    against_seconds,
    differences,
    final_accuracy,
    has_differences,
    height_of,
    learning_curves,
)
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.learning_curves import arms_without_curve
from layersweep.studies.figures.style import line_styles
from layersweep.studies.pages import page
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.arm_rows import Row
from layersweep.studies.statistics.replicates import default_arm, uses_latency_medians
from layersweep.studies.statistics.screening_risk import screening_risk
from layersweep.studies.statistics.tuned_pairs import gains
from layersweep.studies.statistics.tuning_candidates import is_nested, varied_keys
from layersweep.studies.wording import provenance
from layersweep.studies.wording.answer_sentences import (
    answer,
    common_basis_note,
    method,
    metric_name,
    seeds_sentence,
    verdict,
)
from layersweep.studies.wording.arm_columns import difference, learned
from layersweep.studies.wording.number_formats import NONE, join_words, setting, share, with_spread
from layersweep.studies.wording.tuning_sentences import format_gain, selected_value, sentences

_SIZES: Final[Mapping[str, str]] = {"parameters": "parameters", "flops": "FLOPs per image", "size_bytes": "size"}


def html(comparison: Comparison, *, question: str, runs: pl.DataFrame, sections: Sequence[str] = ()) -> str:
    """The page, in one file, with all recorded texts escaped; `sections` are HTML elements before the costs."""
    sizes, equal_sizes = _sizes(comparison)
    warnings = [*comparison.cautions, *comparison.warnings, *provenance.warnings(runs)]
    has_curves = bool(comparison.replicates.curves.height)
    return page.page(
        question,
        [
            f"<h1>{to_html(question)}</h1>",
            page.paragraph(answer(comparison), "answer"),
            page.warnings(warnings),
            *_differences(comparison),
            "<h2>Arms at equal epochs</h2>",
            _results(comparison),
            page.paragraph(seeds_sentence(comparison, runs)),
            page.paragraph(screening_risk(comparison).sentence),
            *(
                _figures(comparison)
                if has_curves
                else ["<p>No trial has finished an epoch, so there are no figures yet.</p>"]
            ),
            *_tuning(comparison),
            *sections,
            "<h2>Cost</h2>",
            sizes,
            "<h2>Method</h2>",
            page.paragraph(method(comparison)),
            page.paragraph(_rules(comparison)),
            page.facts({**provenance.facts(comparison, runs), **equal_sizes}),
        ],
    )


def _results(comparison: Comparison) -> str:
    rows = comparison.arms.to_dicts()
    columns: dict[str, list[str]] = {"arm": [row["arm"] for row in rows]}
    columns |= {
        key.replace("_", " "): [selected_value(comparison, row["arm"], key) for row in rows]
        for key in _informative_keys(comparison)
    }
    columns |= {
        f"at {count(comparison.epoch, 'epoch')}": [with_spread(row["mean"], row["sd"], row["n"]) for row in rows],
        "95 % interval, new seeds": [_interval(row) for row in rows],
    }
    if comparison.common_epoch is not None:
        columns[f"all at epoch {comparison.common_epoch}{common_basis_note(comparison)}"] = [
            with_spread(row["common_mean"], row["common_sd"], row["common_n"]) for row in rows
        ]
    columns |= {
        "learned": [_learned(row) for row in rows],
        "difference to the leader": [difference(row) for row in rows],
        "a new training": ["" if row["new_training"] is None else share(row["new_training"]) for row in rows],
        "test accuracy": [with_spread(row["test_mean"], row["test_sd"], row["test_n"]) for row in rows],
        "verdict": [verdict(row) for row in rows],
    }
    columns = {name: cells for name, cells in columns.items() if any(cell.strip(NONE) for cell in cells)}
    caption = (
        f"{metric_name(comparison).capitalize()}: fitted mean ± standard deviation (number of seeds). Intervals of "
        "differences hold for all pairs of arms at once. The test set was read only for the leading arms."
    )
    marks = [style.colour for style in line_styles(columns["arm"]).values()]
    return page.table(list(columns), list(zip(*columns.values(), strict=True)), caption, marks)


def _interval(row: Row) -> str:
    return "" if row["low"] is None or row["high"] is None else f"{share(row['low'])} to {share(row['high'])}"


def _learned(row: Row) -> str:
    """How often an arm learned, with the interval of that share."""
    if row["learned_low"] is None:
        return ""
    return f"{learned(row)} ({share(row['learned_low'], 2)} to {share(row['learned_high'], 2)})"


def _differences(comparison: Comparison) -> list[str]:
    """The first figure: what sets the arms apart, and how surely."""
    if not has_differences(comparison):
        return []
    title = "Difference of each arm to the leading arm"
    drawing = Drawing(draw=differences, data=comparison, height=height_of(comparison), title=title)
    caption = (
        "Dots are differences of fitted means, lines are intervals that hold for all pairs of arms at once. An arm "
        "whose line does not reach 0 is worse; one whose line stays in the grey band is as good."
    )
    return [page.figure(drawing, caption)]


def _informative_keys(comparison: Comparison) -> list[str]:
    """The configuration keys that differ between arms and whose values are not in the names of the arms."""
    keys = dict.fromkeys(key for config in comparison.configurations.values() for key in config)
    tuned_keys = varied_keys(comparison.tunings)
    return [key for key in keys if key in tuned_keys or _is_informative(key, comparison.configurations)]


def _is_informative(key: str, configurations: Mapping[str, Mapping[str, Any]]) -> bool:
    values = {arm: config[key] for arm, config in configurations.items() if config.get(key) is not None}
    if any(map(is_nested, values.values())):
        return False
    varies = len({repr(value) for value in values.values()}) > 1
    return varies and any(
        {str(value), f"{key}={value}"}.isdisjoint(default_arm(arm).split(" ")) for arm, value in values.items()
    )


def _figures(comparison: Comparison) -> list[str]:
    has_seeds = comparison.replicates.rows.select("seed", "fold").n_unique() > 1
    band = (
        " The line is the mean over seeds, the band reaches from the lowest to the highest seed." if has_seeds else ""
    )
    has_stops = any(row["stopped"] for row in comparison.arms.to_dicts())
    cross = " A cross marks where the scheduler stopped a seed, a bar marks the cutoff." if has_stops else ""
    curves = Drawing(draw=learning_curves, data=comparison, height=4.2, title="Validation accuracy by epoch")
    seconds = Drawing(draw=against_seconds, data=comparison, height=4.2, title="Validation accuracy by seconds spent")
    missing = arms_without_curve(comparison)
    missing_note = f" Not drawn, because they have no epoch yet: {join_words(missing)}." if missing else ""
    caption = f"Validation accuracy after each epoch.{band}{cross}{missing_note}"
    parts = ["<h2>Learning curves</h2>", page.figure(curves, caption)]
    if any(row["n"] > 1 for row in comparison.compared_arms):
        title = "Final validation accuracy by arm"
        dots = Drawing(draw=final_accuracy, data=comparison, height=height_of(comparison), title=title)
        caption = (
            "Dots are seeds, vertical lines are fitted means, bars are 95 % intervals of means over new seeds; the "
            "numbers are mean ± standard deviation (seeds)."
        )
        parts += ["<h2>Accuracy at the end</h2>", page.figure(dots, caption)]
    devices = ", ".join(comparison.replicates.rows["device"].drop_nulls().unique().sort()) or "device not recorded"
    caption = f"Validation accuracy against the seconds of the epochs of a trial ({devices}), as means over seeds."
    return [*parts, "<h2>Accuracy against time</h2>", page.figure(seconds, caption)]


def _tuning(comparison: Comparison) -> list[str]:
    """The section about tuning; empty if nothing was tuned."""
    texts = [page.paragraph(text) for text in sentences(comparison)]
    if not comparison.tunings:
        return ["<h2>Tuning</h2>", *texts] if texts else []
    columns = ("arm", "candidates", "epochs", "seconds", "selected", "default", "gain of tuning", "p (Holm)", "verdict")
    gain_cells = {gain.arm: [format_gain(gain), _p_value(gain.p), gain.verdict] for gain in gains(comparison)}
    rows = []
    for t in comparison.tunings:
        values = [_values(t.selected_values), _values(t.default_values)]
        gain = gain_cells.get(t.arm, [""] * 3)
        rows.append([t.arm, t.outcomes, f"{t.epochs:,}", f"{t.seconds:,.0f}", *values, *gain])
    caption = (
        "Candidates were trained on a separate seed, which is in no mean and no test. The gain is the difference of "
        "the means after the last epoch, ± standard deviation over the common seeds (their number)."
    )
    parts = ["<h2>Tuning</h2>", *texts]
    if learning_rates.tunings_with_axis(comparison):
        height, title = learning_rates.height_of(comparison), "Validation accuracy by the tuned value"
        drawing = Drawing(draw=learning_rates.rate_curves, data=comparison, height=height, title=title)
        parts.append(page.figure(drawing, learning_rates.CAPTION))
    return [*parts, page.table(columns, rows, caption)]


def _p_value(p: float | None) -> str:
    return "" if p is None else f"{p:.1g}"


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {setting(value)}" for key, value in values.items())


def _sizes(comparison: Comparison) -> tuple[str, dict[str, str]]:
    """The table of the costs of each arm, and the costs that are equal for all arms."""
    rows = comparison.arms.to_dicts()
    columns: dict[str, list[str]] = {
        "arm": [row["arm"] for row in rows],
        "epochs": [f"{row['epochs']:,}" for row in rows],
        "seconds": [f"{row['seconds']:,.0f}" for row in rows],
        "seconds per epoch": [f"{row['seconds'] / row['epochs']:.1f}" if row["epochs"] else "" for row in rows],
    }
    equal_sizes = {}
    for name, title in _SIZES.items():
        values = {row[name] for row in rows if row[name] is not None}
        if len(values) == 1:
            equal_sizes[title.capitalize() if title.islower() else title] = _size(name, values.pop())
        elif values:
            columns[title] = ["" if row[name] is None else _size(name, row[name]) for row in rows]
    caption = "The sum over all trials of an arm, including stopped and failed ones; seconds are slot time."
    if comparison.tunings:
        caption += " The cost of tuning is not included; see above."
    if any(row["latency_n"] for row in rows):
        columns[f"latency, {rows[0]['latency_unit']}"] = [_latency(row) for row in rows]
        caption += (
            " Latency of one image: median over trials (lowest\N{EN DASH}highest; trials) of the median of 50 calls"
        )
        if not uses_latency_medians(comparison.replicates.rows):
            least: Any = comparison.replicates.rows["latency_ms_reference"].min()
            caption += f", as a multiple of the time of a fixed computation, which takes at least {least:.2f} ms here"
        caption += "."
        if len(rows) > 1 and all(len({row[name] for row in rows} - {None}) == 1 for name in ("parameters", "flops")):
            caption += " All arms have equal parameters and FLOPs, so differences in latency between them are noise."
    return page.table(list(columns), list(zip(*columns.values(), strict=True)), caption), equal_sizes


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


def _rules(comparison: Comparison) -> str:
    epoch = comparison.common_epoch
    common = (
        f" The column at epoch {epoch} compares all arms at the last epoch that all of them reached." if epoch else ""
    )
    if epoch and comparison.common_basis:
        common += f" It shows only the {comparison.common_basis}, because stopped arms were not trained on others."
    return (
        f"Arms are compared by validation accuracy after {count(comparison.epoch, 'epoch')}.{common} A trial that the "
        "scheduler stopped was screened out; its final accuracy is unknown. An arm with a trial that was stopped on "
        "request is not compared either: its other trials might flatter it. Failed, diverged and hopeless trials (at "
        "chance, ended early) are counted, but left out of the means. If a trial was run again, its latest attempt "
        "counts; if it was continued, its last end and the seconds of all ends count. The test set has no influence on "
        "the verdicts: it was read only for the leading arm and those that are not shown to be worse."
    )


def write(path: Path, content: str | bytes) -> None:
    """Writes a file atomically: a reader sees the old content or the new content.

    Raises:
        ResultsError: if it cannot be written.
    """
    with results_errors(f"cannot write {path}"):
        write_whole(path, content.encode() if isinstance(content, str) else content)

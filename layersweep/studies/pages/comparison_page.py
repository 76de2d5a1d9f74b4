"""The report of a comparison: the page of its views, with what the study says besides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layersweep.formatting import capitalized
from layersweep.records.errors import results_errors
from layersweep.records.files import write_whole
from layersweep.studies.figures import learning_rates
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.pages import page, view_page
from layersweep.studies.pages.page_values import page_values
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import uses_latency_medians
from layersweep.studies.statistics.tuned_pairs import gains
from layersweep.studies.wording.answer_sentences import metric_name
from layersweep.studies.wording.number_formats import setting
from layersweep.studies.wording.rules import rules
from layersweep.studies.wording.tuning_sentences import format_gain, sentences


def html(comparison: Comparison, payload: Mapping[str, Any], sections: Sequence[str] = ()) -> str:
    """The report, in one file, with all recorded texts escaped.

    Args:
        comparison: what is reported.
        payload: the prepared values of its views.
        sections: HTML elements that follow the views.
    """
    parts = ["<h2>Rules</h2>", page.paragraph(rules(comparison)), page.paragraph(_cost_rules(comparison))]
    return view_page.html(page_values(payload), sections=[*_tuning(comparison), *sections, *parts])


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
        metric = metric_name(comparison)
        height, title = learning_rates.height_of(comparison), f"{capitalized(metric)} by the tuned value"
        drawing = Drawing(draw=learning_rates.rate_curves, data=comparison, height=height, title=title)
        parts.append(page.figure(drawing, learning_rates.CAPTION.format(metric=metric)))
    return [*parts, page.table(columns, rows, caption)]


def _p_value(p: float | None) -> str:
    return "" if p is None else f"{p:.1g}"


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {setting(value)}" for key, value in values.items())


def _cost_rules(comparison: Comparison) -> str:
    """What the columns of costs count, and how latency was measured."""
    rows = comparison.arms.to_dicts()
    texts = ["Epochs and seconds are sums over all trials of an arm, stopped ones too; seconds are slot time."]
    if any(row["latency_n"] for row in rows):
        latency = (
            "Latency of one image: median over trials (lowest\N{EN DASH}highest; trials) of the median of 50 calls"
        )
        if not uses_latency_medians(comparison.replicates.rows):
            least: Any = comparison.replicates.rows["latency_ms_reference"].min()
            latency += f", as a multiple of the time of a fixed computation, which takes at least {least:.2f} ms here"
        texts.append(f"{latency}.")
        if len(rows) > 1 and all(len({row[name] for row in rows} - {None}) == 1 for name in ("parameters", "flops")):
            texts.append("All arms have equal parameters and FLOPs, so differences in latency between them are noise.")
    return " ".join(texts)


def write(path: Path, content: str | bytes) -> None:
    """Writes a file atomically: a reader sees the old content or the new content.

    Raises:
        ResultsError: if it cannot be written.
    """
    with results_errors(f"cannot write {path}"):
        write_whole(path, content.encode() if isinstance(content, str) else content)

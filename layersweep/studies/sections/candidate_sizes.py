"""The metric of each candidate of a search against the size of its network, and the Pareto front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from layersweep.formatting import capitalized, count
from layersweep.records.metrics import ACCURACY, METRICS, Metric
from layersweep.records.read import read
from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    LineStyle,
    accuracy_ticks,
    label_inches,
    legend_name,
    line_styles,
)
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.chance_level import learning_flags
from layersweep.studies.statistics.classes.class_counts import CLASS_COLUMNS, NEED_PREDICTIONS, PREDICTIONS
from layersweep.studies.statistics.pareto import pareto_front
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES
from layersweep.studies.statistics.searches import SearchCandidate, searches
from layersweep.studies.statistics.short_names import short_labels
from layersweep.studies.wording.number_formats import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_HEIGHT: Final = 4.2
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">")
_NETWORK_MARKER: Final = "*"
_TITLE: Final = "on the observed Pareto front (one training each: no test)"
_COLUMNS: Final = ("search", "candidate", "parameters", "{noun}", "epochs", "end")
_TABLE_CAPTION: Final = "The observed Pareto front, the smallest network first; one training each: no test."
_CAPTION: Final = (
    "The last {metric} of each candidate (one seed) against its parameters. Each search has its own marker "
    "and colour; hollow markers are candidates that did not complete their epochs. The line joins those that reached "
    "more than every smaller one: one training each, no test. Stars are fixed networks (means over their seeds); the "
    "line leaves them out."
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes and accuracies of candidates and fixed networks.

    Attributes:
        candidates: those with a known size and accuracy, except diverged, hopeless and failed ones; by search.
        front: the candidates that beat chance and reached more than every smaller one, the smallest first. Each was
            trained once, so no test says whether that would happen again.
        fixed_networks: name, parameters and mean accuracy of compared arms that are not searches.
        styles: the style of each arm in all figures.
        metric: what the accuracies are.
    """

    candidates: Sequence[SearchCandidate]
    front: Sequence[SearchCandidate]
    fixed_networks: Sequence[tuple[str, int, float]]
    styles: Mapping[str, LineStyle]
    metric: Metric = METRICS[ACCURACY]


def _place(candidate: SearchCandidate) -> tuple[int, float]:
    return candidate.parameters or 0, candidate.accuracy or 0.0


def sizes(comparison: Comparison, results: Path) -> Sizes:
    """The sizes and accuracies of all candidates and fixed networks of a sweep."""
    all_searches = searches(comparison, results)
    included = [c for search in all_searches for c in search.candidates if c.end not in EXCLUDED_OUTCOMES]
    candidates = [c for c in included if c.parameters and c.accuracy is not None]
    learned = _learned_trials(comparison, results)
    search_names = {search.name for search in all_searches}
    fixed_networks = [
        (row["arm"], row["parameters"], row["mean"])
        for row in comparison.compared_arms
        if row["arm"] not in search_names and row["parameters"]
    ]
    return Sizes(
        candidates=candidates,
        front=_observed_front([c for c in candidates if c.trial_id in learned]),
        fixed_networks=fixed_networks,
        styles=line_styles(comparison.arms["arm"].to_list()),
        metric=comparison.criteria.described_metric,
    )


def _observed_front(candidates: Sequence[SearchCandidate]) -> Sequence[SearchCandidate]:
    return pareto_front(candidates, lambda c: _place(c)[0], lambda a, b: _place(a)[1] > _place(b)[1]).front


def _learned_trials(comparison: Comparison, results: Path) -> set[str]:
    """The trials of candidates whose last accuracy beats chance, however they ended."""
    rows = comparison.replicates.candidates.filter(~pl.col("outcome").is_in(EXCLUDED_OUTCOMES))
    ended = rows.with_columns(pl.lit("completed").alias("outcome"))
    metric = comparison.criteria.metric
    columns = (*CLASS_COLUMNS, *([PREDICTIONS] if metric in NEED_PREDICTIONS else []))
    classes = read(results, "classes", columns=columns)
    flags = learning_flags(ended, classes, metric=metric, value="last_finite_accuracy")
    return set(flags.filter(pl.col("learned"))["trial_id"])


def section(comparison: Comparison, results: Path) -> Section:
    """The section about accuracy and size; a sentence if no candidate has both."""
    n = sum(len(search.candidates) for search in searches(comparison, results))
    if not n:
        return Section()
    data = sizes(comparison, results)
    noun = data.metric.noun
    heading = f"{capitalized(noun)} against size"
    if not data.candidates:
        return make_section(heading, [f"No candidate has a recorded size and {noun} yet."])
    sentence = _front_sentence(data)
    if hidden := n - len(data.candidates):
        sentence += (
            f" Not shown: {count(hidden, 'candidate')} that failed or diverged, or without an epoch or a recorded size."
        )
    rows, caption = [_row(candidate) for candidate in data.front], _CAPTION.format(metric=data.metric.name)
    columns = [name.format(noun=noun) for name in _COLUMNS]
    table = Table(columns=columns, rows=rows, title=_TITLE, caption=_TABLE_CAPTION)
    title = f"{capitalized(noun)} of each candidate by parameters"
    drawing = Drawing(draw=draw, data=data, height=_HEIGHT, title=title)
    return make_section(heading, [sentence], tables=[table] if rows else [], figure=("sizes", drawing, caption))


def _front_sentence(data: Sizes) -> str:
    if not data.front:
        return "No candidate beats chance, so there is no Pareto front."
    verb = "is" if len(data.front) == 1 else "are"
    fronted = count(len(data.front), "candidate")
    return f"{fronted} of {len(data.candidates)} {verb} on the observed Pareto front (one training each: no test)."


def _row(candidate: SearchCandidate) -> list[str]:
    return [
        candidate.search,
        str(candidate.number),
        f"{candidate.parameters or 0:,}",
        share(candidate.accuracy),
        str(candidate.epochs),
        candidate.end,
    ]


def draw(figure: "Figure | SubFigure", data: Sizes) -> None:
    """Draws all candidates, the front as a step line, and the fixed networks with their names."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    names = list(dict.fromkeys(candidate.search for candidate in data.candidates))
    networks = [name for name, _, _ in data.fixed_networks]
    axes = figure.subplots(1, 1)
    labels = short_labels([*names, *networks])
    right = 1 - label_inches(labels.values()) / WIDTH - 0.02
    figure.subplots_adjust(left=0.065, right=right, top=0.97, bottom=0.12)
    axes.set_xscale("log")
    steps = [_place(candidate) for candidate in data.front]
    if steps:
        axes.plot(
            *zip(*steps, strict=True), color=INK, lw=1, alpha=0.6, drawstyle="steps-post", zorder=1, label="front"
        )
    for name, marker in zip(names, _MARKERS * (1 + len(names) // len(_MARKERS)), strict=False):
        axes.plot([], [], marker, color=data.styles[name].colour, ms=6, label=legend_name(labels[name]))
        _dots(axes, [c for c in data.candidates if c.search == name], data.styles[name].colour, marker)
    for name, parameters, accuracy in data.fixed_networks:
        colour = data.styles[name].colour
        axes.plot(
            [parameters],
            [accuracy],
            _NETWORK_MARKER,
            color=colour,
            ms=11,
            mec=PAPER,
            mew=0.6,
            zorder=5,
            label=legend_name(labels[name]),
        )
    accuracy_ticks(axes.yaxis)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(EngFormatter())  # 300, 30 k, 3 M
    axes.grid(visible=True, axis="x", color=GRID, lw=0.6)
    axes.set_xlabel("parameters")
    axes.set_ylabel(f"last {data.metric.name}")
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=MUTED)


def _dots(axes: "Axes", candidates: Sequence[SearchCandidate], colour: str, marker: str) -> None:
    for candidate in candidates:
        face = colour if candidate.end == "completed" else "none"
        axes.plot(*_place(candidate), marker, color=colour, mfc=face, ms=6, mew=1, alpha=0.9)

"""The effect of each configuration key on accuracy, if the arms are a grid: sentences, a table, a heat map."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from layersweep.formatting import capitalized, count
from layersweep.records.metrics import Metric
from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.style import INK, heat_map, label_inches
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.effects import Effects, Level, TermTest, effects
from layersweep.studies.statistics.equal_trainings import (
    EqualTrainings,
    equal_trainings,
    grid_keys,
    values_of,
)
from layersweep.studies.statistics.inference.failed_choices import FailedChoices, failed_choices
from layersweep.studies.statistics.inference.multiplicity import ALPHA
from layersweep.studies.wording.number_formats import degrees_of_freedom, join_words, share, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_MAX_PAIRS: Final = 3
_MAX_NAME_LENGTH: Final = 9
_MANY_COLUMNS: Final = 6
_COLOUR_RANGE: Final = 2.2
"""The colour scale ends at this multiple of the largest effect, so that black text is readable on all cells."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The trainings of a grid at one epoch.

    Attributes:
        metric: what the trainings are judged by.
        trainings: the trainings.
        values: for each key, its value in each training.
        failures: for each key, how often its values failed; empty if no training failed.
        effects: the effects of the keys; None if they cannot be separated.
        survivors: the effects at the end among the arms that ran to it; None if all arms did, or too few.
    """

    metric: Metric
    trainings: EqualTrainings
    values: Mapping[str, Sequence[str]]
    failures: Mapping[str, FailedChoices]
    effects: Effects | None
    survivors: Effects | None = None

    @property
    def arms(self) -> list[str]:
        """The arm of each training."""
        return self.trainings.rows["arm"].to_list()

    @property
    def accuracies(self) -> list[float]:
        """The metric of each training."""
        return self.trainings.rows["accuracy_at_epoch"].to_list()


def grid(comparison: Comparison) -> Grid:
    """The trainings of a sweep with the keys in which they differ."""
    trainings = equal_trainings(comparison)
    rows, excluded_rows = trainings.rows, trainings.excluded_rows
    keys = grid_keys(pl.concat([rows.drop("accuracy_at_epoch"), excluded_rows]))
    values = {key: values_of(rows, key) for key in keys}
    failures = {key: failed_choices(key, values[key], values_of(excluded_rows, key)) for key in keys}
    failures = failures if excluded_rows.height else {}
    accuracies = rows["accuracy_at_epoch"].to_list()
    p_values = {key: counts.p for key, counts in failures.items()}
    return Grid(
        metric=comparison.criteria.described_metric,
        trainings=trainings,
        values=values,
        failures=failures,
        effects=effects(values, rows.select("seed", "fold").rows(), accuracies, p_values),
        survivors=None if trainings.is_last_epoch else _survivors(comparison, keys),
    )


def _survivors(comparison: Comparison, keys: Sequence[str]) -> Effects | None:
    """The effects at the last epoch, among the trainings that reached it and learned."""
    reached = (pl.col("outcome") == "completed") & pl.col("config_json").is_not_null()
    rows = comparison.replicates.rows.filter(reached & ~pl.col("trial_id").is_in(comparison.at_chance))
    points = comparison.replicates.curves.filter(pl.col("epoch") == comparison.epoch)
    ends = rows.join(points.select("trial_id", "arm", accuracy_at_end="val_accuracy"), on=["trial_id", "arm"])
    values = {key: values_of(ends, key) for key in keys}
    return effects(values, ends.select("seed", "fold").rows(), ends["accuracy_at_end"].to_list())


def section(comparison: Comparison, _results: Path, reported: Mapping[str, float] | None = None) -> Section:
    """The section about the effect of each key.

    Args:
        comparison: the comparison of the arms.
        reported: arms that others reported as best, with their accuracies; the section gives their results here.
    """
    data = grid(comparison)
    texts = [*sentences(data), *([reported_arms(comparison, data, reported)] if reported else [])]
    title, answer = "The effect of each choice", " ".join(texts)
    if data.effects is None:
        return make_section(title, texts, answer=answer)
    caption = (
        f"The difference of each choice from the mean of its key, in {data.metric.name} {data.trainings.where}; ± is "
        "half a 95 % interval. On the right: the interactions of the strongest pairs, in addition to the effects of "
        "each choice."
    )
    drawing = Drawing(draw=draw, data=data.effects, height=_height(data.effects), title=title)
    figure = "effects", drawing, caption
    return make_section(title, texts, tables=[_table(data.effects, data.metric)], figure=figure, answer=answer)


def sentences(data: Grid) -> list[str]:
    """Sentences about the effects."""
    fit, where = data.effects, data.trainings.where
    if fit is None:
        none = f"The {count(len(data.arms), 'training')} {where} are too few to separate the effects of the choices."
        return [text for text in (_failures(data), none) if text]
    noise = f"the residual standard deviation is ±{share(fit.deviation)} ({degrees_of_freedom(fit.df)})"
    shown = sorted((test for test in fit.main if test.p < ALPHA), key=lambda test: -test.share)
    other_keys = [test.term[0] for test in fit.main if test.p >= ALPHA]
    texts = (
        _failures(data),
        f"{count(fit.n, 'training')} {where}: {noise}.",
        " ".join(f"{t.term[0]} matters (p = {t.p:.1g}): {_choices(fit, t.term[0])}." for t in shown),
        f"No effect of {join_words(other_keys)} was shown." if other_keys else "",
        _interactions(fit),
        _best(data, fit),
        *_at_the_end(data, fit),
    )
    return [text for text in texts if text]


def _failures(data: Grid) -> str:
    """Sentences about failed trainings, and whether they depend on a key."""
    texts = []
    if n := data.trainings.machine_failures:
        texts.append(f"{count(n, 'training')} failed by a fault of the machine and {_is(n)} left out.")
    if data.failures:
        n = data.trainings.excluded_rows.height
        texts.append(f"{count(n, 'training')} diverged, failed or stayed at chance and {_is(n)} left out.")
        shown = [key for key in data.failures if _failure_p(data, key) < ALPHA]
        texts += [_failures_of(data, key) for key in shown]
        if not shown:
            texts.append("No key was shown to matter for that.")
    return " ".join(texts)


def _failures_of(data: Grid, key: str) -> str:
    """`activation: relu failed in 4 of 27 trainings, elu in 0 of 27 (p = .01); …`."""
    counts = sorted(data.failures[key].counts.items(), key=lambda item: -item[1][0] / item[1][1])
    (value, (failed, n)), *others = counts
    rest = "".join(f", {other} in {failed} of {n}" for other, (failed, n) in others)
    p = f"p = {_failure_p(data, key):.1g}"
    return (
        f"{key}: {value} failed in {failed} of {count(n, 'training')}{rest} ({p}); its effect on "
        f"{data.metric.noun} is that of the trainings that learned."
    )


def _failure_p(data: Grid, key: str) -> float:
    """The corrected p-value; without effects, that of the key times the number of keys (Bonferroni)."""
    raw = data.failures[key].p * len(data.failures)
    return data.effects.failure_p[key] if data.effects else min(1.0, raw)


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _interactions(fit: Effects) -> str:
    """Sentences about the interactions of keys."""
    pairs = [test for test in fit.pairs if test.p < ALPHA]
    if pairs:
        return " ".join(_interaction(fit, test) for test in pairs[:_MAX_PAIRS])
    if fit.pairs:
        return "No interaction of two keys was shown."
    return "There are too few trainings to test interactions of keys." if len(fit.levels) > 1 else ""


def _best(data: Grid, fit: Effects) -> str:
    """The best choices; one that fails more than others is never among them."""
    best = {key: [value for value in values if not _fails(data, key, value)] for key, values in fit.best.items()}
    text = ", ".join(f"{key} {' or '.join(values)}" for key, values in best.items() if values)
    limit = " without interactions" if any(test.p < ALPHA for test in fit.pairs) else ""
    learned = "Of the trainings that learned, the" if data.failures else "The"
    return f"{learned} best choices{limit} {data.trainings.where}: {text}." if text else ""


def _fails(data: Grid, key: str, value: str) -> bool:
    """Whether it is shown that failures depend on the key, and this value fails more than another."""
    return key in data.failures and _failure_p(data, key) < ALPHA and data.failures[key].fails_more(value)


def _at_the_end(data: Grid, fit: Effects) -> list[str]:
    """A sentence for each key whose best choices at the early epoch are shown to be others at the end."""
    if data.survivors is None:
        return []
    late = data.survivors.best
    remaining = {key: {level.value for level in levels} for key, levels in data.survivors.levels.items()}
    return [
        f"Among the arms that ran to the end, the best {key} is {' or '.join(late[key])}, not {' or '.join(values)}: "
        f"epoch {data.trainings.epoch} misleads."
        for key, values in fit.best.items()
        if key in late and set(values) & remaining[key] and not set(values) & set(late[key])
    ]


def _choices(fit: Effects, key: str) -> str:
    """The effects of the values of a key: `selu +.0040 ± .0010, relu -.0040 ± .0010`."""
    levels = fit.levels[key]
    return ", ".join(f"{level.value} {' ± '.join(_effect(level))}" for level in levels)


def _effect(level: Level) -> list[str]:
    """The effect, and half its interval; without that if it holds differences that no two accuracies have."""
    has_interval = abs(level.effect) + level.half_width <= 1
    return [signed(level.effect), *([share(level.half_width)] if has_interval else [])]


def _interaction(fit: Effects, test: TermTest) -> str:
    cells = fit.cells[test.term]
    (first, second), effect = max(cells.items(), key=lambda cell: abs(cell[1]))
    a, b = test.term
    return (
        f"{a} and {b} interact (p = {test.p:.1g}), most strongly for {first} and {second}: {signed(effect)} in "
        "addition to the effects of each."
    )


def reported_arms(comparison: Comparison, data: Grid, reported: Mapping[str, float]) -> str:
    """Sentences about arms that others reported as best: their results here, and the differences that chance causes."""
    parts, what = [], "reported" if data.metric.counts_images else "reported accuracy"
    has_one_training_per_arm = len(set(data.arms)) == len(data.arms)
    order = sorted(range(len(data.arms)), key=lambda i: -data.accuracies[i])
    ranks = {data.arms[i]: rank for rank, i in enumerate(order, 1)} if has_one_training_per_arm else {}
    rows = {row["arm"]: row for row in comparison.arms.to_dicts()}
    for arm, accuracy in reported.items():
        if arm not in rows:
            parts.append(f"{arm} ({what} {share(accuracy)}) is not an arm of this sweep.")
            continue
        row = rows[arm]
        mean = f", mean {share(row['mean'])} (n = {row['n']})" if row["mean"] is not None else ""
        rank = f"rank {ranks[arm]} of {len(ranks)} {data.trainings.where}; " if arm in ranks else ""
        parts.append(f"{arm} ({what} {share(accuracy)}): {rank}{row['verdict']}{mean}.")
    return " ".join(parts)


def _table(fit: Effects, metric: Metric) -> Table:
    mains = [(_choices(fit, test.term[0]).split(", "), test) for test in fit.main]
    pairs = [([""], test) for test in fit.pairs[:_MAX_PAIRS]]
    return Table(
        columns=("key", "choices: difference from the key's mean", "share", "p (Holm)"),
        rows=[row for choices, test in (*mains, *pairs) for row in _rows(test, choices)],
        text_columns=2,
        caption=f"{capitalized(metric.name)}, ± half a 95 % interval. Share: part of the total sum of squares. p: "
        "F-test, Holm-corrected over all keys, pairs and tests of failures.",
    )


def _rows(test: TermTest, choices: Sequence[str]) -> list[list[str]]:
    """A row for each choice, so that no line is longer than a terminal's."""
    first, *others = choices
    head = [" x ".join(test.term), first, f"{test.share:.1%}", f"{test.p:.1g}"]
    return [head, *(["", choice, "", ""] for choice in others)]


def _height(fit: Effects) -> float:
    return max(1.2 + 0.62 * len(fit.levels), 3.4)


def draw(figure: "Figure | SubFigure", fit: Effects) -> None:
    """Draws heat maps: main effects (a row per key, a cell per choice), and the interactions of the strongest pairs."""
    pairs = fit.pairs[:2]
    panels: Any = figure.subplots(1, 1 + len(pairs), squeeze=False, width_ratios=[1.6, *[1.0] * len(pairs)])
    left = label_inches(list(fit.levels)) / WIDTH
    figure.subplots_adjust(left=left, right=0.99, top=0.88, bottom=0.2, wspace=0.5)
    cells = [cell for test in pairs for cell in fit.cells[test.term].values()]
    main = [level.effect for levels in fit.levels.values() for level in levels]
    limit = _COLOUR_RANGE * max(abs(effect) for effect in [*cells, *main])
    axes, *pair_axes = panels[0]
    sorted_levels = {key: sorted(levels, key=lambda level: _rank(level.value)) for key, levels in fit.levels.items()}
    has_same_choices = len({tuple(level.value for level in levels) for levels in sorted_levels.values()}) == 1
    columns = [level.value for level in next(iter(sorted_levels.values()))]
    if not has_same_choices:
        columns = [""] * max(map(len, sorted_levels.values()))
    values, texts = {}, {}
    for i, levels in enumerate(sorted_levels.values()):
        for j, level in enumerate(levels):
            values[i, j] = level.effect
            name = "" if has_same_choices else f"{level.value}\n"
            texts[i, j] = name + "\n± ".join(_effect(level))
    _heat_map(axes, list(sorted_levels), columns, values, texts=texts, limit=limit)
    axes.set_title(f"Main effects, {fit.n} trainings")
    for axes, test in zip(pair_axes, pairs, strict=True):
        interactions = fit.cells[test.term]
        first, second = (sorted({cell[i] for cell in interactions}, key=_rank) for i in range(2))
        pair_values = {(first.index(a), second.index(b)): value for (a, b), value in interactions.items()}
        pair_texts = {cell: signed(value) for cell, value in pair_values.items()}
        _heat_map(axes, first, second, pair_values, texts=pair_texts, limit=limit)
        axes.set_ylabel(test.term[0])
        axes.set_xlabel(test.term[1])
        axes.set_title(f"Interaction, p = {test.p:.1g}")


def _rank(value: str) -> tuple[float, str]:
    """The sorting key of a value: numbers by size, then texts by name."""
    try:
        return float(value), ""
    except ValueError:
        return math.inf, value


def _heat_map(
    axes: "Axes",
    rows: Sequence[str],
    columns: Sequence[str],
    values: Mapping[tuple[int, int], float],
    *,
    texts: Mapping[tuple[int, int], str],
    limit: float,
) -> None:
    """Draws cells by row and column: green for gains, purple for losses."""
    numbers = [[values.get((i, j), math.nan) for j in range(len(columns))] for i in range(len(rows))]
    axes.imshow(numbers, cmap="PRGn", vmin=-limit, vmax=limit, aspect="auto")
    heat_map(axes, rows, columns, rotation=30 if max(map(len, columns)) > _MAX_NAME_LENGTH else 0)
    for (i, j), text in texts.items():
        axes.text(
            j, i, text, ha="center", va="center", fontsize=8 if len(columns) < _MANY_COLUMNS else 6.5, color="#000000"
        )
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)

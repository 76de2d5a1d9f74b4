"""What a comparison tells besides its table: effects, Pareto fronts, confusion, origin. It is computed once a look."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from layersweep.records.read import read
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.earlier_records import sections_of
from layersweep.studies.sections.costs import AXES
from layersweep.studies.sections.key_effects import grid
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.classes.class_notes import shown_names
from layersweep.studies.statistics.classes.confusion import MOST_CLASSES, most_confused
from layersweep.studies.statistics.pareto import pareto_front
from layersweep.studies.statistics.screening_risk import screening_risk
from layersweep.studies.views.json_values import number
from layersweep.studies.wording import provenance
from layersweep.studies.wording.answer_sentences import answer, method, seeds_sentence

NO_COMPARISON: Final[Mapping[str, Any]] = {
    "answer": "", "sentences": [], "cautions": [], "notes": [], "effects": [], "pareto": [], "confusion": [],
    "provenance": [],
}  # fmt: skip
"""The parts before the first comparison."""

_COSTS: Final[Mapping[str, str]] = {
    "flops": AXES["flops"],
    "parameters": AXES["parameters"],
    "latency": AXES["latency"],
    "size_bytes": "bytes of the network",
    "seconds": "seconds of slot time of all trials",
}
_SHOWN_ARMS: Final = 3
_LONGEST_CLASS: Final = 32
"""Characters of a class' name beside the confusion matrix."""
_CONFUSION_COLUMNS: Final = (
    "trial_id", "attempt", "epoch", "set_name", "class_index", "class_name", "predicted",
)  # fmt: skip


def comparison_views(
    comparison: Comparison, results: Path, runs: pl.DataFrame, question: StudyQuestion
) -> Mapping[str, Any]:
    """The parts of the page that depend on the comparison alone, by their names there; arms by their names.

    As in a study, effects are shown of grids, or if the question asks for them; and not of losses.
    """
    sections = sections_of(comparison) if question.sections is None else question.sections
    has_effects = "effects" in sections and comparison.criteria.described_metric.is_share
    return {
        "answer": answer(comparison),
        "sentences": [*filter(None, (seeds_sentence(comparison, runs), screening_risk(comparison).sentence))],
        "cautions": list(comparison.cautions),
        "notes": [*comparison.warnings, *provenance.warnings(runs)],
        "effects": effects(comparison) if has_effects else [],
        "pareto": pareto(comparison),
        "confusion": confusion(comparison, results),
        "provenance": [
            *([name, text] for name, text in provenance.facts(comparison, runs).items() if text),
            ["Method", method(comparison)],
        ],
    }


def effects(comparison: Comparison) -> list[dict[str, Any]]:
    """The effect of each choice of each key, with its 95 % interval; none if the arms are no grid."""
    fit = grid(comparison).effects
    if fit is None:
        return []
    return [
        {
            "key": key,
            "choice": level.value,
            "effect": number(level.effect),
            "low": number(level.effect - level.half_width),
            "high": number(level.effect + level.half_width),
        }
        for key, levels in fit.levels.items()
        for level in levels
    ]


def pareto(comparison: Comparison) -> list[dict[str, Any]]:
    """The compared arms by each cost and their means; a cost that all arms share is left out."""
    rows = [row for row in comparison.arms.to_dicts() if row["mean"] is not None]
    worse_arms = cache(comparison.judgement.worse_than) if comparison.judgement else frozenset
    fronts = []
    for cost, heading in _COSTS.items():
        points = [row for row in rows if row[cost]]
        if len({row[cost] for row in points}) < 2:  # noqa: PLR2004
            continue
        prices = {row["arm"]: float(row[cost]) for row in points}
        front = {*pareto_front(prices, prices.__getitem__, lambda a, b: b in worse_arms(a)).front}
        unit = f", {points[0]['latency_unit']}" if cost == "latency" else ""
        fronts.append({
            "cost": cost,
            "heading": heading + unit,
            "arm": [row["arm"] for row in points],
            "x": [number(row[cost]) for row in points],
            "y": [number(row["mean"]) for row in points],
            "front": [row["arm"] in front for row in points],
        })  # fmt: skip
    return fronts


def confusion(comparison: Comparison, results: Path) -> list[dict[str, Any]]:
    """The confusion of the leading arms on each set, over their completed trainings together."""
    arms = [row["arm"] for row in comparison.leading_arms[:_SHOWN_ARMS]]
    trainings = comparison.replicates.rows.filter(pl.col("arm").is_in(arms) & (pl.col("outcome") == "completed"))
    rows = read(results, "classes", columns=_CONFUSION_COLUMNS).filter(pl.col("epoch") == comparison.epoch)
    rows = rows.join(trainings.select("arm", "trial_id", "attempt"), on=["trial_id", "attempt"])
    rows = rows.unique(["trial_id", "set_name", "class_index"], keep="last")
    places = {arm: place for place, arm in enumerate(arms)}
    parts = [
        (places[str(arm)], str(name), part)
        for (arm, name), part in rows.group_by("arm", "set_name", maintain_order=True)
    ]
    return [
        {"arm": arms[place], "set": name, **_matrix(part)} for place, name, part in sorted(parts, key=lambda p: p[:2])
    ]


def _matrix(part: pl.DataFrame) -> dict[str, Any]:
    """The names of the classes, and how many images of each (rows) were classified as each; the most confused ones."""
    names = dict(part.select("class_index", "class_name").unique("class_index").sort("class_index").rows())
    recorded = {index: str(name) for index, name in names.items() if name}
    size = 1 + max(*names, *(len(predicted) - 1 for predicted in part["predicted"]))
    counts = np.zeros((size, size), dtype=np.int64)
    for index, predicted in part.select("class_index", "predicted").iter_rows():
        counts[index, : len(predicted)] += np.asarray(predicted)
    shown = most_confused(counts, MOST_CLASSES)
    return {
        "classes": shown_names([recorded.get(index, str(index)) for index in shown], _LONGEST_CLASS),
        "counts": counts[np.ix_(shown, shown)].tolist(),
        "images": counts.sum(axis=1)[shown].tolist(),
    }

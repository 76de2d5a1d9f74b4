"""The questions of sweeps that were recorded before runs recorded them, and the sections of sweeps that name none."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from layersweep.records.read import read
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.equal_trainings import grid_keys, values_of
from layersweep.studies.statistics.replicates import configuration

SEARCH: Final = ("best_so_far", "sizes", "networks", "refusals", "by_class")
"""The sections of a sweep that searches architectures."""


def _question(text: str, *sections: str, reported: Mapping[str, float] | None = None) -> StudyQuestion:
    return StudyQuestion(text=text, sections=sections, reported=reported or {})


EARLIER: Final[Mapping[str, StudyQuestion]] = {
    "activations": _question(
        "Which activation does each convolution want?",
        "effects",
        "behaviour",
        reported={"selu-relu-relu-relu": 0.9337},
    ),
    "alexnet": StudyQuestion(
        text="Does AlexNet learn from small images with Adam, or only with SGD?", sections=(), apart={"classes": "all"}
    ),
    "architectures": _question("Which architecture does best at an equal budget, and at what cost?", "costs"),
    "cnn_tuning": _question("How much does tuning everything at once gain over the CNNs as they were published?"),
    "cross_validation": _question("Which arm is best when every image validates once?"),
    "data_amount": _question("How many images does a frozen network save?", "amounts", "costs"),
    "depth": _question(
        "How deep should the seven-convolution CNN be, and how much dropout does it want?", "effects", "costs"
    ),
    "feature_extraction": _question(
        "Which head on a frozen network learns classes that the network has never seen?", "costs"
    ),
    "filters": _question(
        "How many filters does each convolution want?",
        "effects",
        "behaviour",
        "costs",
        reported={"32-64-64-64": 0.9338},
    ),
    "fine_tuning": _question("How many of the last layers are worth training again?", "costs", "first_phases"),
    "mobilenet_head": _question("Which batch size and dropout does a large head on MobileNetV2 want?", "costs"),
    "mobilenet_scratch": _question("How good does MobileNetV2 get without ImageNet?", "costs", "by_class"),
    "nas": _question("Which way of searching finds the better network in the same time?", *SEARCH),
    "nas_candidates": _question(
        "Which way of searching finds the better network in the same time, on all slots?", *SEARCH
    ),
    "optimizers": _question("Which optimizer trains the Fashion-MNIST CNN best?"),
    "pretrained": _question("Which network from ImageNet is the best frozen base?", "costs"),
    "resolution": _question("What does a higher resolution buy, and what does it cost?", "costs"),
    "source": _question("How well does the network that others are made from know its own classes?", "costs"),
    "truncation": _question("How much of MobileNetV2 can go before accuracy does?", "costs", "by_class"),
}
"""The questions of this project's sweeps from the time before runs recorded them. Their records contain neither the
text nor the reported accuracies, and `mobilenet_head` and `cnn_tuning` show fewer sections than their records allow.
New sweeps record their question, so nothing is added here."""


def question_of(results: Path, sweep: str) -> StudyQuestion:
    """The question of a recorded sweep: from its last run, from `EARLIER`, or else its name.

    Raises:
        ResultsError: if the records cannot be read.
    """
    question = StudyQuestion.last(results, sweep) or EARLIER.get(sweep)
    if question is not None:
        return question
    plan = read(results, "plan", sweep, columns=("config_json",))
    classes = {configuration(text).get("classes", "all") for text in plan["config_json"]}
    return StudyQuestion(text=sweep, apart={"classes": "all"} if len(classes) > 1 else {})


def sections_of(comparison: Comparison) -> list[str]:
    """The sections for which a sweep has records, according to its configurations and trials.

    They include the sections that read other tables (layers, classes); these sections are empty if the table is empty.
    """
    if any("choices" in configuration(text) for text in comparison.replicates.candidates["config_json"]):
        return [*SEARCH]
    rows = comparison.replicates.rows
    has_records = {
        "effects": _is_grid(rows),
        "behaviour": True,
        "amounts": len({*values_of(rows, "train_share")}) > 1,
        "costs": bool(rows["flops"].drop_nulls().len()),
        "first_phases": bool(rows["parent"].drop_nulls().len()),
        "by_class": True,
    }
    return [name for name, is_recorded in has_records.items() if is_recorded]


def _is_grid(rows: pl.DataFrame) -> bool:
    """Whether at least two keys vary, and all combinations of their values occur."""
    columns = [values_of(rows, key) for key in grid_keys(rows)]
    combinations = {*zip(*columns, strict=True)}
    return len(columns) > 1 and len(combinations) == math.prod(len({*column}) for column in columns)

"""What is asked of records of before the runs recorded it, and of sweeps that do not say which sections they want."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from layersweep.records.read import read
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import configuration
from layersweep.studies.wording.equal_trainings import grid_keys, values_of

SEARCH: Final = ("best_so_far", "sizes", "networks", "refusals", "by_class")
"""The sections of a sweep of searches among networks."""


def _asked(text: str, *sections: str, reported: Mapping[str, float] | None = None) -> StudyQuestion:
    return StudyQuestion(text=text, sections=sections, reported=reported or {})


EARLIER: Final[Mapping[str, StudyQuestion]] = {
    "activations": _asked(
        "Which activation does each convolution want?",
        "effects",
        "behaviour",
        reported={"selu-relu-relu-relu": 0.9337},
    ),
    "alexnet": StudyQuestion(
        text="Does AlexNet learn from small images with Adam, or only with SGD?", sections=(), apart={"classes": "all"}
    ),
    "architectures": _asked("Which architecture does best at an equal budget, and at what cost?", "costs"),
    "cnn_tuning": _asked("How much does tuning everything at once gain over the CNNs as they were published?"),
    "cross_validation": _asked("Which arm is best when every image validates once?"),
    "data_amount": _asked("How many images does a frozen network save?", "amounts", "costs"),
    "depth": _asked(
        "How deep should the seven-convolution CNN be, and how much dropout does it want?", "effects", "costs"
    ),
    "feature_extraction": _asked(
        "Which head on a frozen network learns classes that the network has never seen?", "costs"
    ),
    "filters": _asked(
        "How many filters does each convolution want?",
        "effects",
        "behaviour",
        "costs",
        reported={"32-64-64-64": 0.9338},
    ),
    "fine_tuning": _asked("How many of the last layers are worth training again?", "costs", "first_phases"),
    "mobilenet_head": _asked("Which batch size and dropout does a large head on MobileNetV2 want?", "costs"),
    "mobilenet_scratch": _asked("How good does MobileNetV2 get without ImageNet?", "costs", "by_class"),
    "nas": _asked("Which way of searching finds the better network in the same time?", *SEARCH),
    "nas_candidates": _asked(
        "Which way of searching finds the better network in the same time, on all slots?", *SEARCH
    ),
    "optimizers": _asked("Which optimizer trains the Fashion-MNIST CNN best?"),
    "pretrained": _asked("Which network from ImageNet is the best frozen base?", "costs"),
    "resolution": _asked("What does a higher resolution buy, and what does it cost?", "costs"),
    "source": _asked("How well does the network that others are made from know its own classes?", "costs"),
    "truncation": _asked("How much of MobileNetV2 can go before accuracy does?", "costs", "by_class"),
}
"""What this project's sweeps asked when runs did not record it yet, so that their pages stay as they were: no record of
theirs has the words, nor what was reported elsewhere, nor that `mobilenet_head` and `cnn_tuning` show less than they
could. Sweeps that are run now record it; nothing is added here."""


def question_of(results: Path, sweep: str) -> StudyQuestion:
    """What a recorded sweep asks: as its last run says, else as it asked before runs said it, else by its name.

    Raises:
        ResultsError: if the records cannot be read.
    """
    asked = StudyQuestion.last(results, sweep) or EARLIER.get(sweep)
    if asked is not None:
        return asked
    plan = read(results, "plan", sweep, columns=("config_json",))
    classes = {configuration(text).get("classes", "all") for text in plan["config_json"]}
    return StudyQuestion(text=sweep, apart={"classes": "all"} if len(classes) > 1 else {})


def sections_of(found: Comparison) -> list[str]:
    """The sections for which a sweep has recorded something, as far as its configurations and trials tell.

    Those that read a table of their own (layers, classes, exports) are among them: they show nothing where it is empty.
    """
    if any("choices" in configuration(text) for text in found.replicates.tuning["config_json"]):
        return [*SEARCH]
    rows = found.replicates.rows
    told = {
        "effects": _is_grid(rows),
        "behaviour": True,
        "amounts": len({*values_of(rows, "train_share")}) > 1,
        "costs": bool(rows["flops"].drop_nulls().len()),
        "first_phases": bool(rows["parent"].drop_nulls().len()),
        "by_class": True,
    }
    return [name for name, there in told.items() if there]


def _is_grid(rows: pl.DataFrame) -> bool:
    """Whether at least two keys vary, and every value of each was tried with all values of the others."""
    columns = [values_of(rows, key) for key in grid_keys(rows)]
    tried = {*zip(*columns, strict=True)}
    return len(columns) > 1 and len(tried) == math.prod(len({*column}) for column in columns)

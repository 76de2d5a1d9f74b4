"""Sentences about the classes of a sweep: one that is too frequent for accuracy, and the names behind indices."""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from layersweep.escaping import visible
from layersweep.formatting import first_names, shortened
from layersweep.records.metrics import BALANCED_ACCURACY
from layersweep.studies.statistics.classes.class_counts import ClassCounts
from layersweep.studies.statistics.replicates import configuration

MISLEADING_SHARE: Final = 0.7
"""Above this share of one class, accuracy says little: a model that always says this class has it."""
EVERY_CLASS: Final = "all"

_LONGEST_NAME: Final = 60
_MAJORITY: Final = "majority_share"
_LAST_BALANCED: Final = f"last_{BALANCED_ACCURACY}"


def majority_caution(rows: pl.DataFrame, counts: Sequence[ClassCounts | None]) -> str:
    """One sentence if one class has most images of a set that accuracy is measured on; else "".

    Args:
        rows: as `Replicates.rows`.
        counts: the classes of each row; None if they are not recorded.
    """
    recorded = rows[_MAJORITY].to_list() if _MAJORITY in rows.columns else [None] * rows.height
    shares = [
        (one.majority_share, one.names[one.largest]) if one else (share or 0.0, "")
        for one, share in zip(counts, recorded, strict=True)
    ]
    share, name = max(shares, default=(0.0, ""))
    if share <= MISLEADING_SHARE:
        return ""
    what = f"'{shown_name(name)}'" if name else "the most frequent class"
    level = f"{share:.2f}".removeprefix("0") if share < 0.995 else f"{share:.4f}".removeprefix("0")  # noqa: PLR2004
    is_recorded = _LAST_BALANCED in rows.columns and rows[_LAST_BALANCED].drop_nulls().len() > 0
    advice = (
        f"judge by --metric {BALANCED_ACCURACY}"
        if is_recorded
        else "an accuracy near that says nothing, and balanced accuracy is not recorded here"
    )
    return f"A model that always says {what} reaches {level}: {advice}."


def class_names_notes(rows: pl.DataFrame, counts: Sequence[ClassCounts | None]) -> list[str]:
    """A sentence with the names of the classes that all arms are restricted to, if their keys are indices."""
    values = {_classes(config_json) for config_json in rows["config_json"]}
    names = names_by_classes(rows, counts)
    return [f"classes={value} are {names[value]}." for value in values if len(values) == 1 and value in names]


def names_by_classes(rows: pl.DataFrame, counts: Sequence[ClassCounts | None]) -> dict[str, str]:
    """The names of the classes by the value of the key `classes`; of values that are not names themselves."""
    names: dict[str, str] = {}
    for config_json, one in zip(rows["config_json"], counts, strict=True):
        value = _classes(config_json)
        if one is not None and all(one.names) and value not in (EVERY_CLASS, "+".join(one.names)):
            names[value] = first_names([shown_name(name) for name in one.names])
    return names


def shown_name(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name of a class in one line, visible and not too long: names of folders may hold newlines and hidden signs."""
    return shortened(visible(" ".join(name.split())), longest)


def shown_names(names: Sequence[str], longest: int = _LONGEST_NAME) -> list[str]:
    """As `shown_name`, each with its place if two look alike: an axis of a figure has each name once."""
    texts = [shown_name(name, longest) for name in names]
    return [text if texts.count(text) == 1 else f"{text} ({place})" for place, text in enumerate(texts)]


def _classes(config_json: str | None) -> str:
    config: Mapping[str, object] = configuration(config_json)
    return str(config.get("classes", EVERY_CLASS))

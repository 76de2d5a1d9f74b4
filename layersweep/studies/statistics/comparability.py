"""What tells arms apart besides the question: image sizes, other images, other epochs.

A difference of accuracy may come from these. No verdict changes for it, but a reader must know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from layersweep.formatting import first_names
from layersweep.studies.statistics.replicates import configuration

_DEFAULTS: Final[Mapping[str, Any]] = {
    "image_size": 0,
    "fit": "stretch",
    "classes": "all",
    "train_share": 1.0,
    "validation_share": 0.0,
    "head_epochs": 0,
}
"""The configuration keys that are checked, with their values if a configuration does not have them."""
_DATA_COLUMNS: Final = ("dataset", "data_fingerprint", "validation_images")
"""The columns that are checked, until one of them differs: the next ones then differ because of it."""
_OTHER_IMAGES: Final = ("dataset", "data_fingerprint", "validation_images", "classes", "validation_share")
"""The keys whose values change the images that an accuracy is measured on."""
_EPOCHS: Final = "epochs"
_SHOWN_VALUES: Final = 4
_CLASSES: Final = "classes"
_WORDS: Final[Mapping[tuple[str, Any], str]] = {
    ("image_size", 0): "not resized",
    ("validation_share", 0.0): "the usual share",
}


@dataclass(frozen=True, kw_only=True)
class DataDifference:
    """A key in which the trainings of arms differ.

    Attributes:
        key: a configuration key, a column of `trials`, or `epochs`.
        arms: the arms by their value, in order of the values.
        is_question: whether the sweep asks what this key does: two arms differ in it alone.
        names: the names of classes, by values of the key `classes` that are indices.
    """

    key: str
    arms: Mapping[Any, Sequence[str]]
    is_question: bool
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The key and the values of the arms; lists are shortened."""
        groups = [f"{self._words(value)} ({first_names(names)})" for value, names in self.arms.items()]
        listed = ", ".join(groups[:_SHOWN_VALUES])
        rest = f" and {len(groups) - _SHOWN_VALUES} more values" if len(groups) > _SHOWN_VALUES else ""
        verb = "This sweep varies" if self.is_question else "Arms differ in"
        return f"{verb} {self.key}: {listed}{rest}.{self._consequence}"

    def _words(self, value: Any) -> str:
        text = _WORDS.get((self.key, value), _text(value))
        return f"{text} = {self.names[text]}" if self.key == _CLASSES and text in self.names else text

    @property
    def _consequence(self) -> str:
        if self.key == _EPOCHS:
            return " Only trainings of equal epochs are compared."
        if self.key in _OTHER_IMAGES:
            return " Their values are measured on different images."
        return "" if self.is_question else " A difference between them may come from that."


def data_differences(
    rows: pl.DataFrame, epoch: int, class_names: Mapping[str, str] | None = None
) -> tuple[DataDifference, ...]:
    """The keys in which the data or the epochs of the arms differ, in a fixed order.

    Counted are arms with a completed training, and arms whose training ended after fewer epochs than `epoch`, as
    planned. Longer trainings are read at `epoch`, so they do not differ.

    Args:
        rows: as `Replicates.rows`.
        epoch: the equal epochs.
        class_names: the names of classes, by values of the key `classes` that are indices.
    """
    ended_early = (pl.col("outcome") == "unfinished") & (pl.col("epochs") >= pl.col("epochs_asked"))
    ended = rows.filter((pl.col("outcome") == "completed") | ended_early.fill_null(value=False))
    completed = ended.filter(pl.col("outcome") == "completed")
    values = [*_column_values(completed), *_config_values(completed), (_EPOCHS, _epochs(ended, epoch))]
    questions = _questions(completed)
    return tuple(
        DataDifference(
            key=key, arms=_arms_by_value(value_by_arm), is_question=key in questions, names=class_names or {}
        )
        for key, value_by_arm in values
        if len({*value_by_arm.values()}) > 1
    )


def _config_values(rows: pl.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    configs = _configs(rows)
    return [(key, {arm: config[key] for arm, config in configs.items()}) for key in _DEFAULTS]


def _column_values(rows: pl.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """The first column in which arms differ. Folds differ in their numbers of images, and so do parts of the data."""
    data_parts = {(config["classes"], config["validation_share"]) for config in _configs(rows).values()}
    has_parts = len(data_parts) > 1 or rows["fold"].drop_nulls().len() > 0
    for column in _DATA_COLUMNS[:-1] if has_parts else _DATA_COLUMNS:
        known = rows.drop_nulls(column).sort(column)
        values = dict(known.select("arm", column).unique("arm", keep="last", maintain_order=True).rows())
        if len({*values.values()}) > 1:
            return [(column, values)]
    return []


def _epochs(rows: pl.DataFrame, epoch: int) -> dict[str, Any]:
    planned = rows.group_by("arm", maintain_order=True).agg(pl.col("epochs_asked").max())
    return {arm: min(epochs, epoch) for arm, epochs in planned.rows() if epochs is not None}


def _configs(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """The configuration of each arm, with its family and the defaults of the keys that are checked."""
    texts = rows.select("arm", "family", "config_json").unique("arm", keep="last", maintain_order=True).rows()
    return {arm: {"family": family, **_DEFAULTS, **configuration(text)} for arm, family, text in texts}


def _questions(rows: pl.DataFrame) -> set[str]:
    """The keys that are checked in which alone some pair of arms differs: there, the sweep asks what the key does."""
    configs = list(_configs(rows).values())
    questions = set()
    for key in _DEFAULTS:
        others = [frozenset((k, v) for k, v in config.items() if k != key) for config in configs]
        pairs = {(other, config[key]) for other, config in zip(others, configs, strict=True)}
        if len(pairs) > len({*others}):
            questions.add(key)
    return questions


def _arms_by_value(value_by_arm: Mapping[str, Any]) -> dict[Any, list[str]]:
    arms: dict[Any, list[str]] = {}
    for arm, value in sorted(value_by_arm.items(), key=lambda item: (item[1], item[0])):
        arms.setdefault(value, []).append(arm)
    return arms


def _text(value: Any) -> str:
    return f"{value:g}".removeprefix("0") if isinstance(value, float) else str(value)

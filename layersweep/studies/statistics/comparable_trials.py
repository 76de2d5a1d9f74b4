"""Which planned trials can be compared with each other; what is left out is counted and named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import polars as pl

from layersweep.formatting import count, first_names
from layersweep.records.questions import COMPARISON, TUNING

_T = TypeVar("_T")

IS_CURRENT: Final = "is_current"
"""The column that says whether a planned trial is the last one of its arm, seed and fold."""
PLANNED_EPOCHS: Final = "epochs_planned"

_DATA_COLUMNS: Final = ("dataset", "data_fingerprint", "precision")
_SIZE_COLUMNS: Final = ("train_images", "validation_images")
_SUBSET_KEYS: Final = frozenset({"classes", "train_share", "validation_share"})
"""Configuration keys that change the number of images of an arm."""

_OTHER_DATA: Final = "trained on other data (dataset, images, split or precision) than the latest run"
_OTHER_CONFIG: Final = "trained with an earlier configuration of the same name"
_REPLACED: Final = "replaced by later trials of the same arm and seed"
_NEVER_ENDED: Final = ""


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Trials that are not compared, for one reason.

    Attributes:
        arms: the recorded name of each trial's arm.
        reason: why, such as `trained on other data`.
    """

    arms: Sequence[str]
    reason: str

    def sentence(self, shown_names: Mapping[str, str]) -> str:
        """`3 trials of adam and sgd are left out: trained on other data.`, with the names that the study shows."""
        names = sorted({shown_names.get(arm, arm) for arm in self.arms})
        arms = " and ".join(names) if len(names) <= 2 else first_names(names)  # noqa: PLR2004 (a pair)
        verb = "is" if len(self.arms) == 1 else "are"
        return f"{count(len(self.arms), 'trial')} of {arms} {verb} left out: {self.reason}."


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """The data and the configuration of one planned trial.

    Attributes:
        arm: the arm.
        question: what the trial was trained for.
        run: the command that planned it.
        has_ended: whether it has; the data are not known before.
        is_current: whether no later trial has replaced it.
        data: the data set and the precision.
        sizes: numbers of images; None if the configuration changes them.
        family: the model family; None before the trial has ended.
        config: the configuration.
    """

    arm: str
    question: str | None
    run: str | None
    has_ended: bool
    is_current: bool
    data: tuple[Any, ...]
    sizes: tuple[Any, ...] | None
    family: str | None
    config: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any], config: Mapping[str, Any]) -> "_Setting":
        """The setting of a row of the joined plan."""
        return cls(
            arm=row["arm"],
            question=row["question"],
            run=row["run"],
            has_ended=row["outcome"] is not None,
            is_current=row[IS_CURRENT],
            data=tuple(row[name] for name in _DATA_COLUMNS),
            sizes=None if _SUBSET_KEYS & set(config) else tuple(row[name] for name in _SIZE_COLUMNS),
            family=row["family"],
            config=config,
        )

    def different_keys(self, other: "_Setting") -> list[str]:
        """The configuration keys in which two settings differ, and `family` if the families are known and differ."""
        keys = [*dict.fromkeys([*self.config, *other.config])]
        is_other_family = None not in (self.family, other.family) and self.family != other.family
        different = [key for key in keys if self.config.get(key) != other.config.get(key)]
        return [*(["family"] if is_other_family else []), *different]


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """The data of the latest run: its data set, and the numbers of images of each question."""

    data: tuple[Any, ...] | None
    sizes: Mapping[str | None, tuple[Any, ...] | None]

    @classmethod
    def of(cls, settings: Sequence[_Setting], *, has_folds: bool) -> "_Reference":
        """What most ended trials of the latest run were trained on; of all runs, if none of it has ended."""
        ends = [setting for setting in settings if setting.has_ended]
        latest = [setting for setting in ends if setting.run == settings[-1].run] or ends
        data = _most_frequent([setting.data for setting in latest])
        sizes = {
            question: _most_frequent([s.sizes for s in latest if s.data == data and s.question == question])
            for question in {setting.question for setting in settings}
        }
        if not has_folds:  # a fold has other numbers of images than a screening
            sizes = {question: usual or sizes.get(COMPARISON) for question, usual in sizes.items()}
        return cls(data=data, sizes=sizes)

    def differs_from(self, setting: _Setting) -> bool:
        """Whether a trial that has ended was trained on other data."""
        usual = self.sizes.get(setting.question)
        has_other_size = None not in (setting.sizes, usual) and setting.sizes != usual
        return setting.data != self.data or has_other_size


def comparable_trials(
    planned_trials: pl.DataFrame, configs: Sequence[Mapping[str, Any]]
) -> tuple[pl.DataFrame, tuple[Exclusion, ...]]:
    """The current trials on the data of the latest run, with the latest configuration of their arm; and the others.

    Trials that never ended and were replaced are no part of either. The candidates of a tuning have different
    configurations by design.

    Args:
        planned_trials: the plan with the columns of `trials`, and `is_current`.
        configs: the configuration of each.
    """
    names = ("arm", "question", "run", "outcome", "family", IS_CURRENT, *_DATA_COLUMNS, *_SIZE_COLUMNS)
    rows = planned_trials.select(names).to_dicts()
    settings = [_Setting.of(row, config) for row, config in zip(rows, configs, strict=True)]
    current = [setting for setting in settings if setting.is_current]
    has_folds = not planned_trials.filter(IS_CURRENT)["fold"].is_null().all()
    reference = _Reference.of(current, has_folds=has_folds)
    latest = _latest_settings(current, reference)
    reasons = [_reason(setting, reference, latest.get(setting.arm)) for setting in settings]
    exclusions = []
    for reason in (_OTHER_DATA, _OTHER_CONFIG, _REPLACED):
        excluded = [setting for setting, own in zip(settings, reasons, strict=True) if own == reason]
        keys = [key for s in excluded if reason == _OTHER_CONFIG for key in s.different_keys(latest[s.arm])]
        what = f" (other {first_names([*dict.fromkeys(keys)])})" if keys else ""
        if excluded:
            exclusions.append(Exclusion(arms=[setting.arm for setting in excluded], reason=reason + what))
    is_comparable = pl.Series([reason is None for reason in reasons], dtype=pl.Boolean)
    return planned_trials.filter(is_comparable).drop(IS_CURRENT), tuple(exclusions)


def _latest_settings(current: Sequence[_Setting], reference: _Reference) -> dict[str, _Setting]:
    """The latest setting of each arm: of a trial that has ended on the data of the latest run, or else is planned."""
    compared = [setting for setting in current if setting.question != TUNING]
    ended = [setting for setting in compared if setting.has_ended and not reference.differs_from(setting)]
    return {setting.arm: setting for setting in (*compared, *ended)}


def _reason(setting: _Setting, reference: _Reference, latest: _Setting | None) -> str | None:
    """Why a trial is not compared; None if it is."""
    if not setting.has_ended:
        return None if setting.is_current else _NEVER_ENDED
    if reference.differs_from(setting):
        return _OTHER_DATA
    if setting.question != TUNING and latest is not None and setting.different_keys(latest):
        return _OTHER_CONFIG
    return None if setting.is_current else _REPLACED


def _most_frequent(values: Sequence[_T | None]) -> _T | None:
    """The most frequent value other than None."""
    most_frequent = Counter(value for value in values if value is not None).most_common(1)
    return most_frequent[0][0] if most_frequent else None

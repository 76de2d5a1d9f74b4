"""The metrics by which a sweep can judge its arms. Each is described here once: column, words, direction, range.

Balanced accuracy is the mean recall of the classes that occur (Brodersen and others 2010, International Conference on
Pattern Recognition, 3121); macro F1 is the mean of their F1. Both count a rare class as much as a frequent one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ACCURACY: Final = "val_accuracy"
LOSS: Final = "val_loss"
BALANCED_ACCURACY: Final = "val_balanced_accuracy"
MACRO_F1: Final = "val_macro_f1"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of the validation set, measured after each epoch.

    Attributes:
        column: its column in `epochs`; `last_<column>` in `trials`.
        noun: its name without the set: `balanced accuracy`.
        test_column: the column of `tests` that is shown beside it.
        test_noun: the name of that column.
        is_share: whether its values are between 0 and 1, and more is better; a loss is at least 0, and less is better.
        counts_images: whether it is a number of images divided by all: its values have steps of 1 / images.
    """

    column: str
    noun: str
    test_column: str
    test_noun: str
    is_share: bool = True
    counts_images: bool = False

    @property
    def name(self) -> str:
        """The metric in words: `validation balanced accuracy`."""
        return f"validation {self.noun}"

    @property
    def test_name(self) -> str:
        """What is shown of the test set, in words: `test balanced accuracy`."""
        return f"test {self.test_noun}"

    @property
    def is_higher_better(self) -> bool:
        """Whether larger values are better."""
        return self.is_share

    @property
    def mode(self) -> str:
        """`max` or `min`: what Ray Tune calls the direction."""
        return "max" if self.is_higher_better else "min"

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that it can have."""
        return (0.0, 1.0) if self.is_share else (0.0, math.inf)


METRICS: Final[Mapping[str, Metric]] = {
    metric.column: metric
    for metric in (
        Metric(
            column=ACCURACY, noun="accuracy", test_column="accuracy", test_noun="accuracy", counts_images=True,
        ),
        Metric(column=LOSS, noun="loss", test_column="accuracy", test_noun="accuracy", is_share=False),
        Metric(
            column=BALANCED_ACCURACY, noun="balanced accuracy", test_column="balanced_accuracy",
            test_noun="balanced accuracy",
        ),
        Metric(column=MACRO_F1, noun="macro F1", test_column="macro_f1", test_noun="macro F1"),
    )
}  # fmt: skip
"""All metrics by their columns. A study of a sweep that is judged by loss shows the accuracy on the test set."""


def valid_metrics() -> str:
    """The metrics' columns, for a message."""
    return ", ".join(METRICS)

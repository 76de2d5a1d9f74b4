"""The purposes of trials: the values of the column `question` of the tables."""

from typing import Final

SCREENING: Final = "screening"
"""Trials that the scheduler may stop: they show which arms are worth comparing."""

COMPARISON: Final = "comparison"
"""Trials that all run to their last epoch, on the same seeds for all arms: only they enter means, intervals, tests."""

FIRST_PHASE: Final = "first phase"
"""Trials from which other trials continue, which name them as `parent`. They belong to no arm."""

TUNING: Final = "tuning"
"""Trials that search the ranges of an arm for its best configuration: `candidate` counts them from 0. The best one is
trained again on fresh seeds and compared under the arm's name; the search trials themselves never enter an interval."""

"""What a trial is trained for: the column `question` of the tables."""

from typing import Final

SCREENING: Final = "screening"
"""The question of trials that the scheduler may stop: they say which arms are worth comparing."""

COMPARISON: Final = "comparison"
"""The question of trials that all run to their end, on paired seeds: they alone enter means, intervals and tests."""

FIRST_PHASE: Final = "first phase"
"""The question of trials that others go on from, which name them as `parent`: they are no arms themselves."""

TUNING: Final = "tuning"
"""The question of trials that search an arm's ranges for its best configuration: `candidate` counts them from 0. The
chosen one is compared under the arm's name on fresh seeds; what chose it never enters an interval."""

"""What a scheduler decides after an epoch, and by which settings. Knows nothing of Ray."""

import itertools
import math
from dataclasses import dataclass
from typing import Final

from layersweep.records.questions import SCREENING, TUNING


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What became of a trial after an epoch; rung (epochs) and cutoff (metric) if it had reached one.

    The cutoff is None for the first trial at a rung, which is never stopped. A hopeless trial has a reason, and one
    that is stopped for another cause than its metric: it has no rung then.
    """

    action: str
    rung: int | None = None
    cutoff: float | None = None
    reason: str | None = None

    def behind(self, metric: str) -> str:
        """Why it stopped a trial."""
        if self.reason is not None:
            return self.reason
        return f"its {metric} was behind the cutoff {self.cutoff:.4f} at epoch {self.rung}"


GO_ON: Final = Decision(action="continue")


@dataclass(frozen=True, kw_only=True)
class Halving:
    """ASHA's settings: trials of `questions` are judged by `metric` (better if greater where `mode` is max).

    They are judged at `grace * reduction**k` epochs, below `epochs`.
    """

    metric: str
    mode: str
    epochs: int
    grace: int
    reduction: float
    questions: frozenset[str] = frozenset({SCREENING, TUNING})

    @property
    def rungs(self) -> frozenset[int]:
        """The epochs at which a trial is judged."""
        reached = (math.ceil(self.grace * self.reduction**k) for k in itertools.count())
        return frozenset(itertools.takewhile(lambda epoch: epoch < self.epochs, reached))

"""What a scheduler decides after an epoch, and ASHA's settings. Knows nothing of Ray."""

import itertools
import math
from dataclasses import dataclass
from typing import Final

from layersweep.records.questions import SCREENING, TUNING


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A decision on a trial after an epoch; with rung (in epochs) and cutoff (of the metric) if it has reached a rung.

    The first trial at a rung has no cutoff, and is never stopped. A hopeless trial has a reason, and so has a trial
    that is stopped for another cause than its metric; such a stop has no rung.
    """

    action: str
    rung: int | None = None
    cutoff: float | None = None
    reason: str | None = None

    def stop_reason(self, metric: str) -> str:
        """Why the trial was stopped."""
        if self.reason is not None:
            return self.reason
        return f"its {metric} was behind the cutoff {self.cutoff:.4f} at epoch {self.rung}"


GO_ON: Final = Decision(action="continue")


@dataclass(frozen=True, kw_only=True)
class AshaSettings:
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

"""The verdicts on arms: best, worse, as good, undecided.

- An arm is *best* if it beats every other arm, each by a test of that pair. All tests must agree, so nothing is
  corrected (Berger 1982: intersection-union tests).
- An arm is *worse* if the interval of its difference to the leader is above 0. The leader is chosen from the data, so
  the intervals hold for all pairs of arms at once (Games and Howell 1976).
- An arm is *as good* if that interval is within the margin: the difference is shown to be too small to matter
  (Schuirmann 1987: two one-sided tests).
- Anything else is *undecided*.
"""

from dataclasses import dataclass

import numpy as np

from layersweep.studies.statistics.inference.arm_model import ArmModel
from layersweep.studies.statistics.inference.arrays import Array, Flags, Indices
from layersweep.studies.statistics.inference.critical_values import all_pairs_value, pair_value


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdicts:
    """The differences of the leader to each arm, and what they show; shapes without leading axes.

    Attributes:
        leader: () the index of the leading arm.
        differences: (arms,) leader minus arm.
        low: (arms,) the lower ends of their simultaneous intervals; -inf where the data support none.
        high: (arms,) the upper ends.
        is_best: () whether the leader beats every other arm.
        is_higher: (arms,) whether the arm, which is not reliable, is shown to be above the leader.
        is_worse: (arms,) all other arms if the leader is best.
        is_as_good: (arms,) whether the arm is shown to be within the margin of the leader.
    """

    leader: Indices
    differences: Array
    low: Array
    high: Array
    is_best: Flags
    is_higher: Flags
    is_worse: Flags
    is_as_good: Flags


def judge(model: ArmModel, *, margin: float, alpha: float, is_reliable: Flags | None = None) -> Verdicts:
    """Judges every arm against the leading one.

    Args:
        model: the fitted model; larger values are better.
        is_reliable: (…, arms) whether an arm learned in all its trainings; only such an arm leads, if there is one.
            By default all arms are.
        margin: the difference that does not matter, in units of the values; 0 if every difference matters.
        alpha: the error of each kind of verdict: any false "best", any false "worse", any false "as good".
    """
    arms = model.means.shape[-1]
    leader = model.leader(is_reliable)
    is_leader = np.arange(arms) == leader[..., None]
    differences, errors, freedom = model.differences(leader)
    has_noise = (model.variances > 0).all(-1, keepdims=True) & (errors > 0)
    known_errors = np.where(has_noise, errors, 1.0)
    widths = np.where(has_noise, all_pairs_value(arms, freedom, alpha) * known_errors, np.inf)
    widths = np.where(is_leader, 0.0, widths)
    beats = has_noise & (differences > pair_value(freedom, alpha) * known_errors)
    is_best = (beats | is_leader).all(-1) & (arms > 1)
    return Verdicts(
        leader=leader,
        differences=differences,
        low=differences - widths,
        high=differences + widths,
        is_best=is_best,
        is_higher=(differences + widths < 0) & ~is_leader,
        is_worse=((differences - widths > 0) | is_best[..., None]) & ~is_leader,
        is_as_good=(differences + widths < margin) & (differences + widths >= 0) & ~is_leader & ~is_best[..., None],
    )

"""What a screening risked: how many of the stopped arms would pass on another seed.

A stopped arm had one value on the screening seed. Another seed gives another value: if σ is the standard deviation of
one training's noise at the rung, the two differ by noise of √2 σ, and the cutoff moves, too. Low values are low partly
by chance, so that new ones are nearer to the mean of all arms; how much nearer follows from the spread of the arms
(empirical Bayes: Efron and Morris 1975, Journal of the American Statistical Association 70, 311; the normal
predictive distribution: Gelman et al. 2013, Bayesian Data Analysis, section 5.4).
σ is known only from arms with several seeds at that epoch: those that were compared after the screening.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from layersweep.formatting import count
from layersweep.records.questions import SCREENING
from layersweep.studies.statistics.effects import coded_column
from layersweep.studies.statistics.inference.arrays import Array

if TYPE_CHECKING:
    from layersweep.studies.statistics.arm_comparison import Comparison

_TAIL: Final = 0.025


@dataclass(frozen=True, kw_only=True)
class ScreeningRisk:
    """What a screening risked.

    Attributes:
        stopped: the number of stopped arms.
        judged: those of rungs at which the noise is known.
        expected: how many of the judged ones would pass on another seed.
        low: in 95 % of repetitions, at least so many pass.
        high: and at most so many.
    """

    stopped: int
    judged: int
    expected: float
    low: int
    high: int

    @property
    def sentence(self) -> str:
        """At most 25 words; empty if no arm was stopped."""
        if not self.stopped:
            return ""
        if not self.judged:
            return (
                f"How many of {count(self.stopped, 'stopped arm')} would pass on another seed is unknown: no arm has "
                "two seeds at the rungs."
            )
        limits = f"{self.low} to {self.high}" if self.low < self.high else f"{self.low}"
        return (
            f"About {round(self.expected)} of {count(self.judged, 'stopped arm')} would pass on another seed "
            f"(95 % range: {limits})."
        )


def screening_risk(comparison: "Comparison") -> ScreeningRisk:
    """The risk of the comparison's screening; the noise at each rung is that of its compared arms at that epoch."""
    rows, curves = comparison.replicates.rows, comparison.replicates.curves
    stops = rows.filter((pl.col("outcome") == "stopped") & pl.col("cutoff").is_not_null())
    stops = stops.filter(pl.col("stop_accuracy").is_not_null()).unique("arm", keep="first", maintain_order=True)
    arms = rows.filter(pl.col("outcome") == "stopped")["arm"].n_unique()
    screening = rows.filter((pl.col("question") == SCREENING) | (pl.col("outcome") == "stopped"))
    probabilities: list[float] = []
    for (rung,), part in stops.group_by("rung", maintain_order=True):
        points = curves.filter(pl.col("epoch") == rung)
        at_rung = points.join(screening.select("trial_id", "arm"), on=["trial_id", "arm"], how="semi")
        repeated = points.join(at_rung.select("trial_id", "arm"), on=["trial_id", "arm"], how="anti")
        noise, df = repeated_noise(repeated if repeated.height else points)
        if df:
            field = at_rung["val_accuracy"].to_numpy()
            values, cutoffs = part["stop_accuracy"].to_numpy(), part["cutoff"].to_numpy()
            probabilities += pass_probabilities(values, cutoffs, field, noise, df=df).tolist()
    low, high = _range(probabilities)
    return ScreeningRisk(stopped=arms, judged=len(probabilities), expected=sum(probabilities), low=low, high=high)


def pass_probabilities(values: Array, cutoffs: Array, field: Array, noise: float, *, df: int) -> Array:
    """The probability that each stopped arm is at or above the cutoff on another seed.

    Args:
        values: of the stopped arms at the rung.
        cutoffs: what they had to reach.
        field: the values of all arms that came to the rung, on the same seed.
        noise: the standard deviation of one training's noise.
        df: its degrees of freedom.
    """
    from scipy.special import stdtr

    spread = float(np.var(field, ddof=1)) if len(field) > 1 else np.inf
    variance = noise**2
    reliability = max(spread - variance, 0.0) / spread if np.isfinite(spread) and spread > 0 else 1.0
    expected = reliability * values + (1 - reliability) * field.mean()
    cutoff = np.pi / 2 * variance / max(len(field), 1)  # of a median; a new seed has a new one
    error = np.sqrt(reliability * variance + variance + cutoff)
    if not error:  # equal values of all seeds
        return np.asarray(expected >= cutoffs, dtype=np.float64)
    result: Array = stdtr(float(df), (expected - cutoffs) / error)
    return result


def _range(probabilities: Sequence[float]) -> tuple[int, int]:
    """The central 95 % of the number of arms that pass, if they pass independently."""
    chances = np.ones(1)
    for p in probabilities:
        chances = np.convolve(chances, [1 - p, p])
    below = np.cumsum(chances)
    return int(np.searchsorted(below, _TAIL)), int(np.searchsorted(below, 1 - _TAIL))


def repeated_noise(points: pl.DataFrame) -> tuple[float, int]:
    """The standard deviation of the residual of `val_accuracy = arm + seed`, and its degrees of freedom; 0 and 0."""
    values = points["val_accuracy"].to_numpy()
    if not len(values):
        return 0.0, 0
    replicates = [repr(row) for row in points.select("seed", "fold").rows()]
    columns = [np.ones((len(values), 1)), coded_column(points["arm"].to_list()), coded_column(replicates)]
    design = np.hstack(columns)
    coefficients, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    residual = values - design @ coefficients
    df = len(values) - int(rank)
    return (float(np.sqrt(residual @ residual / df)), df) if df else (0.0, 0)

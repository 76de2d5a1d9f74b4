"""What tuning changed: each tuned arm against its own default, and the order of the defaults against the tuned ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import stdev
from typing import Final

from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.pooled_variance import ALPHA, Fit, holm
from layersweep.studies.statistics.replicates import untuned

_DIGITS: Final = 12  # beyond them, means of equal values differ


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A tuned arm minus its default: means adjusted for missing seeds, `sd` over the `n` seeds that both have.

    `p` is that of the pooled test, Holm-corrected over all tuned arms; None where nothing can be tested.
    """

    arm: str
    difference: float
    sd: float | None
    n: int
    p: float | None

    @property
    def verdict(self) -> str:
        """Whether tuning helped: `helped`, `hurt`, or `tied` where no test tells the two apart."""
        if self.p is None:
            return "no test"
        return "tied" if self.p >= ALPHA else "helped" if self.difference > 0 else "hurt"


@dataclass(frozen=True, kw_only=True)
class Order:
    """The order of the default arms against that of their tuned twins.

    Attributes:
        names: of the optimizers that have both, best default first.
        tau: Kendall's tau-b of the two orders of means; None if one of them has only ties.
        pairs: how many pairs of optimizers there are.
        turned: how many of them lie the other way round by their means.
        overtaken: (who overtakes, who is overtaken), where both differences are significant.
        told_apart: how many pairs have a significant difference in both orders.
        tested: whether the replicates support a test.
    """

    names: tuple[str, ...]
    tau: float | None
    pairs: int
    turned: int
    overtaken: tuple[tuple[str, str], ...]
    told_apart: int
    tested: bool


def twins(found: Comparison) -> dict[str, str]:
    """Tuned arm by default arm, of those that are both compared, best default first."""
    compared = [row["arm"] for row in found.compared]
    tuned = {untuned(arm): arm for arm in compared if untuned(arm) != arm}
    return {arm: tuned[arm] for arm in compared if arm in tuned}


def gains(found: Comparison) -> list[Gain]:
    """Each tuned arm against its own default, on the seeds that both have."""
    pairs = twins(found)
    means = _means(found)
    fit = found.fit
    adjusted = holm({tuned: fit.p_value(tuned, default) for default, tuned in pairs.items()}) if fit else {}
    paired = {tuned: _paired(found, tuned, default) for default, tuned in pairs.items()}
    return [
        Gain(
            arm=tuned,
            difference=means[tuned] - means[default],
            sd=stdev(paired[tuned]) if len(paired[tuned]) > 1 else None,
            n=len(paired[tuned]),
            p=adjusted.get(tuned),
        )
        for default, tuned in pairs.items()
    ]


def order(found: Comparison) -> Order | None:
    """Compares the two orders; None for less than two optimizers that have both arms.

    Holm's correction goes over the tests of all pairs in both orders.
    """
    pairs, means = twins(found), _means(found)
    if len(pairs) <= 1:
        return None
    couples = list(combinations(pairs, 2))
    signs = {(a, b): (_sign(means[a], means[b]), _sign(means[pairs[a]], means[pairs[b]])) for a, b in couples}
    significant = _significant(found.fit, couples, pairs)
    turned = [(a, b) for a, b in couples if signs[a, b][0] * signs[a, b][1] < 0]
    return Order(
        names=tuple(pairs),
        tau=_tau([means[name] for name in pairs], [means[name] for name in pairs.values()]),
        pairs=len(couples),
        turned=len(turned),
        overtaken=tuple((b, a) if signs[a, b][0] > 0 else (a, b) for a, b in turned if (a, b) in significant),
        told_apart=len(significant),
        tested=found.fit is not None,
    )


def _significant(fit: Fit | None, couples: list[tuple[str, str]], pairs: Mapping[str, str]) -> set[tuple[str, str]]:
    """The couples that are told apart both as defaults and as tuned arms."""
    if fit is None:
        return set()
    raw = {f"default {i}": fit.p_value(a, b) for i, (a, b) in enumerate(couples)}
    raw |= {f"tuned {i}": fit.p_value(pairs[a], pairs[b]) for i, (a, b) in enumerate(couples)}
    p = holm(raw)
    return {couple for i, couple in enumerate(couples) if max(p[f"default {i}"], p[f"tuned {i}"]) < ALPHA}


def _means(found: Comparison) -> dict[str, float]:
    means = {row["arm"]: float(row["mean"]) for row in found.compared} | dict(found.fit.effects if found.fit else {})
    return {arm: round(mean, _DIGITS) for arm, mean in means.items()}


def _paired(found: Comparison, tuned: str, default: str) -> list[float]:
    rows = found.replicates.rows.select("arm", "accuracy", *_SEED).drop_nulls("accuracy")
    both = rows.filter(arm=tuned).join(
        rows.filter(arm=default), on=_SEED, nulls_equal=True, maintain_order="left", suffix="_default"
    )
    return (both["accuracy"] - both["accuracy_default"]).to_list()


_SEED: Final = ("seed", "fold")


def _sign(a: float, b: float) -> int:
    return (a > b) - (a < b)


def _tau(first: list[float], second: list[float]) -> float | None:
    from scipy.stats import kendalltau

    if len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return float(kendalltau(first, second).statistic)

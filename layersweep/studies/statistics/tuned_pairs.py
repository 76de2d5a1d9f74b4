"""The effect of tuning: each tuned arm against its default arm, and the rankings of both kinds of arms."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import stdev
from typing import Final

from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.inference.multiplicity import ALPHA, holm
from layersweep.studies.statistics.judgement import Judgement
from layersweep.studies.statistics.replicates import default_arm

_DIGITS: Final = 12  # further digits differ even between means of equal values


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The gain of a tuned arm over its default arm: fitted means, `sd` over their `n` common seeds.

    `p` is the p-value of a t-test of the pair, Holm-corrected over all tuned arms; None if no test is possible.
    """

    arm: str
    difference: float
    sd: float | None
    n: int
    p: float | None

    @property
    def verdict(self) -> str:
        """Whether tuning helped: `helped`, `hurt`, or `undecided` if neither is shown."""
        if self.p is None:
            return "no test"
        return "undecided" if self.p >= ALPHA else "helped" if self.difference > 0 else "hurt"


@dataclass(frozen=True, kw_only=True)
class RankingChange:
    """The ranking of the default arms against the ranking of their tuned arms.

    Attributes:
        names: the default arms that have a tuned arm, best one first.
        tau: Kendall's tau-b of the two rankings by means; None if all means of one of them are equal.
        pairs: the number of pairs of default arms.
        reversed_pairs: the number of pairs whose order by means is reversed.
        overtakes: (the arm that overtakes, the arm that is overtaken), if both differences are significant.
        significant_pairs: the number of pairs with a significant difference in both rankings.
        has_test: whether the replicates allow a test.
    """

    names: tuple[str, ...]
    tau: float | None
    pairs: int
    reversed_pairs: int
    overtakes: tuple[tuple[str, str], ...]
    significant_pairs: int
    has_test: bool


def tuned_by_default(comparison: Comparison) -> dict[str, str]:
    """The tuned arm of each default arm, if both are compared; best default arm first."""
    arms = [row["arm"] for row in comparison.compared_arms]
    tuned_arms = {default_arm(arm): arm for arm in arms if default_arm(arm) != arm}
    return {arm: tuned_arms[arm] for arm in arms if arm in tuned_arms}


def gains(comparison: Comparison) -> list[Gain]:
    """The gain of each tuned arm over its default arm, on their common seeds."""
    tuned_arms = tuned_by_default(comparison)
    means = _means(comparison)
    test = _test(comparison)
    p_values = holm({tuned: test.p_value(tuned, default) for default, tuned in tuned_arms.items()}) if test else {}
    differences = {tuned: _differences(comparison, tuned, default) for default, tuned in tuned_arms.items()}
    return [
        Gain(
            arm=tuned,
            difference=round(means[tuned] - means[default], _DIGITS),
            sd=stdev(differences[tuned]) if len(differences[tuned]) > 1 else None,
            n=len(differences[tuned]),
            p=p_values.get(tuned),
        )
        for default, tuned in tuned_arms.items()
    ]


def ranking_change(comparison: Comparison) -> RankingChange | None:
    """Compares the two rankings; None for fewer than two default arms with a tuned arm.

    Holm's correction covers the tests of all pairs in both rankings.
    """
    tuned_arms, means = tuned_by_default(comparison), _means(comparison)
    if len(tuned_arms) <= 1:
        return None
    pairs = list(combinations(tuned_arms, 2))
    signs = {(a, b): (_sign(means[a], means[b]), _sign(means[tuned_arms[a]], means[tuned_arms[b]])) for a, b in pairs}
    significant = _significant_pairs(_test(comparison), pairs, tuned_arms)
    reversed_pairs = [(a, b) for a, b in pairs if signs[a, b][0] * signs[a, b][1] < 0]
    return RankingChange(
        names=tuple(tuned_arms),
        tau=_tau([means[name] for name in tuned_arms], [means[name] for name in tuned_arms.values()]),
        pairs=len(pairs),
        reversed_pairs=len(reversed_pairs),
        overtakes=tuple((b, a) if signs[a, b][0] > 0 else (a, b) for a, b in reversed_pairs if (a, b) in significant),
        significant_pairs=len(significant),
        has_test=_test(comparison) is not None,
    )


def _significant_pairs(
    test: Judgement | None, pairs: list[tuple[str, str]], tuned_arms: Mapping[str, str]
) -> set[tuple[str, str]]:
    """The pairs of default arms that differ significantly, and whose tuned arms differ significantly."""
    if test is None:
        return set()
    p_values = {f"default {i}": test.p_value(a, b) for i, (a, b) in enumerate(pairs)}
    p_values |= {f"tuned {i}": test.p_value(tuned_arms[a], tuned_arms[b]) for i, (a, b) in enumerate(pairs)}
    adjusted = holm(p_values)
    return {pair for i, pair in enumerate(pairs) if max(adjusted[f"default {i}"], adjusted[f"tuned {i}"]) < ALPHA}


def _test(comparison: Comparison) -> Judgement | None:
    judgement = comparison.judgement
    return judgement if judgement is not None and judgement.can_test else None


def _means(comparison: Comparison) -> dict[str, float]:
    means = {row["arm"]: float(row["mean"]) for row in comparison.compared_arms}
    return {arm: round(mean, _DIGITS) for arm, mean in means.items()}


def _differences(comparison: Comparison, tuned_name: str, default_name: str) -> list[float]:
    rows = comparison.replicates.rows.select("arm", "accuracy", *_SEED).drop_nulls("accuracy")
    both = rows.filter(arm=tuned_name).join(
        rows.filter(arm=default_name), on=_SEED, nulls_equal=True, maintain_order="left", suffix="_default"
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

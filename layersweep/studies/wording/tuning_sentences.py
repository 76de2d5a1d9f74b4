"""Sentences about the effect of tuning; they claim only what the tests support."""

from collections.abc import Sequence
from typing import Any

from layersweep.formatting import count, duration
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import default_arm
from layersweep.studies.statistics.tuned_pairs import Gain, RankingChange, gains, ranking_change
from layersweep.studies.statistics.tuning_candidates import Tuning, varied_keys
from layersweep.studies.wording.number_formats import join_words, setting, share, signed


def sentences(comparison: Comparison) -> list[str]:
    """Sentences about the ranking, the gains and the cost of tuning; empty without a tuned arm."""
    change = ranking_change(comparison)
    ranking = _ranking_sentence(comparison, change) if change else ""
    return [text for text in (ranking, gain_sentences(gains(comparison)), cost_sentence(comparison.tunings)) if text]


def format_gain(gain: Gain) -> str:
    """Difference ± standard deviation over the common seeds (their number): `+.0210 ± .0030 (3)`."""
    spread = f" ± {share(gain.sd)}" if gain.sd is not None else ""
    return f"{signed(gain.difference)}{spread} ({gain.n})"


def gain_sentences(all_gains: Sequence[Gain]) -> str:
    """One or two sentences that say which arms tuning helped."""
    if not all_gains:
        return ""
    if all(gain.p is None for gain in all_gains):
        return "It is not known whether tuning helped: there are too few replicates for a test."
    parts = []
    for verdict in ("helped", "hurt"):
        arms = [f"{default_arm(g.arm)} {format_gain(g)}" for g in all_gains if g.verdict == verdict]
        if arms:
            parts.append(f"Tuning {verdict} {join_words(arms)}.")
    if undecided := [default_arm(gain.arm) for gain in all_gains if gain.verdict == "undecided"]:
        parts.append(f"For {join_words(undecided)}, no difference of the tuned arm to its default was shown.")
    return " ".join(parts)


def cost_sentence(tunings: Sequence[Tuning]) -> str:
    """A sentence about the cost of tuning, and whether it was the same number of epochs for each arm."""
    if not tunings:
        return ""
    epochs, candidates = [t.epochs for t in tunings], [len(t.candidates) for t in tunings]
    seconds = duration(sum(t.seconds for t in tunings))
    start = f"Tuning trained {_span(candidates)} candidates"
    end = "which the numbers of the arms do not include"
    if len(tunings) == 1:
        return f"{start} for {tunings[0].arm}: {count(epochs[0], 'epoch')} and {seconds} of slot time, {end}."
    equal = "equal for all arms" if len(set(epochs)) == 1 else "not equal"
    return (
        f"{start} for each of {len(tunings)} arms: {_span(epochs)} epochs per arm ({equal}) and {seconds} of slot time "
        f"in total, {end}."
    )


def selected_value(comparison: Comparison, arm: str, key: str) -> str:
    """An arm's value of a key that tuning varies, as text."""
    return setting(comparison.configurations.get(arm, {}).get(key))


def _span(values: Sequence[Any]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}\N{EN DASH}{high:,}"


def _ranking_sentence(comparison: Comparison, change: RankingChange) -> str:
    keys = varied_keys([tuning for tuning in comparison.tunings if default_arm(tuning.arm) in change.names])
    tuned = f"with a tuned {keys[0].replace('_', ' ')}" if len(keys) == 1 else "with tuned settings"
    pairs = count(change.pairs, "pair")
    tau = f"Kendall's tau {_tau(change.tau)} between the rankings by means of {len(change.names)} arms"
    verb = "is" if change.reversed_pairs == 1 else "are"
    reversal = f"{change.reversed_pairs} of {pairs} {verb} reversed by means"
    verb = "differs" if change.significant_pairs == 1 else "differ"
    ties = (
        f"{change.significant_pairs} of {pairs} {verb} significantly in both rankings; the others are undecided in at "
        "least one"
    )
    if not change.has_test:
        start = f"It is not known whether the ranking changes {tuned}: there are too few replicates for a test"
        return f"{start}; {reversal} ({tau})."
    if change.overtakes:
        start = f"The ranking changes {tuned}: {_overtakes(change)}, with both differences significant"
        return f"{start}. In total, {reversal} ({tau}); {ties}."
    if change.reversed_pairs:
        significance = "but for none of them are both differences significant"
        return f"The ranking does not change significantly {tuned}: {reversal} ({tau}), {significance}; {ties}."
    return f"The ranking does not change {tuned} ({tau}); {ties}."


def _overtakes(change: RankingChange) -> str:
    by_winner: dict[str, list[str]] = {}
    for winner, loser in change.overtakes:
        by_winner.setdefault(winner, []).append(loser)
    return "; ".join(f"{winner} overtakes {join_words(losers)}" for winner, losers in by_winner.items())


def _tau(tau: float | None) -> str:
    return "undefined" if tau is None else f"{tau:.2f}".replace("0.", ".")

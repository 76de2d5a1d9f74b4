"""What tuning changed, in plain sentences that claim no more than the tests support."""

from collections.abc import Sequence
from typing import Any

from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import untuned
from layersweep.studies.statistics.tuned_pairs import Gain, Order, gains, order
from layersweep.studies.statistics.tuning_candidates import Tuning, shown_keys
from layersweep.studies.wording.words import listed, setting, share, signed
from layersweep.words import count, duration


def sentences(found: Comparison) -> list[str]:
    """The order, whether tuning helped, and what it cost; empty without a tuned arm."""
    said = [_order(found, seen) if (seen := order(found)) else "", helped(gains(found)), budget(found.tunings)]
    return [text for text in said if text]


def in_words(gain: Gain) -> str:
    """`+.0210 ± .0030 (3)`: difference, standard deviation over the seeds that both have, their number."""
    spread = f" ± {share(gain.sd)}" if gain.sd is not None else ""
    return f"{signed(gain.difference)}{spread} ({gain.n})"


def helped(seen: Sequence[Gain]) -> str:
    """For which optimizers tuning helped, in one or two sentences."""
    if not seen:
        return ""
    if all(gain.p is None for gain in seen):
        return "Whether tuning helped is not said: the replicates support no test."
    parts = []
    for verdict in ("helped", "hurt"):
        mine = [f"{untuned(g.arm)} {in_words(g)}" for g in seen if g.verdict == verdict]
        if mine:
            parts.append(f"Tuning {verdict} {listed(mine)}.")
    if tied := [untuned(gain.arm) for gain in seen if gain.verdict == "tied"]:
        parts.append(f"For {listed(tied)}, no test tells the tuned arm from its default.")
    return " ".join(parts)


def budget(tuned: Sequence[Tuning]) -> str:
    """What tuning cost, and whether it cost each arm the same epochs."""
    if not tuned:
        return ""
    epochs, tried = [t.epochs for t in tuned], [len(t.candidates) for t in tuned]
    seconds = duration(sum(t.seconds for t in tuned))
    start = f"Tuning tried {_span(tried)} candidates"
    if len(tuned) == 1:
        return f"{start} for {tuned[0].arm}, in {count(epochs[0], 'epoch')} and {seconds} of slots, counted apart."
    equal = "equal for all arms" if len(set(epochs)) == 1 else "not equal"
    return (
        f"{start} for each of {len(tuned)} arms, in {_span(epochs)} epochs an arm ({equal}) and {seconds} of slots in "
        "all, counted apart."
    )


def chosen(found: Comparison, arm: str, key: str) -> str:
    """An arm's value of a key that tuning varies."""
    return setting(found.settings.get(arm, {}).get(key))


def settings_column(found: Comparison) -> tuple[str, list[str]]:
    """A heading, and a cell for each arm, for the values of the keys that tuning varies."""
    keys, arms = shown_keys(found.tunings), found.arms["arm"].to_list()
    if len(keys) == 1:
        return keys[0].replace("_", " "), [chosen(found, arm, keys[0]) for arm in arms]
    return "settings", [_pairs(found, arm, keys) for arm in arms]


def _pairs(found: Comparison, arm: str, keys: Sequence[str]) -> str:
    values = [(key, chosen(found, arm, key)) for key in keys]
    return ", ".join(f"{key} {value}" for key, value in values if value)


def _span(values: Sequence[Any]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}\N{EN DASH}{high:,}"


def _order(found: Comparison, seen: Order) -> str:
    keys = shown_keys([tuning for tuning in found.tunings if untuned(tuning.arm) in seen.names])
    own = f"when each has its own {keys[0].replace('_', ' ') if len(keys) == 1 else 'settings'}"
    pairs = count(seen.pairs, "pair")
    tau = f"Kendall's tau {_tau(seen.tau)} between the orders of means of {len(seen.names)} optimizers"
    turned = f"{seen.turned} of {pairs} lie{'s' * (seen.turned == 1)} the other way round by means"
    ties = f"the tests tell {seen.told_apart} of {pairs} apart in both orders; any other is a tie in at least one"
    if not seen.tested:
        return f"Whether the order changes {own} is not said: the replicates support no test; {turned} ({tau})."
    if seen.overtaken:
        start = f"The order changes {own}: {_overtakes(seen)}, with both differences significant"
        return f"{start}. In all, {turned} ({tau}); {ties}."
    if seen.turned:
        significant = "but in none of them are both differences significant"
        return f"No change of order is shown {own}: {turned} ({tau}), {significant}; {ties}."
    return f"No pair changes places {own} ({tau}); {ties}."


def _overtakes(seen: Order) -> str:
    by: dict[str, list[str]] = {}
    for winner, loser in seen.overtaken:
        by.setdefault(winner, []).append(loser)
    return "; ".join(f"{winner} overtakes {listed(losers)}" for winner, losers in by.items())


def _tau(tau: float | None) -> str:
    return "undefined" if tau is None else f"{tau:.2f}".replace("0.", ".")

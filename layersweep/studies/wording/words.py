"""Numbers and verdicts in words; every number with its n and spread."""

from collections.abc import Sequence
from typing import Final

from layersweep.studies.statistics.arm_comparison import ONE_SEED, Comparison, Row, left_out
from layersweep.studies.statistics.pooled_variance import ALPHA
from layersweep.studies.statistics.replicates import BAD_ENDS
from layersweep.words import count

NONE: Final = "\N{EN DASH}"
"""Stands for a number that there is not."""


def share(value: float | None, decimals: int = 4) -> str:
    """An accuracy in four decimals without the leading zero: `.9123`, `1.0000`; a dash for none."""
    return NONE if value is None else f"{value:.{decimals}f}".removeprefix("0")


def signed(value: float) -> str:
    """A difference of accuracies: `+.0123`, `-.0040`."""
    return f"{'-' if value < 0 else '+'}{share(abs(value))}"


def with_spread(mean: float | None, sd: float | None, n: int) -> str:
    """Mean, standard deviation over the replicates and their number: `.9123 ± .0021 (3)`; no spread for one."""
    return NONE if mean is None else f"{_plus_minus(mean, sd)} ({n})"


def _plus_minus(mean: float, sd: float | None) -> str:
    return share(mean) if sd is None else f"{share(mean)} ± {share(sd)}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def verdict(row: Row) -> str:
    """An arm's verdict with what one must know about it: where it was stopped, what became of its other replicates."""
    if row["status"] == "screened out":
        return _screened_out(row)
    others = [f"{row[name]} {name}" for name in ("completed", *BAD_ENDS, "unfinished") if row[name]]
    whole = f" ({', '.join(others)})" if len(others) > 1 else ""
    return f"{row['verdict']}{whole}"


def _screened_out(row: Row) -> str:
    first, last = row["rung"], row["rung_last"]
    where = f"at epoch {first}" if first == last else f"at epochs {first} to {last}"
    facts = [f"{share(row['stop_accuracy'], 3)} < {share(row['cutoff'], 3)}"] if row["cutoff"] is not None else []
    if row["replicates"] > 1:
        facts.append(f"{row['stopped']} of {row['replicates']} seeds")
    return f"screened out {where}" + (f" ({'; '.join(facts)})" if facts else "")


def setting(value: object) -> str:
    """A configuration's value: `.0032`, `relu`; nothing for none."""
    if isinstance(value, float):
        text = f"{value:.3g}"
        return text.removeprefix("0") if text.startswith("0.") else text
    return "" if value is None else str(value)


def answer(found: Comparison) -> str:
    """The answer in one sentence."""
    compared = found.compared
    if not compared:
        return _no_answer(found)
    leader = compared[0]
    at = f"validation accuracy after {count(found.epoch, 'epoch')}"
    screened = sum(row["status"] == "screened out" for row in found.arms.to_dicts())
    tail = f"; {count(screened, 'arm')} screened out earlier" if screened else ""
    if leader["verdict"] == "best":
        ahead = f"{leader['arm']} is best: {at} {_value(leader)}, significantly above {_rest(compared[1:])}"
        return f"{ahead}{tail}."
    if leader["verdict"] == "tied":
        tied = found.chosen
        values = listed([f"{row['arm']} {_value(row)}" for row in tied])
        worse = len(compared) - len(tied)
        other = f"; {count(worse, 'other arm')} {'is' if worse == 1 else 'are'} significantly worse" if worse else ""
        return f"{listed([row['arm'] for row in tied])} are tied: {at} {values}{other}{tail}."
    if leader["verdict"] == "only arm":
        return f"{leader['arm']} is the only arm that ran to the end: {at} {_value(leader)}{tail}."
    why = "one seed supports no test" if leader["verdict"] == ONE_SEED else "the replicates support no test"
    return f"{leader['arm']} is ahead with {at} {_value(leader)}, but {why}{tail}."


def _rest(others: Sequence[Row]) -> str:
    if len(others) == 1:
        return f"{others[0]['arm']} ({_value(others[0])})"
    return f"the {len(others)} others, of which {others[0]['arm']} comes next with {_value(others[0])}"


def _value(row: Row) -> str:
    return f"{_plus_minus(row['mean'], row['sd'])} (n = {row['n']})"


def _no_answer(found: Comparison) -> str:
    ahead = found.arms.filter(found.arms["common_mean"].is_not_null()) if found.arms.height else found.arms
    start = f"No arm ran all its seeds to epoch {found.epoch}"
    if not ahead.height or found.common_epoch is None:
        return f"{start}, so there is nothing to compare yet."
    row = ahead.sort("common_mean", descending=True).to_dicts()[0]
    value = with_spread(row["common_mean"], row["common_sd"], row["common_n"])
    where = f"at epoch {found.common_epoch}{on_seed(found)}, which all reached"
    return f"{start}; {where}, {row['arm']} was ahead with {value}, untested."


def on_the_test_set(found: Comparison) -> str:
    """What the test set says of the chosen arms; empty where no completed trial read it."""
    read = [row for row in found.chosen if row["test_n"]]
    if not read:
        return ""
    values = listed([f"{row['arm']} {with_spread(row['test_mean'], row['test_sd'], row['test_n'])}" for row in read])
    who = "the chosen arm" if len(found.chosen) == 1 else f"the {len(found.chosen)} chosen arms"
    return f"Test accuracy, opened for {who} alone: {values}."


def on_seed(found: Comparison) -> str:
    """What a column at the common epoch is made of, where not of all seeds: ` (screening seed)`."""
    return f" ({found.common_on})" if found.common_on else ""


def method(found: Comparison) -> str:
    """How verdicts and intervals were computed."""
    start = "± is the standard deviation over seeds, the number of seeds in brackets."
    if found.fit is None:
        return f"{start} Nothing was tested."
    pool, parts = found.fit.pool, [start]
    if pool:
        whose = f"the {count(len(pool.effects), 'arm')} that scatter alike" if found.fit.apart else "arms"
        parts.append(
            f"Intervals (95 %) and t-tests use the residual of the model accuracy = {pool.model}, pooled over {whose} "
            f"and seeds (deviation {share(pool.deviation)}, {pool.df} degrees of freedom)."
        )
    if found.fit.apart:
        parts.append(left_out(found.fit, found.compared[0]["arm"]))
    parts.append(
        f"Every arm is tested against the one that leads, Holm-corrected at {ALPHA:.2f}. What no test tells from the "
        "leader is tied with it."
    )
    return " ".join(parts)

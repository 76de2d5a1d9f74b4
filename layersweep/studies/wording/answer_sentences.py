"""The sentences of a study: the answer, the verdicts, how many seeds would decide, and how it was computed."""

import math
from collections.abc import Sequence
from typing import Final

import polars as pl

from layersweep.formatting import capitalized, count, duration
from layersweep.records.tables import STOPPED_ON_REQUEST
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.arm_rows import NEVER_LEARNED, Row
from layersweep.studies.statistics.inference.critical_values import alpha_of_look
from layersweep.studies.statistics.inference.seeds_needed import MAX_SEEDS, POWER
from layersweep.studies.statistics.judgement import (
    AS_GOOD,
    BEST,
    UNDECIDED,
    WORSE,
    Judgement,
)
from layersweep.studies.wording.number_formats import share, with_spread
from layersweep.studies.wording.recorded_commands import with_seeds

_FIRST_TEST: Final = 3
"""The seeds with which most sweeps begin; two hardly ever decide."""


def metric_name(comparison: Comparison) -> str:
    """The metric in words."""
    return comparison.criteria.described_metric.name


def verdict(row: Row) -> str:
    """An arm's verdict, with the epoch at which it was stopped or the outcomes of its replicates."""
    if row["status"] == "screened out":
        return _screened_out(row)
    outcomes = [
        f"{row[name]} {name}" for name in ("completed", STOPPED_ON_REQUEST, "failed", "unfinished") if row[name]
    ]
    details = f" ({', '.join(outcomes)})" if len(outcomes) > 1 else ""
    return f"{row['verdict']}{details}"


def _screened_out(row: Row) -> str:
    first, last = row["rung"], row["rung_last"]
    where = f"at epoch {first}" if first == last else f"at epochs {first} to {last}"
    facts = [f"{share(row['stop_accuracy'], 3)} < {share(row['cutoff'], 3)}"] if row["cutoff"] is not None else []
    if row["replicates"] > 1:
        facts.append(f"{row['stopped']} of {row['replicates']} seeds")
    return f"screened out {where}" + (f" ({'; '.join(facts)})" if facts else "")


def answer(comparison: Comparison) -> str:
    """The answer in one sentence of at most 25 words, if the arms' names are one word each."""
    arms = comparison.compared_arms
    if not arms:
        return _no_answer(comparison)
    leader = comparison.leader
    others = [row for row in arms if row is not leader and row["arm"] != leader["arm"]]
    value = _value(comparison, leader["mean"])
    if not others:
        return f"{leader['arm']} is the only arm that ran to the end: {value}{_after(comparison)}."
    higher = [row for row in others if comparison.criteria.sign * (row["mean"] - leader["mean"]) > 0]
    if leader["learned"] < leader["ended"] or higher:
        return _answer_with_lost_seeds(comparison, leader, higher)
    if comparison.judgement is None or not comparison.judgement.can_test:
        reason = "one seed cannot show a difference" if leader["n"] == 1 else "the noise of a training is not known"
        return f"{leader['arm']} is ahead with {value}, but {reason}."
    if leader["verdict"] == BEST:
        rest = others[0]["arm"] if len(others) == 1 else f"each of {len(others)} other arms"
        return f"{leader['arm']} is best with {value}{_after(comparison)}: it beats {rest}."
    return f"{leader['arm']} leads with {value}{_answer_on_others(comparison, leader, others)}"


def _answer_with_lost_seeds(comparison: Comparison, leader: Row, higher: Sequence[Row]) -> str:
    """The answer if a leading arm did not learn in all its trainings."""
    if not higher:
        return (
            f"{leader['arm']} is ahead when it learns ({_value(comparison, leader['mean'])}), but it learned in "
            f"only {leader['learned']} of {count(leader['ended'], 'training')}."
        )
    top = higher[0]
    return (
        f"{leader['arm']} leads the arms that always learn ({_value(comparison, leader['mean'])}); {top['arm']} "
        f"reaches {share(top['mean'], 3)}, but learned in only {top['learned']} of {count(top['ended'], 'training')}."
    )


def _answer_on_others(comparison: Comparison, leader: Row, others: Sequence[Row]) -> str:
    """What is shown of the other arms, after the leading arm and its value."""
    counts = {name: sum(row["verdict"] == name for row in others) for name in (UNDECIDED, AS_GOOD, WORSE)}
    if counts[UNDECIDED]:
        total = f" of {len(others)}" if counts[UNDECIDED] < len(others) else ""
        noun = "other arm" if len(others) == 1 else "other arms"
        seeds = count(leader["n"], _replicate(comparison))
        return f", but {seeds} do not separate it from {counts[UNDECIDED]}{total} {noun}."
    verb = "is" if counts[AS_GOOD] == 1 else "are"
    worse = f", {counts[WORSE]} {'is' if counts[WORSE] == 1 else 'are'} worse" if counts[WORSE] else ""
    return f"; {count(counts[AS_GOOD], 'arm')} {verb} as good (within {_margin(comparison)}){worse}."


def _value(comparison: Comparison, value: float) -> str:
    """A mean, with its metric if a reader would take it for an accuracy: `.912`, `a balanced accuracy of .912`."""
    metric = comparison.criteria.described_metric
    is_usual = metric.counts_images or not metric.is_share
    return share(value, 3) if is_usual else f"a {metric.noun} of {share(value, 3)}"


def _after(comparison: Comparison) -> str:
    return f" after {count(comparison.epoch, 'epoch')}"


def _replicate(comparison: Comparison) -> str:
    return "fold" if comparison.replicates.rows["fold"].drop_nulls().len() else "seed"


def _margin(comparison: Comparison) -> str:
    return share(comparison.criteria.margin).rstrip("0") or "0"


def _no_answer(comparison: Comparison) -> str:
    rows = comparison.arms.to_dicts()
    if any(row["status"] == NEVER_LEARNED for row in rows):
        level = f" ({share(comparison.chance, 3)})" if comparison.chance is not None else ""
        return f"No arm beats chance{level}{_after(comparison)}, so none is ahead of another."
    reached = [row for row in rows if row["common_mean"] is not None]
    start = f"No arm has trained all its seeds to epoch {comparison.epoch}"
    if not reached or comparison.common_epoch is None:
        return f"{start}, so there is nothing to compare yet."
    row = max(reached, key=lambda row: row["common_mean"] * comparison.criteria.sign)
    value = _value(comparison, row["common_mean"])
    return f"{start}; at epoch {comparison.common_epoch}, {row['arm']} was ahead with {value}."


def seeds_sentence(comparison: Comparison, runs: pl.DataFrame) -> str:
    """How many seeds would decide what is undecided, how long they take, and the command; "" if all is decided."""
    arms, judgement = comparison.compared_arms, comparison.judgement
    if judgement is None or len(arms) == 1 or not any(row["verdict"] == UNDECIDED for row in arms[1:]):
        return ""
    have = max(row["n"] for row in arms)
    if not judgement.can_test:
        return "" if have >= _FIRST_TEST else f"Three seeds allow a first test{_command(comparison, runs, _FIRST_TEST)}"
    size, needed = _margin(comparison), judgement.seeds_needed()
    if not needed:
        return ""
    if needed >= MAX_SEEDS:
        return f"More than {MAX_SEEDS:,} seeds would be needed to show a difference of {size} (--margin names another)."
    if needed <= have:
        return f"A difference of {size} would be shown by {have} seeds in 4 of 5 cases: those undecided may be smaller."
    time = _time(comparison, runs, needed - have)
    return (
        f"About {count(needed - have, 'more seed')}{time} would show a difference of {size} in 4 of 5 cases"
        f"{_command(comparison, runs, needed)}"
    )


def test_sentence(comparison: Comparison) -> str:
    """The metric of the leading arm on the test set; "" if it has none."""
    if not comparison.compared_arms or not comparison.leader["test_n"]:
        return ""
    row = comparison.leader
    name = comparison.criteria.described_metric.test_name
    return f"{capitalized(name)} of {row['arm']}: {with_spread(row['test_mean'], row['test_sd'], row['test_n'])}."


def _time(comparison: Comparison, runs: pl.DataFrame, more: int) -> str:
    """The time of so many more trainings of each compared arm, from those that completed."""
    completed = comparison.replicates.rows.filter(pl.col("outcome") == "completed")
    slots = runs["slots"].drop_nulls()
    per_arm = completed.group_by("arm").agg(pl.col("seconds").mean())["seconds"].sum()
    return f" ({duration(float(per_arm) * more / int(slots[-1]))})" if slots.len() and per_arm else ""


def _command(comparison: Comparison, runs: pl.DataFrame, seeds: int) -> str:
    """A colon and the last command with this number of seeds; a full stop if no command is recorded."""
    commands = runs["command"].drop_nulls()
    if not commands.len():
        return "."
    folds = comparison.replicates.rows["fold"].drop_nulls().n_unique()
    return f":\n    {with_seeds(str(commands[-1]), math.ceil(seeds / max(folds, 1)))}"


def common_basis_note(comparison: Comparison) -> str:
    """The seeds of the column at the common epoch, if they are not all seeds: ` (screening seed)`."""
    return f" ({comparison.common_basis})" if comparison.common_basis else ""


def method(comparison: Comparison) -> str:
    """How the answer was computed, with sources, for a reader who quotes it."""
    judgement = comparison.judgement
    if judgement is None or len(judgement.arms) == 1:
        return "Nothing was tested."
    parts = [_model(judgement), *_rules(comparison, judgement)]
    if _replicate(comparison) == "fold":
        parts.append(
            "Folds train on the same images, so standard errors are enlarged by the ratio of validation to training "
            "images (Nadeau and Bengio 2003)."
        )
    parts.append(
        "A seed sets the split, the initial weights and the order of images together. The answer is about new "
        "trainings on this data set, not about other data."
    )
    return " ".join(parts)


def _model(judgement: Judgement) -> str:
    model = "arm + seed + noise" if judgement.model.has_seed_effects else "arm + noise"
    return (
        f"The model is value = {model}, fitted to the trainings that beat chance. Each arm has a noise variance of its "
        "own, shrunk towards the common one as far as the arms agree (Smyth 2004; Phipson et al. 2016), and pairs have "
        "Satterthwaite's degrees of freedom."
    )


def _rules(comparison: Comparison, judgement: Judgement) -> list[str]:
    alpha = share(alpha_of_look(judgement.look)).rstrip("0")
    look = f" This is answer {judgement.look} of this sweep, after seeds were added." if judgement.look > 1 else ""
    intervals = (
        "Intervals of differences to the leader hold for all pairs of arms at once (Games and Howell 1976). An arm is "
        f"worse if its interval is below the leader, and as good if it is within {_margin(comparison)} (Schuirmann "
        "1987). An arm is best if it beats every other arm in a t-test (Berger 1982) and learned in all its trainings; "
        "anything else is undecided."
    )
    errors = (
        f"The nominal error of each kind of verdict is {alpha}; later answers with more seeds share another .01 (Lan "
        f"and DeMets 1983).{look} In simulations no more than .07 of sweeps had a false verdict of one kind, and .11 "
        "where one of four arms scattered five times as much on three seeds."
    )
    new_trainings = (
        "The interval of a mean counts seeds as a random effect. The value of a new training is shrunk towards the "
        "leading arms' mean, because the highest of several means was also lucky (Efron and Morris 1975). Seeds needed "
        f"are for a power of {share(POWER, 1)}."
    )
    return [intervals, errors, new_trainings]

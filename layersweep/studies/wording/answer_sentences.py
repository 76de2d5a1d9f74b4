"""The sentences of a study: the answer, the verdicts, the test accuracy, the method."""

from collections.abc import Sequence

from layersweep.formatting import count
from layersweep.studies.statistics.arm_comparison import ONE_SEED, Comparison, Row, unpooled_note
from layersweep.studies.statistics.pooled_variance import ALPHA
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES
from layersweep.studies.wording.number_formats import degrees_of_freedom, join_words, plus_minus, share, with_spread


def verdict(row: Row) -> str:
    """An arm's verdict, with the epoch at which it was stopped or the outcomes of its replicates."""
    if row["status"] == "screened out":
        return _screened_out(row)
    outcomes = [f"{row[name]} {name}" for name in ("completed", *EXCLUDED_OUTCOMES, "unfinished") if row[name]]
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
    """The answer in one sentence."""
    arms = comparison.compared_arms
    if not arms:
        return _no_answer(comparison)
    leader, epochs = arms[0], count(comparison.epoch, "epoch")
    result = f"its validation accuracy after {epochs} is {_value(leader)}"
    screened_out = sum(row["status"] == "screened out" for row in comparison.arms.to_dicts())
    verb = "was" if screened_out == 1 else "were"
    end = f"; {count(screened_out, 'arm')} {verb} screened out earlier" if screened_out else ""
    if leader["verdict"] == "best":
        return f"{leader['arm']} is best: {result}, significantly above {_others(arms[1:])}{end}."
    if leader["verdict"] == "tied":
        return f"{_tie(comparison, epochs)}{end}."
    if leader["verdict"] == "only arm":
        return f"{leader['arm']} is the only arm that ran to the end: {result}{end}."
    reason = "one seed allows no test" if leader["verdict"] == ONE_SEED else "there are too few replicates for a test"
    return f"{leader['arm']} is ahead: {result}, but {reason}{end}."


def _tie(comparison: Comparison, epochs: str) -> str:
    rows = comparison.leading_arms
    names = join_words([row["arm"] for row in rows])
    values = join_words([f"{row['arm']} {_value(row)}" for row in rows])
    worse = len(comparison.compared_arms) - len(rows)
    others = f"; {count(worse, 'other arm')} {'is' if worse == 1 else 'are'} significantly worse" if worse else ""
    return f"{names} are tied: their validation accuracies after {epochs} are {values}{others}"


def _others(rows: Sequence[Row]) -> str:
    if len(rows) == 1:
        return f"{rows[0]['arm']} ({_value(rows[0])})"
    return f"the {len(rows)} other arms; the next best is {rows[0]['arm']} with {_value(rows[0])}"


def _value(row: Row) -> str:
    return f"{plus_minus(row['mean'], row['sd'])} (n = {row['n']})"


def _no_answer(comparison: Comparison) -> str:
    arms = comparison.arms
    arms = arms.filter(arms["common_mean"].is_not_null()) if arms.height else arms
    start = f"No arm has trained all its seeds to epoch {comparison.epoch}"
    if not arms.height or comparison.common_epoch is None:
        return f"{start}, so there is nothing to compare yet."
    row = arms.sort("common_mean", descending=True).to_dicts()[0]
    value = with_spread(row["common_mean"], row["common_sd"], row["common_n"])
    where = f"at epoch {comparison.common_epoch}{common_basis_note(comparison)}, which all arms reached"
    return f"{start}; {where}, {row['arm']} was ahead with {value}. This was not tested."


def on_the_test_set(comparison: Comparison) -> str:
    """The sentence about the test accuracy of the leading arms; empty if no completed trial has one."""
    arms = comparison.leading_arms
    values = [
        f"{row['arm']} {with_spread(row['test_mean'], row['test_sd'], row['test_n'])}" for row in arms if row["test_n"]
    ]
    if not values:
        return ""
    subject = "the leading arm" if len(arms) == 1 else f"the {len(arms)} leading arms"
    return f"Test accuracy, read only for {subject}: {join_words(values)}."


def common_basis_note(comparison: Comparison) -> str:
    """The seeds of the column at the common epoch, if they are not all seeds: ` (screening seed)`."""
    return f" ({comparison.common_basis})" if comparison.common_basis else ""


def method(comparison: Comparison) -> str:
    """Sentences about the computation of verdicts and intervals."""
    start = "± is the standard deviation over seeds, the number of seeds in brackets."
    fit = comparison.fit
    if fit is None:
        return f"{start} Nothing was tested."
    pool, parts = fit.pool, [start]
    if pool:
        arms = f"the {count(len(pool.effects), 'arm')} with a similar spread" if fit.unpooled else "all arms"
        parts.append(
            f"Intervals (95 %) and t-tests use the residual of the model accuracy = {pool.model}, pooled over {arms} "
            f"and their seeds (standard deviation {share(pool.deviation)}, {degrees_of_freedom(pool.df)})."
        )
    if fit.unpooled:
        parts.append(unpooled_note(fit, comparison.compared_arms[0]["arm"]))
    parts.append(
        f"Every arm is tested against the leading arm, Holm-corrected at {ALPHA:.2f}. Arms that do not differ "
        "significantly from it are tied with it."
    )
    return " ".join(parts)

"""Compares arms at equal epochs by validation accuracy; the test set is read only for the leading arms.

What is compared, by which tests, and why: docs/decisions/statistics.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Final

import polars as pl

from layersweep.formatting import count
from layersweep.records.questions import SCREENING
from layersweep.studies.statistics.failure_reasons import failure_reasons, warning_counts
from layersweep.studies.statistics.pooled_variance import Fit, fit_arms, verdicts
from layersweep.studies.statistics.replicates import (
    EXCLUDED_OUTCOMES,
    REPLICATE,
    Replicates,
    collect_replicates,
    configurations,
)
from layersweep.studies.statistics.tuning_candidates import Tuning, tunings

ONE_SEED: Final = "one seed: no test"
NO_TEST: Final = "no test"
_STATUS_ORDER: Final = ("compared", "screened out", "unfinished", "diverged", "hopeless", "failed")

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The answer to a sweep's question.

    Attributes:
        epoch: the equal epochs of the arms that ran to the end.
        common_epoch: the last epoch that all replicates reached, except diverged, hopeless and failed ones; of the
            screening if there was one. None if it is `epoch`, or no trial has an epoch.
        common_basis: "screening seed" if the common epoch is that of the screening, in which all arms took part; "" if
            it is that of all seeds.
        arms: one row per arm, best first: arm, status, verdict, counts of outcomes, n, mean, sd, low, high, p,
            common_n, common_mean, common_sd, epochs, seconds, seconds_training (and validating), rung, cutoff,
            stop_accuracy (of the first stop), rung_last, reasons (of failures), notes (the warnings of trials), test_n,
            test_mean, test_sd, tuning_epochs, tuning_seconds, and the trials' sizes.
        configurations: the configuration of each arm.
        tunings: the tunings of tuned arms; of these numbers, only `tuning_epochs` and `tuning_seconds` depend on them.
        replicates: the rows that the comparison was computed from.
        fit: the model of verdicts and intervals; None if no test is possible.
        warnings: sentences that a reader should know when reading the table.
    """

    epoch: int
    common_epoch: int | None
    common_basis: str
    arms: pl.DataFrame
    configurations: Mapping[str, Mapping[str, Any]]
    tunings: tuple[Tuning, ...]
    replicates: Replicates
    fit: Fit | None
    warnings: tuple[str, ...]

    @property
    def compared_arms(self) -> list[Row]:
        """The rows of the arms that ran to the end, best first."""
        return self.arms.filter(pl.col("status") == "compared").to_dicts()

    @property
    def leading_arms(self) -> list[Row]:
        """The rows of the best arm and of the arms that are tied with it."""
        return _leading_arms(self.compared_arms)


def compare(plan: pl.DataFrame, trials: pl.DataFrame, epochs: pl.DataFrame, tests: pl.DataFrame) -> Comparison:
    """Compares the arms of a sweep; the frames are the tables of that name.

    A stopped arm is "screened out", never "worse": if any replicate of an arm was stopped, the arm has no mean at the
    end, because its other replicates would flatter it. Failed, diverged and hopeless replicates are counted, but left
    out of the means.
    """
    replicates = collect_replicates(plan, trials, epochs)
    by_arm = replicates.rows.group_by("arm", maintain_order=True)
    rows = {str(arm): _arm_row(str(arm), part) for (arm,), part in by_arm}
    all_tunings = tunings(replicates)
    for tuning in all_tunings:
        row = rows.setdefault(tuning.arm, _arm_row(tuning.arm, replicates.rows.clear()) | _tuning_verdict(tuning))
        row.update(tuning_epochs=tuning.epochs, tuning_seconds=tuning.seconds)
    screening = replicates.rows.filter(pl.col("question") == SCREENING)
    basis = screening if screening.height else replicates.rows
    common_epoch = _common_epoch(basis, rows)
    for arm, row in rows.items():
        row.update(_common_mean(basis.filter(pl.col("arm") == arm), replicates.curves, common_epoch or 0))
    fit = _add_verdicts(replicates, rows)
    sorted_rows = sorted(rows.values(), key=_rank)
    _add_test_accuracies(sorted_rows, replicates, tests)
    return Comparison(
        epoch=replicates.epoch,
        common_epoch=common_epoch if common_epoch is not None and common_epoch < replicates.epoch else None,
        common_basis=f"screening seed{'s' * (basis['seed'].n_unique() > 1)}" if screening.height else "",
        arms=pl.DataFrame(sorted_rows, infer_schema_length=None),
        configurations=configurations(replicates.rows),
        tunings=all_tunings,
        replicates=replicates,
        fit=fit,
        warnings=(*replicates.exclusions, *_warnings(replicates, sorted_rows, all_tunings, fit)),
    )


def _mean_and_sd(values: Sequence[float], prefix: str = "") -> Row:
    """The columns n, mean and, for two values or more, sd (standard deviation)."""
    return {
        f"{prefix}n": len(values),
        f"{prefix}mean": fmean(values) if values else None,
        f"{prefix}sd": stdev(values) if len(values) > 1 else None,
    }


def _leading_arms(compared_arms: Sequence[Row]) -> list[Row]:
    return [row for i, row in enumerate(compared_arms) if i == 0 or row["verdict"] == "tied"]


def _arm_row(arm: str, part: pl.DataFrame) -> Row:
    counts = Counter(part["outcome"].to_list())
    status = _status(counts)
    stops = part.filter(pl.col("outcome") == "stopped").sort("rung", "stop_accuracy", nulls_last=True).to_dicts()
    values = part["accuracy"].drop_nulls().to_list() if status == "compared" else []
    first_stop = stops[0] if stops else {}
    outcomes = ("completed", "stopped", *EXCLUDED_OUTCOMES, "unfinished")
    return {
        "arm": arm,
        "status": status,
        "verdict": status,
        "replicates": part.height - counts[SCREENING],
        **{name: counts[name] for name in outcomes},
        **_mean_and_sd(values),
        **dict.fromkeys(("low", "high", "p", "tuning_epochs", "tuning_seconds")),
        "epochs": int(part["epochs_spent"].sum()),
        "seconds": float(part["seconds"].sum()),
        "seconds_training": float(part["seconds_training"].fill_null(0).sum()),
        **{name: first_stop.get(name) for name in ("rung", "cutoff", "stop_accuracy")},
        "rung_last": stops[-1]["rung"] if stops else None,
        "reasons": failure_reasons(part),
        "notes": warning_counts(part),
        **_sizes(part),
    }


def _tuning_verdict(tuning: Tuning) -> Row:
    n = len(tuning.candidates)
    return {"verdict": f"being tuned: {n - tuning.unfinished} of {n} candidates have ended"}


def _status(counts: Mapping[str, int]) -> str:
    if counts["stopped"]:
        return "screened out"
    if counts["completed"]:
        return "compared"
    if counts["hopeless"] and not counts["diverged"] and not counts["failed"]:
        return "hopeless"
    if counts["unfinished"]:
        return "unfinished"
    return next((name for name in EXCLUDED_OUTCOMES if counts[name]), "unfinished")


def _sizes(part: pl.DataFrame) -> Row:
    return part.select(
        pl.col("parameters", "flops", "size_bytes").max(),
        pl.col("latency").median(),
        pl.col("latency_unit").first(),
        latency_low=pl.col("latency").min(),
        latency_high=pl.col("latency").max(),
        latency_n=pl.col("latency").count(),
        latency_busy_low=pl.col("latency_busy_slots").min(),
        latency_busy_high=pl.col("latency_busy_slots").max(),
    ).row(0, named=True)


def _common_epoch(basis: pl.DataFrame, rows: Mapping[str, Row]) -> int | None:
    arms = [arm for arm, row in rows.items() if row["status"] not in EXCLUDED_OUTCOMES]
    is_included = ~pl.col("outcome").is_in(EXCLUDED_OUTCOMES)
    reached = basis.filter(pl.col("arm").is_in(arms) & is_included & (pl.col("epochs_reached") > 0))["epochs_reached"]
    return min(reached.to_list(), default=None)


def _common_mean(rows: pl.DataFrame, curves: pl.DataFrame, epoch: int) -> Row:
    included = rows.filter(~pl.col("outcome").is_in(EXCLUDED_OUTCOMES))
    points = curves.filter(pl.col("epoch") == epoch).join(
        included, on=[*REPLICATE, "trial_id"], how="semi", nulls_equal=True
    )
    return _mean_and_sd(points["val_accuracy"].to_list(), "common_")


def _add_verdicts(replicates: Replicates, rows: dict[str, Row]) -> Fit | None:
    """Adds verdicts, p-values and intervals to the rows of compared arms."""
    compared_rows = {arm: row for arm, row in rows.items() if row["status"] == "compared"}
    data = replicates.rows.filter(pl.col("arm").is_in(list(compared_rows)) & pl.col("accuracy").is_not_null())
    fit = fit_arms(
        data["arm"].to_list(),
        data.select("seed", "fold").rows(),
        data["accuracy"].to_list(),
        learning=_learning_arms(
            replicates.curves.join(data, on=[*REPLICATE, "trial_id"], how="semi", nulls_equal=True)
        ),
    )
    if fit is None:
        no_test = ONE_SEED if all(row["n"] == 1 for row in compared_rows.values()) else NO_TEST
        for row in compared_rows.values():
            row["verdict"] = no_test if len(compared_rows) > 1 else "only arm"
        return None
    verdict_by_arm, p_values = verdicts(fit)
    for arm, row in compared_rows.items():
        row.update(verdict=verdict_by_arm[arm], p=p_values.get(arm), adjusted=fit.effects[arm])
        if (half := fit.half_width(arm)) is not None:
            row.update(low=row["mean"] - half, high=row["mean"] + half)
    return fit


def _learning_arms(curves: pl.DataFrame) -> list[str]:
    """The arms with a replicate whose accuracy changed in its last epoch."""
    last_two = curves.group_by(REPLICATE).agg(pl.col("val_accuracy").sort_by("epoch").tail(2).n_unique())
    return last_two.filter(pl.col("val_accuracy") > 1)["arm"].unique().to_list()


def _rank(row: Row) -> tuple[int, float, float, str]:
    """The sorting key, best first: status, rung of a screened-out arm, mean (adjusted for missing seeds), name."""
    accuracy = row.get("adjusted", row["mean"]) if row["mean"] is not None else row["stop_accuracy"]
    return _STATUS_ORDER.index(row["status"]), -(row["rung"] or 0), -(accuracy or 0.0), row["arm"]


def _add_test_accuracies(sorted_rows: list[Row], replicates: Replicates, tests: pl.DataFrame) -> None:
    """Adds the test accuracy to the rows of the leading arms: of completed trials, at the equal epochs."""
    compared_rows = [row for row in sorted_rows if row["status"] == "compared"]
    leading_arms = [row["arm"] for row in _leading_arms(compared_rows)]
    completed = replicates.rows.filter(pl.col("arm").is_in(leading_arms) & (pl.col("outcome") == "completed"))
    test_rows = (
        tests.filter(pl.col("epoch") == replicates.epoch)
        .unique(["trial_id", "attempt"], keep="last")
        .join(completed.select("arm", "trial_id", "attempt"), on=["trial_id", "attempt"])
    )
    for row in sorted_rows:
        accuracies = test_rows.filter(pl.col("arm") == row["arm"])["accuracy"].drop_nulls().to_list()
        row.update(_mean_and_sd(accuracies, "test_"))


def _warnings(replicates: Replicates, rows: Sequence[Row], all_tunings: Sequence[Tuning], fit: Fit | None) -> list[str]:
    texts = []
    compared_rows = [row for row in rows if row["status"] == "compared"]
    if compared_rows and all(row["n"] == 1 for row in compared_rows):
        texts.append(
            "Each arm has one seed: differences may be due to chance, and no test is possible. "
            "Run the sweep with --seeds 3."
        )
    for row in rows:
        texts += [f"{row['arm']}: {text}" for text in (row["reasons"], row["notes"]) if text]
    texts += [f"{tuning.arm}, tuning: {tuning.notes}" for tuning in all_tunings if tuning.notes]
    if unfinished := sum(row["unfinished"] for row in rows) + sum(tuning.unfinished for tuning in all_tunings):
        verb, pronoun = ("is", "it") if unfinished == 1 else ("are", "them")
        texts.append(f"{count(unfinished, 'trial')} {verb} unfinished: run the sweep again to complete {pronoun}.")
    if fit is not None and fit.unpooled and len(compared_rows) > 1:
        texts.append(unpooled_note(fit, compared_rows[0]["arm"]))
    for name in ("host", "device"):
        values = replicates.rows[name].drop_nulls().unique().sort().to_list()
        if len(values) > 1:
            texts.append(f"Trials ran on different {name}s: {', '.join(values)}. Do not compare times between them.")
    return texts


def unpooled_note(fit: Fit, leader: str) -> str:
    """A sentence about the arms that are not in the pooled variance, and one about their tests."""
    arms = [f"{arm} ({f'±{sd:.4f}'.replace('0.', '.') if sd else 'constant'})" for arm, sd in fit.unpooled.items()]
    text = f"Not in the pooled variance: {', '.join(arms)}."
    if variable_arms := [arm for arm, sd in fit.unpooled.items() if sd]:
        verb, pronoun = ("varies", "it") if len(variable_arms) == 1 else ("vary", "them")
        tests = "all tests are" if leader in variable_arms else f"each test with {pronoun} is"
        names = ", ".join(variable_arms)
        text += f" {names} {verb} much more between seeds than the median arm, so {tests} Welch's t-test."
    return text

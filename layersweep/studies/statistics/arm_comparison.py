"""Compares arms at equal epochs by validation accuracy; the test set is opened for the chosen arms alone.

What is compared, by which tests, and why: docs/decisions/statistics.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Final

import polars as pl

from layersweep.records.questions import SCREENING
from layersweep.studies.statistics.bad_ends import bad_ends, noted
from layersweep.studies.statistics.pooled_variance import Fit, fitted, verdicts
from layersweep.studies.statistics.replicates import BAD_ENDS, REPLICATE, Replicates, replicates, settings
from layersweep.studies.statistics.tuning_candidates import Tuning, tunings
from layersweep.words import count

ONE_SEED: Final = "one seed: no test"
NO_TEST: Final = "no test"
_ORDER: Final = ("compared", "screened out", "unfinished", "diverged", "hopeless", "failed")

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The answer to a sweep's question.

    Attributes:
        epoch: the equal epochs of the arms that ran to the end.
        common_epoch: the greatest epoch that every replicate reached that came to no bad end, of the
            screening where there was one; None if it is `epoch`, or no trial has an epoch.
        common_on: "screening seed" if the arms are seen at the common epoch on their screening alone, as all of them
            ran on it; "" if on all their seeds.
        arms: one row an arm, best first: arm, status, verdict, counts of outcomes, n, mean, sd, low, high, p,
            common_n, common_mean, common_sd, epochs, seconds, seconds_training (and validating), rung, cutoff,
            stop_accuracy (of the first stop), rung_last, reasons (of bad ends), notes (the trials' warnings), test_n,
            test_mean, test_sd, tuning_epochs, tuning_seconds, and the trials' sizes.
        settings: each arm's configuration.
        tunings: what the tuned arms' tuning tried; it enters nothing above but `tuning_epochs` and `tuning_seconds`.
        replicates: what they were made of.
        fit: the model behind verdicts and intervals; None where nothing can be tested.
        warnings: what a reader should know before believing the table.
    """

    epoch: int
    common_epoch: int | None
    common_on: str
    arms: pl.DataFrame
    settings: Mapping[str, Mapping[str, Any]]
    tunings: tuple[Tuning, ...]
    replicates: Replicates
    fit: Fit | None
    warnings: tuple[str, ...]

    @property
    def compared(self) -> list[Row]:
        """The arms that ran to the end, best first."""
        return self.arms.filter(pl.col("status") == "compared").to_dicts()

    @property
    def chosen(self) -> list[Row]:
        """The arm that leads, and those that are tied with it."""
        return _chosen(self.compared)


def compare(plan: pl.DataFrame, trials: pl.DataFrame, epochs: pl.DataFrame, tests: pl.DataFrame) -> Comparison:
    """Compares the arms of a sweep; the frames are the tables of that name.

    A stopped arm is "screened out", never "worse": an arm of which any replicate was stopped has no mean at the end,
    since the survivors would flatter it. Failed, diverged and hopeless replicates are left out of the means, and
    counted.
    """
    found = replicates(plan, trials, epochs)
    by_arm = found.rows.group_by("arm", maintain_order=True)
    rows = {str(arm): _arm(str(arm), part) for (arm,), part in by_arm}
    tuned = tunings(found)
    for tuning in tuned:
        row = rows.setdefault(tuning.arm, _arm(tuning.arm, found.rows.clear()) | _being_tuned(tuning))
        row.update(tuning_epochs=tuning.epochs, tuning_seconds=tuning.seconds)
    screening = found.rows.filter(pl.col("question") == SCREENING)
    like = screening if screening.height else found.rows
    common = _common_epoch(like, rows)
    for arm, row in rows.items():
        row.update(_at_common(like.filter(pl.col("arm") == arm), found.curves, common or 0))
    fit = _judge(found, rows)
    ordered = sorted(rows.values(), key=_rank)
    _open_tests(ordered, found, tests)
    return Comparison(
        epoch=found.epoch,
        common_epoch=common if common is not None and common < found.epoch else None,
        common_on=f"screening seed{'s' * (like['seed'].n_unique() > 1)}" if screening.height else "",
        arms=pl.DataFrame(ordered, infer_schema_length=None),
        settings=settings(found.rows),
        tunings=tuned,
        replicates=found,
        fit=fit,
        warnings=(*found.left_out, *_warnings(found, ordered, tuned, fit)),
    )


def _spread(values: Sequence[float], name: str) -> Row:
    """n, mean and, from two values on, standard deviation."""
    return {
        f"{name}n": len(values),
        f"{name}mean": fmean(values) if values else None,
        f"{name}sd": stdev(values) if len(values) > 1 else None,
    }


def _chosen(compared: Sequence[Row]) -> list[Row]:
    return [row for i, row in enumerate(compared) if i == 0 or row["verdict"] == "tied"]


def _arm(arm: str, part: pl.DataFrame) -> Row:
    counts = Counter(part["outcome"].to_list())
    status = _status(counts)
    stops = part.filter(pl.col("outcome") == "stopped").sort("rung", "stop_accuracy", nulls_last=True).to_dicts()
    values = part["accuracy"].drop_nulls().to_list() if status == "compared" else []
    first_stop = stops[0] if stops else {}
    outcomes = ("completed", "stopped", *BAD_ENDS, "unfinished")
    return {
        "arm": arm,
        "status": status,
        "verdict": status,
        "replicates": part.height - counts[SCREENING],
        **{name: counts[name] for name in outcomes},
        **_spread(values, ""),
        **dict.fromkeys(("low", "high", "p", "tuning_epochs", "tuning_seconds")),
        "epochs": int(part["spent"].sum()),
        "seconds": float(part["seconds"].sum()),
        "seconds_training": float(part["seconds_training"].fill_null(0).sum()),
        **{name: first_stop.get(name) for name in ("rung", "cutoff", "stop_accuracy")},
        "rung_last": stops[-1]["rung"] if stops else None,
        "reasons": bad_ends(part),
        "notes": noted(part),
        **_sizes(part),
    }


def _being_tuned(tuning: Tuning) -> Row:
    tried = len(tuning.candidates)
    return {"verdict": f"being tuned: {tried - tuning.unfinished} of {tried} candidates ended"}


def _status(counts: Mapping[str, int]) -> str:
    if counts["stopped"]:
        return "screened out"
    if counts["completed"]:
        return "compared"
    if counts["hopeless"] and not counts["diverged"] and not counts["failed"]:
        return "hopeless"
    if counts["unfinished"]:
        return "unfinished"
    return next((name for name in BAD_ENDS if counts[name]), "unfinished")


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


def _common_epoch(like: pl.DataFrame, rows: Mapping[str, Row]) -> int | None:
    alive = [arm for arm, row in rows.items() if row["status"] not in BAD_ENDS]
    counted = like.filter(pl.col("arm").is_in(alive) & ~pl.col("outcome").is_in(BAD_ENDS) & (pl.col("done") > 0))
    return min(counted["done"].to_list(), default=None)


def _at_common(mine: pl.DataFrame, curves: pl.DataFrame, epoch: int) -> Row:
    good = mine.filter(~pl.col("outcome").is_in(BAD_ENDS))
    points = curves.filter(pl.col("epoch") == epoch).join(
        good, on=[*REPLICATE, "trial_id"], how="semi", nulls_equal=True
    )
    return _spread(points["val_accuracy"].to_list(), "common_")


def _judge(found: Replicates, rows: dict[str, Row]) -> Fit | None:
    """Fills in verdicts, p-values and intervals of the compared arms."""
    compared = {arm: row for arm, row in rows.items() if row["status"] == "compared"}
    data = found.rows.filter(pl.col("arm").is_in(list(compared)) & pl.col("accuracy").is_not_null())
    fit = fitted(
        data["arm"].to_list(),
        data.select("seed", "fold").rows(),
        data["accuracy"].to_list(),
        learning=_learning(found.curves.join(data, on=[*REPLICATE, "trial_id"], how="semi", nulls_equal=True)),
    )
    if fit is None:
        no_test = ONE_SEED if all(row["n"] == 1 for row in compared.values()) else NO_TEST
        for row in compared.values():
            row["verdict"] = no_test if len(compared) > 1 else "only arm"
        return None
    said, p_values = verdicts(fit)
    for arm, row in compared.items():
        row.update(verdict=said[arm], p=p_values.get(arm), adjusted=fit.effects[arm])
        if (half := fit.half_width(arm)) is not None:
            row.update(low=row["mean"] - half, high=row["mean"] + half)
    return fit


def _learning(curves: pl.DataFrame) -> list[str]:
    """The arms of which some replicate's accuracy changed in its last epoch."""
    last_two = curves.group_by(REPLICATE).agg(pl.col("val_accuracy").sort_by("epoch").tail(2).n_unique())
    return last_two.filter(pl.col("val_accuracy") > 1)["arm"].unique().to_list()


def _rank(row: Row) -> tuple[int, float, float, str]:
    """Best first: by mean (adjusted for missing seeds), then by how far a screened-out arm came, then by name."""
    height = row.get("adjusted", row["mean"]) if row["mean"] is not None else row["stop_accuracy"]
    return _ORDER.index(row["status"]), -(row["rung"] or 0), -(height or 0.0), row["arm"]


def _open_tests(ordered: list[Row], found: Replicates, tests: pl.DataFrame) -> None:
    """Reads the test set for the arm that leads and those tied with it; completed trials at the equal epochs alone."""
    compared = [row for row in ordered if row["status"] == "compared"]
    chosen = [row["arm"] for row in _chosen(compared)]
    completed = found.rows.filter(pl.col("arm").is_in(chosen) & (pl.col("outcome") == "completed"))
    opened = (
        tests.filter(pl.col("epoch") == found.epoch)
        .unique(["trial_id", "attempt"], keep="last")
        .join(completed.select("arm", "trial_id", "attempt"), on=["trial_id", "attempt"])
    )
    for row in ordered:
        row.update(_spread(opened.filter(pl.col("arm") == row["arm"])["accuracy"].drop_nulls().to_list(), "test_"))


def _warnings(found: Replicates, rows: Sequence[Row], tuned: Sequence[Tuning], fit: Fit | None) -> list[str]:
    said = []
    compared = [row for row in rows if row["status"] == "compared"]
    if compared and all(row["n"] == 1 for row in compared):
        said.append("One seed an arm: differences of this size come by chance, and no test can tell; add --seeds 3.")
    for row in rows:
        said += [f"{row['arm']}: {text}" for text in (row["reasons"], row["notes"]) if text]
    said += [f"{tuning.arm}, tuning: {tuning.notes}" for tuning in tuned if tuning.notes]
    if unfinished := sum(row["unfinished"] for row in rows) + sum(tuning.unfinished for tuning in tuned):
        said.append(f"{count(unfinished, 'trial')} unfinished: run the sweep again to complete it.")
    if fit is not None and fit.apart and len(compared) > 1:
        said.append(left_out(fit, compared[0]["arm"]))
    for name, word in (("host", "hosts"), ("device", "devices")):
        values = found.rows[name].drop_nulls().unique().sort().to_list()
        if len(values) > 1:
            said.append(f"Trials ran on different {word}: {', '.join(values)}; times are not comparable between them.")
    return said


def left_out(fit: Fit, leader: str) -> str:
    """Which arms are left out of the pooled variance, why, and how they are tested instead."""
    arms = [f"{arm} ({f'±{sd:.4f}'.replace('0.', '.') if sd else 'constant'})" for arm, sd in fit.apart.items()]
    wide = [arm for arm, sd in fit.apart.items() if sd]
    said = f"Left out of the pooled variance: {', '.join(arms)}."
    if wide:
        tests = "all tests" if leader in wide else "tests with them"
        said += f" {', '.join(wide)} scatter{'s' * (len(wide) == 1)} far more than the median arm: {tests} are Welch's."
    return said

"""One name for each configuration: a version of the project, or another command, may have named an arm otherwise."""

import json
from collections.abc import Hashable

import polars as pl

from layersweep.records.questions import TUNING


def with_latest_names(plan: pl.DataFrame, trials: pl.DataFrame) -> pl.DataFrame:
    """The plan, in which each configuration of a family has the name that the latest command has given it.

    Tuned arms keep their names: the best configuration of a search may be that of another arm. So do arms of one
    configuration that one command names differently.
    """
    is_tuned = pl.col("candidate").is_not_null() | (pl.col("question") == TUNING).fill_null(value=False)
    tuned_arms = plan.filter(is_tuned)["arm"].unique().to_list()
    is_fixed = pl.col("config_json").is_not_null() & ~pl.col("arm").is_in(tuned_arms)
    families = trials.select("trial_id", "family").drop_nulls().unique("trial_id", keep="last")
    labels = (
        plan.with_row_index("place")
        .filter(is_fixed)
        .join(families, on="trial_id", how="left", maintain_order="left")
        .group_by("arm", "config_json", maintain_order=True)
        .agg(
            pl.col("family").drop_nulls().first(),
            pl.col("trial_id").sort_by("seed", "fold").first(),
            pl.col("run").last(),
            pl.col("place").max(),
        )
        .sort("place")
    )
    labels_by_identity: dict[Hashable, list[tuple[str, str, str | None]]] = {}
    for arm, config_json, family, trial_id, run, _ in labels.rows():
        # before any trial has ended, no family is recorded
        identity = ("trial", trial_id) if family is None else (family, _sorted(config_json))
        labels_by_identity.setdefault(identity, []).append((arm, config_json, run))
    new_names: dict[tuple[str, str], str] = {}
    for same in labels_by_identity.values():
        latest_arms = {arm for arm, _, run in same if run == same[-1][2]}
        if len(latest_arms) == 1:
            new_names |= {(arm, config_json): same[-1][0] for arm, config_json, _ in same if arm != same[-1][0]}
    if not new_names:
        return plan
    pairs = plan.select("arm", "config_json").rows()
    return plan.with_columns(pl.Series("arm", [new_names.get((a, c), a) for a, c in pairs], plan["arm"].dtype))


def _sorted(config_json: str) -> str:
    return json.dumps(json.loads(config_json), sort_keys=True)

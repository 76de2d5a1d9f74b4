"""The values of the best arm of one sweep, for another sweep that builds on it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from layersweep.records.errors import ResultsError

ValuesOf = Callable[[Path, Collection[str]], tuple[Mapping[str, Any], str]]


def values_of_best_arm(sweep: str, keys: Sequence[str], *, into: str) -> ValuesOf:
    """A function that returns the values of these keys in the best arm of a sweep, for the sweep `into`.

    Its arguments are the results folder and the keys that are already set, which it leaves out. It returns the values
    and a sentence about their origin. The values of the last command of `into` stay the same, so that its arms remain
    comparable when the other sweep continues. If there are no values, the sentence says how to get them.
    """

    def values_of(results: Path, set_keys: Collection[str]) -> tuple[Mapping[str, Any], str]:
        missing_keys = [key for key in keys if key not in set_keys]
        if not missing_keys:
            return {}, ""
        best, source = _values_of_best_arm(results, sweep, missing_keys)
        previous = _values_of_last_plan(results, into, missing_keys)
        if previous and previous != best:
            now = f"; now it would be {_as_text(best)}: {source}" if best else ""
            return previous, f"{_as_text(previous)}: as in the last command of sweep {into!r}{now}"
        if best:
            return best, f"{_as_text(best)}: {source}"
        names = ", ".join(missing_keys)
        return {}, f"{source}, so the defaults of the family are used for {names}. Run that sweep first, or use --set"

    return values_of


def _as_text(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())


def _values_of_best_arm(results: Path, sweep: str, keys: Sequence[str]) -> tuple[dict[str, Any], str]:
    from layersweep.formatting import count
    from layersweep.studies.recorded_comparison import load
    from layersweep.studies.wording.number_formats import with_spread

    try:
        comparison, _ = load(results, sweep)
    except ResultsError:
        return {}, f"sweep {sweep!r} is not recorded in {results}"
    if not comparison.compared_arms:
        return {}, f"no arm of sweep {sweep!r} ran to its end"
    leader = comparison.leader
    others = len(comparison.leading_arms) - 1
    unfinished = sum(comparison.arms["unfinished"])
    replicate = comparison.replicates.rows.filter(arm=leader["arm"]).row(-1, named=True)
    has_data = replicate["dataset"] is not None and replicate["train_images"] is not None
    facts = [
        f"not separated from {count(others, 'other')}" if others else leader["verdict"],
        f"{with_spread(leader['mean'], leader['sd'], leader['n'])} after {count(comparison.epoch, 'epoch')}",
        *([f"{replicate['train_images']:,} images of {replicate['dataset']}"] if has_data else []),
        *([f"{count(unfinished, 'trial')} unfinished"] if unfinished else []),
    ]
    config = comparison.configurations[leader["arm"]]
    values = {key: config[key] for key in keys if key in config}
    return values, f"from {leader['arm']}, which leads in sweep {sweep!r} ({'; '.join(facts)})"


def _values_of_last_plan(results: Path, sweep: str, keys: Sequence[str]) -> dict[str, Any]:
    """The values of these keys in a sweep's last plan; empty if its arms have different values, or there is no plan."""
    import polars as pl

    from layersweep.records.read import read
    from layersweep.studies.statistics.replicates import configuration

    plan = read(results, "plan", sweep, columns=("run", "config_json"))
    last = plan.filter(pl.col("run") == pl.col("run").last())["config_json"].drop_nulls()
    configs = [{key: configuration(text).get(key) for key in keys} for text in last.unique(maintain_order=True)]
    is_equal = bool(configs) and None not in configs[0].values() and all(config == configs[0] for config in configs)
    return configs[0] if is_equal else {}

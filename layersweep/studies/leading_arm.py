"""What another sweep found best, for a sweep that builds on it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from layersweep.records.errors import ResultsError

Given = Callable[[Path, Collection[str]], tuple[Mapping[str, Any], str]]


def leading(sweep: str, keys: Sequence[str], *, into: str) -> Given:
    """A function that gives the values of these keys in the arm that leads a sweep's comparison, to the sweep `into`.

    It is called with the results folder and the keys that are said already, which it leaves out; with the values it
    gives a sentence that says where they are from. What `into` had in its last command is kept, so that its arms stay
    comparable when the other sweep goes on. Where there is nothing to take, the sentence says how to get it.
    """

    def given(results: Path, said: Collection[str]) -> tuple[Mapping[str, Any], str]:
        wanted = [key for key in keys if key not in said]
        if not wanted:
            return {}, ""
        led, source = _led(results, sweep, wanted)
        kept = _kept(results, into, wanted)
        if kept and kept != led:
            now = f"; now {_listed(led)}: {source}" if led else ""
            return kept, f"{_listed(kept)}: as in the last command of sweep {into!r}{now}"
        if led:
            return led, f"{_listed(led)}: {source}"
        return {}, f"{source}: {', '.join(wanted)} are the family's own; run it first, or give them with --set"

    return given


def _listed(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())


def _led(results: Path, sweep: str, keys: Sequence[str]) -> tuple[dict[str, Any], str]:
    from layersweep.studies.study import load
    from layersweep.studies.wording.words import with_spread
    from layersweep.words import count

    try:
        found, _ = load(results, sweep)
    except ResultsError:
        return {}, f"sweep {sweep!r} is not recorded below {results}"
    if not found.compared:
        return {}, f"no arm of sweep {sweep!r} ran to its end"
    leader = found.compared[0]
    tied = len(found.chosen) - 1
    unfinished = sum(found.arms["unfinished"])
    trained = found.replicates.rows.filter(arm=leader["arm"]).row(-1, named=True)
    known = trained["dataset"] is not None and trained["train_images"] is not None
    facts = [
        f"tied with {count(tied, 'other')}" if tied else leader["verdict"],
        f"{with_spread(leader['mean'], leader['sd'], leader['n'])} after {count(found.epoch, 'epoch')}",
        *([f"{trained['train_images']:,} images of {trained['dataset']}"] if known else []),
        *([f"{count(unfinished, 'trial')} unfinished"] if unfinished else []),
    ]
    config = found.settings[leader["arm"]]
    values = {key: config[key] for key in keys if key in config}
    return values, f"those of {leader['arm']}, which leads in sweep {sweep!r} ({'; '.join(facts)})"


def _kept(results: Path, sweep: str, keys: Sequence[str]) -> dict[str, Any]:
    """The values of these keys in a sweep's last plan, if all its arms share them; none before its first."""
    import polars as pl

    from layersweep.records.read import read
    from layersweep.studies.statistics.replicates import configuration

    plan = read(results, "plan", sweep, columns=("run", "config_json"))
    last = plan.filter(pl.col("run") == pl.col("run").last())["config_json"].drop_nulls()
    configs = [{key: configuration(text).get(key) for key in keys} for text in last.unique(maintain_order=True)]
    shared = bool(configs) and None not in configs[0].values() and all(config == configs[0] for config in configs)
    return configs[0] if shared else {}

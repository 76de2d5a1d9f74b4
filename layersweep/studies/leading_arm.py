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
        try:
            led, source = _led(results, sweep, wanted)
        except ResultsError:
            led, source = {}, f"sweep {sweep!r} is not recorded below {results}"
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

    found, _ = load(results, sweep)
    if not found.compared:
        return {}, f"no arm of sweep {sweep!r} ran to its end"
    leader = found.compared[0]
    tied = len(found.chosen) - 1
    unfinished = sum(row["unfinished"] for row in found.arms.to_dicts())
    facts = [
        f"tied with {count(tied, 'other')}" if tied else leader["verdict"],
        f"{with_spread(leader['mean'], leader['sd'], leader['n'])} after {count(found.epoch, 'epoch')}",
        *_data(found.replicates.rows.filter(arm=leader["arm"]).to_dicts()[-1]),
        *([f"{count(unfinished, 'trial')} unfinished"] if unfinished else []),
    ]
    config = found.settings[leader["arm"]]
    values = {key: config[key] for key in keys if key in config}
    return values, f"those of {leader['arm']}, which leads in sweep {sweep!r} ({'; '.join(facts)})"


def _data(row: Mapping[str, Any]) -> list[str]:
    """On what a trial was trained."""
    if row["dataset"] is None or row["train_images"] is None:
        return []
    return [f"{row['train_images']:,} images of {row['dataset']}"]


def _kept(results: Path, sweep: str, keys: Sequence[str]) -> dict[str, Any]:
    """The values of these keys in a sweep's last plan, if all its arms share them; none before its first."""
    import polars as pl

    from layersweep.records.read import read
    from layersweep.studies.statistics.replicates import configuration

    plan = read(results, "plan", sweep, columns=("run", "config_json"))
    if not plan.height:
        return {}
    last = plan.filter(pl.col("run") == plan["run"][-1])["config_json"].drop_nulls()
    configs = [configuration(text) for text in last.unique()]
    shared = {key: {config.get(key) for config in configs} for key in keys}
    if not configs or any(len(values) > 1 or None in values for values in shared.values()):
        return {}
    return {key: values.pop() for key, values in shared.items()}

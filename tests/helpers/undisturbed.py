"""What a sweep of made-up trainings must have recorded, whatever happened to it: computed without sweep or Ray."""

import made_up
import polars as pl

from layersweep.records.read import read
from layersweep.tuning.storage.recorded_attempt import METRICS


def undisturbed(qualities, seeds, epochs):
    """What each (quality, seed, epoch) yields, trained in this process."""
    return {
        (q, s, value.epoch): tuple(getattr(value, name) for name in METRICS)
        for q in qualities
        for s in seeds
        for value in list(made_up.train(made_up.Config(quality=q), None, seed=s, epochs=epochs))[1:]
    }


def recorded(results):
    """The same of what is recorded; an epoch that is there twice is an error."""
    last = read(results, "trials").filter(pl.col("outcome") == "completed").select("trial_id", "quality", "seed")
    rows = read(results, "epochs").join(last, on="trial_id", how="left")
    found = {}
    for row in rows.iter_rows(named=True):
        key = (row["quality"], row["seed"], row["epoch"])
        assert key not in found, f"{key} is recorded twice"
        found[key] = tuple(row[name] for name in METRICS)
    return found


def assert_as_if_undisturbed(results, qualities, seeds, epochs):
    assert recorded(results) == undisturbed(qualities, seeds, epochs)
    trials = len(qualities) * len(seeds)
    assert set(read(results, "epochs")["attempt"]) == {0}
    for table in ("layers", "tests", "classes"):
        rows = read(results, table)
        assert rows.height == trials * (epochs if table == "layers" else 1), table
        assert rows.select("trial_id", "attempt", "epoch").n_unique() == rows.height, table
    assert list((results / ".state" / "checkpoints").iterdir()) == []
    assert list((results / ".state" / "parts").iterdir()) == []
    assert not (results / ".state" / "damaged").exists()

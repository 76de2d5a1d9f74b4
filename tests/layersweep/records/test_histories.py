"""Whatever a sweep went through, exactly the rows that it flushed are there, in their order."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from layersweep.records.read import read
from layersweep.records.write import Writer

CONFIG = {"filters": int, "optimizer": str, "rate": float}
VALUES = {
    "filters": st.integers(-(2**63), 2**63 - 1),
    "optimizer": st.text(max_size=3),
    "rate": st.floats(allow_nan=False),
}

appending = st.tuples(st.just("append"), st.lists(st.fixed_dictionaries({}, optional=VALUES), max_size=4))
restarting = st.tuples(st.just("restart"), st.sets(st.sampled_from(sorted(CONFIG))))
flushing = st.just(("flush", None))
reading = st.just(("read", None))
histories = st.lists(st.one_of(appending, flushing, restarting, reading), max_size=30)


def written(results):
    """The rows of trials as (number, configuration without nulls)."""
    frame = read(results, "trials")
    keys = [key for key in CONFIG if key in frame.columns]
    rows = frame.select("attempt", *keys).to_dicts()
    return [(row.pop("attempt"), {key: value for key, value in row.items() if value is not None}) for row in rows]


@settings(max_examples=40, deadline=None)
@given(history=histories, fan_in=st.sampled_from([2, 3, 8]))
def test_exactly_the_flushed_rows_are_read_in_their_order(history, fan_in):
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        patch("layersweep.records.write.FAN_IN", fan_in),
    ):
        results = Path(folder)
        writer, keys = Writer(results, "s", config_types=CONFIG), set(CONFIG)
        number, waiting, durable = 0, [], []
        for step, argument in [*history, ("read", None)]:
            if step == "append":
                for row in argument:
                    config = {key: value for key, value in row.items() if key in keys}
                    writer.append("trials", [{"trial_id": "t", "attempt": number, "continuation": 0, **config}])
                    waiting.append((number, config))
                    number += 1
            elif step == "flush":
                writer.flush()
                durable, waiting = durable + waiting, []
            elif step == "restart":  # what waits is lost, as when it was killed
                keys = argument
                writer, waiting = Writer(results, "s", config_types={key: CONFIG[key] for key in sorted(keys)}), []
            else:
                assert written(results) == durable
                plain = [pl.read_parquet(part)["attempt"].to_list() for part in sorted(results.rglob("*.parquet"))]
                assert sum(plain, []) == [n for n, _ in durable]  # noqa: RUF017
            assert writer.pending == len(waiting)

import numpy as np
import polars as pl

from benchmarks.storage import (
    ARMS,
    Options,
    Round,
    epoch_row,
    interleaved,
    mean_curves,
    mean_curves_plain,
    measurements,
    write,
)
from layersweep.records.read import read


def test_epochs_of_trials_that_run_together_take_turns():
    assert list(interleaved(3, 2, slots=2)) == [(0, 1), (1, 1), (0, 2), (1, 2), (2, 1), (2, 2)]


def test_values_are_like_those_of_a_sweep():
    row = epoch_row("a", 1, sequence=0, last=False, draws=np.random.default_rng(0))
    assert row["loss"] == np.float32(row["loss"])
    assert row["val_accuracy"] * 10_000 == round(row["val_accuracy"] * 10_000)
    assert row["seconds_train"] > row["seconds_validate"] > row["seconds_test"] >= 0


def test_what_is_written_is_read_back_alike_in_both_ways(tmp_path):
    write(tmp_path, Options(trials=16, epochs=3, flush_rows=10))
    assert read(tmp_path, "epochs").height == 48
    curves = mean_curves(tmp_path)
    assert curves.select("arm", "epoch").rows() == [(arm, epoch) for arm in sorted(ARMS) for epoch in (1, 2, 3)]
    assert curves.equals(mean_curves_plain(tmp_path).with_columns(pl.col("arm").cast(pl.String)).sort("arm", "epoch"))


def test_sizes_are_told_by_the_row():
    one = Round(seconds_written=0.5, bytes_epochs=4_000, files=2, reads=[(1.0, 0.5), (3.0, 1.0)])
    rows = {(row.case, row.measure): row.values for row in measurements(Options(trials=10, epochs=10), [one])}
    assert rows["records, 10 x 10", "an epoch's row"] == [40]
    assert rows["records, 10 x 10", "an epoch written"] == [5_000]
    assert rows["records / polars alone, 10 x 10", "mean curve of each arm"] == [2, 3]

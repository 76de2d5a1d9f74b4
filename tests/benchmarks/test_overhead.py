import math

import pytest

from benchmarks.overhead import (
    MEMORY,
    OURS,
    PROGRAMS,
    TUNE,
    Course,
    Size,
    comparison,
    growth,
    measurements,
    measurements_of,
    pace,
)
from benchmarks.processes import ProcessRun


def course(seconds, bytes_a_trial, trials=9):
    """One trial ends every `seconds`; the driver's memory grows by this number of bytes with each trial."""
    ends = [10 + seconds * n for n in range(trials)]
    memory = tuple((at, 1_000_000 + bytes_a_trial * n) for n, at in enumerate(ends, 1))
    return Course(trials=ends, epochs=ends, process=ProcessRun(start=0, seconds=60, memory=memory))


def test_the_pace_leaves_the_start_out():
    assert pace([0.0, 10.0, 11.0, 12.5], 1) == pytest.approx(1.25)


def test_too_few_events_have_no_pace():
    with pytest.raises(ValueError, match="3 events are too few to leave 2 out"):
        pace([0.0, 1.0, 2.0], 2)


def test_memory_grows_along_a_line():
    ends = [1.0, 2.0, 3.0, 4.0, 5.0]
    memory = [(0.5, 9_999_999), (2.5, 200), (3.5, 300), (4.5, 400), (9.0, 0)]
    assert growth(memory, ends, 1) == pytest.approx(100)


def test_memory_read_too_seldom_has_no_growth():
    assert math.isnan(growth([(2.5, 200)], [1.0, 2.0, 3.0], 0))
    assert math.isnan(growth([], [1.0, 2.0, 3.0], 0))


def test_ours_is_compared_with_tune_at_the_same_size():
    size = Size(trials=9, epochs=1)
    tune = measurements_of(TUNE, size, [course(0.02, 3_000)], slots=1)
    ours = measurements_of(OURS, size, [course(0.03, 5_000)], slots=1)
    rows = {(row.case, row.measure): row.values for row in comparison(size, tune, ours)}
    assert rows["Tune alone, 9 x 1", "a trial"] == pytest.approx([20])
    assert rows["Layersweep, 9 x 1", "recorded epochs"] == pytest.approx([1 / 0.03])
    assert rows["Layersweep / Tune alone, 9 x 1", "a trial"] == pytest.approx([1.5])
    assert rows["Layersweep - Tune alone, 9 x 1", MEMORY] == pytest.approx([2])


def test_the_table_holds_every_size():
    sizes = [Size(trials=9, epochs=1), Size(trials=8, epochs=1)]
    courses = {(size, name): [course(0.02, 3_000, size.trials)] for size in sizes for name in PROGRAMS}
    assert {row.case for row in measurements(courses, 1) if row.measure == "a trial"} == {
        f"{name}, {n} x 1" for name in (OURS, TUNE, f"{OURS} / {TUNE}") for n in (9, 8)
    }

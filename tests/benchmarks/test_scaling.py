"""The computation of a driver's load."""

import pytest

from benchmarks.overhead import Course
from benchmarks.processes import ProcessRun
from benchmarks.scaling import load, measurements

SLOTS, SECONDS = 4, 10.0


def course(every):
    """Trials of 10 s each end in turn on 4 slots; the driver uses 0.25 of a core, and 100 MB at its end."""
    ends = [100 + every * n for n in range(5 * SLOTS)]
    times = [90 + n for n in range(150)]
    process = ProcessRun(
        start=90, seconds=150, memory=tuple((at, 100_000_000) for at in times),
        cpu=tuple((at, 0.25 * (at - 90)) for at in times),
        machine=tuple((at, 10**9 + min(n, 8) * 10**8) for n, at in enumerate(times)),
    )  # fmt: skip
    return Course(trials=ends, epochs=ends, process=process)


def test_slots_that_never_wait_are_at_work_all_the_time():
    readings = load(course(2.5), SLOTS, SECONDS)
    assert readings["trials", "1/s"] == pytest.approx(0.4)
    assert readings["slots at work", "ratio"] == pytest.approx(1)
    assert readings["driver", "cores"] == pytest.approx(0.25)
    assert readings["driver memory at its end", "MB"] == 100
    assert readings["memory a slot", "MB"] == pytest.approx(200)


def test_slots_that_wait_are_not():
    assert load(course(5.0), SLOTS, SECONDS)["slots at work", "ratio"] == pytest.approx(0.5)


def test_a_table_has_a_row_a_measure_and_number_of_slots():
    readings = load(course(2.5), SLOTS, SECONDS)
    rows = measurements({4: [readings], 8: [readings, readings]})
    assert len(rows) == 10
    assert (rows[1].case, rows[1].measure, rows[1].values) == (
        "4 slots",
        "slots at work",
        [readings["slots at work", "ratio"]],
    )
    assert rows[5].values == [readings["trials", "1/s"]] * 2

import pytest

from benchmarks.growth import Options, cost, draw, measurements, points
from benchmarks.overhead import Course
from benchmarks.processes import ProcessRun

OPTIONS = Options(trials=(10, 20), epochs=(1, 5), layers=(0, 3))


def test_one_thing_grows_at_a_time():
    result = [(p.axis, p.value, p.size.trials, p.size.epochs, p.layers) for p in points(OPTIONS)]
    assert result == [
        ("trials", 10, 10, 1, 0),
        ("trials", 20, 20, 1, 0),
        ("epochs", 1, 100, 1, 0),
        ("epochs", 5, 100, 5, 0),
        ("layers", 0, 300, 1, 0),
        ("layers", 3, 300, 1, 3),
    ]


def test_a_cost_is_that_of_a_warm_trial_with_all_that_it_stored(tmp_path):
    (tmp_path / "epochs").mkdir()
    (tmp_path / "epochs" / "part.parquet").write_bytes(b"x" * 800)
    (tmp_path / "trials.parquet").write_bytes(b"x" * 200)
    (tmp_path / "log.txt").write_bytes(b"x" * 999)
    ends = [0.0, 5.0, 9.0, 10.0, 10.5, 10.6, 10.8, 11.0, 11.2, 11.3]  # from the fifth on: 0.8 s for 5
    course = Course(trials=ends, epochs=ends, process=ProcessRun(start=0.0, seconds=12.0, memory=((1, 5), (2, 7))))
    result = cost(course, tmp_path)
    assert result["a trial", "ms"] == pytest.approx(160)
    assert (result["stored a trial", "B"], result["driver memory at its end", "B"]) == (100, 7)


def costs():
    return {
        point: [{("a trial", "ms"): index + 1, ("stored a trial", "B"): 100, ("driver memory at its end", "B"): 1_000}]
        for index, point in enumerate(points(OPTIONS))
    }


def test_the_table_has_every_point_of_every_measure():
    rows = list(measurements(costs()))
    assert len(rows) == 3 * 6
    assert (rows[1].case, rows[1].measure, rows[1].unit, rows[1].values) == ("trials: 20", "a trial", "ms", [2])


def test_the_figure_is_drawn(tmp_path):
    draw(costs(), tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")

import pytest

from benchmarks.peers import OURS, PLAIN, Run, complete, measurements
from benchmarks.processes import ProgramFailed
from benchmarks.programs.peer_task import Result, Work, read_answer, write_answer

WORK = Work(optimizers=("adam", "sgd"), seeds=1)


def reached(optimizer, test=0.5):
    return Result(optimizer=optimizer, seed=1, val_accuracy=0.75, test_accuracy=test)


def test_the_work_is_every_optimizer_on_every_seed():
    work = Work(optimizers=("adam", "sgd"), seeds=2)
    assert list(work.trials) == [("adam", 1), ("sgd", 1), ("adam", 2), ("sgd", 2)]
    assert work.count == 4
    assert Work().count == 16


def test_a_program_that_left_something_out_has_failed():
    run = Run(seconds=1, results=[reached("adam")])
    with pytest.raises(ProgramFailed, match=r"KerasTuner trained \[\('adam', 1\)\], not .*'sgd'"):
        complete("KerasTuner", run, WORK)
    assert complete("x", Run(seconds=1, results=[reached("sgd"), reached("adam")]), WORK).seconds == 1


def test_an_answer_is_read_as_it_was_written(tmp_path):
    write_answer(tmp_path / "answer.json", [reached("adam")], first_step=5.0)
    assert read_answer(tmp_path / "answer.json") == ([reached("adam")], 5.0)


def test_the_table_has_seconds_ratios_and_accuracies():
    runs = {
        PLAIN: [Run(seconds=10, results=[reached("adam", 0.5), reached("sgd", 0.7)])],
        "Ray Tune + Keras callback": [Run(seconds=20, results=[reached("adam")])],
        OURS: [Run(seconds=5, results=[reached("adam")])],
    }
    rows = {(row.case, row.measure, row.unit): row.values for row in measurements(runs)}
    ratios = {case: values for (case, _, unit), values in rows.items() if unit == "ratio"}
    assert ratios == {
        f"Ray Tune + Keras callback / {PLAIN}": [2.0],
        f"{OURS} / {PLAIN}": [0.5],
        f"{OURS} / Ray Tune + Keras callback": [0.25],
    }
    assert rows[PLAIN, "mean test accuracy", "share"] == pytest.approx([0.6])

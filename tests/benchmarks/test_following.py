from datetime import UTC, datetime

from benchmarks.following import SWEEP, look, measurements, write
from layersweep.tuning.cluster.job_epochs import JobEpochs
from layersweep.tuning.cluster.job_progress import CommandOfJob, read_progress


def test_the_made_up_records_are_those_of_a_command_whose_trials_have_ended(tmp_path):
    write(tmp_path, trials=100, epochs=3)
    start = datetime(2026, 11, 3, 9, tzinfo=UTC).timestamp()
    job_epochs = JobEpochs(tmp_path, SWEEP, metric="val_accuracy", mode="max")
    progress = read_progress(job_epochs, CommandOfJob(job="j", since=start), now=start + 60)
    assert (progress.trials, progress.epochs_done, progress.outcomes) == (100, 300, {"completed": 100})


def test_a_look_prints_its_costs(tmp_path, capsys):
    write(tmp_path, trials=20, epochs=2)
    look(str(tmp_path))
    first, following, memory = map(float, capsys.readouterr().out.split())
    assert first > 0
    assert following > 0
    assert memory > 1 << 20


def test_the_table_ends_with_the_ratios_of_many_epochs_to_few():
    costs = {5: [{("peak memory", "B"): 100.0}], 50: [{("peak memory", "B"): 150.0}]}
    *_, last = measurements(costs)
    assert (last.case, last.unit, last.values) == ("50 to 5 epochs", "ratio", [1.5])

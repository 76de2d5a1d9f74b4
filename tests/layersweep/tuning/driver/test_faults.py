"""What happens to a sweep when something goes wrong around it: kills, a full disk, a long sleep, a changed program.

Through the real command and Ray, on made-up trials. What must come out is computed by training without either.
"""

import json
import random
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import killable
import made_up
import polars as pl
import pyarrow.parquet as pq
import pytest
from undisturbed import assert_as_if_undisturbed

from layersweep.exit_codes import UNFINISHED
from layersweep.records.read import read
from layersweep.records.spans import total_seconds
from layersweep.records.tables import SCHEMA_VERSION
from layersweep.tuning.driver.tune_runner import RAY_HAS_DIED
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.storage.history import History
from trainables.meaning import MEANING

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EPOCHS = 60
QUALITIES = (0.3, 0.6)
SEEDS = (1, 2)
CHAIN = (
    "--scheduler", "none", "--search", "grid", "--checkpoint-every", "2s", "--epochs", str(EPOCHS),
    "--seeds", str(len(SEEDS)), "--set", "quality=0.3,0.6", "--set", "seconds=0.25",
)  # fmt: skip


AGENTS = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}


@pytest.fixture(scope="module", autouse=True)
def nothing_runs_on():
    """Kills what a test that failed left behind."""
    yield
    for process in killable.started:
        process.kill()
        process.wait()


@dataclass
class Chain:
    """One sweep through all that can happen to it, command after command."""

    results: Path
    said: dict[str, str] = field(default_factory=dict)
    commands: dict[str, killable.Running] = field(default_factory=dict)
    cut: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, name, running, said):
        self.said[name], self.commands[name] = said, running


@pytest.fixture(scope="module")
def chain(tmp_path_factory, fashion_mnist):
    """Child, slot, driver, Ray killed, a checkpoint cut in half, a budget spent, the machine asleep; then the end."""
    chain = Chain(tmp_path_factory.mktemp("chain") / "results")
    draw = random.Random(20261121)
    lose_a_child_and_a_slot(chain, draw)
    for number in (2, 3):
        again = killable.Running(chain.results, *CHAIN)
        chain.seconds[f"driver killed, {number - 1}"] = again.more(1)
        again.more(draw.randint(2, 6))
        time.sleep(draw.random())
        if number == 2:
            again.until(lambda: usable(chain.results))
        chain.note(f"driver {number}", again, again.kill())
        if number == 2:
            chain.said["dry run"] = killable.run(chain.results, *CHAIN, "--dry-run").stdout
            chain.cut = next(iter(from_checkpoints(chain.said["dry run"])))
            cut_in_half(chain.results, chain.cut)
            chain.said["dry run, cut"] = killable.run(chain.results, *CHAIN, "--dry-run").stdout
    lose_ray(chain, draw)
    spent = killable.Running(chain.results, *CHAIN, "--time-budget", "2s")
    chain.note("budget", spent, spent.wait(expected=UNFINISHED))
    sleep_and_end(chain)
    print("\nseconds until a new epoch was recorded after", chain.seconds)
    return chain


def lose_a_child_and_a_slot(chain, draw):
    """Kills the child of one slot, then the process of the other, then the driver; the retries are the command's."""
    first = killable.Running(chain.results, *CHAIN)
    chain.seconds["nothing"] = first.more(3)
    first.until(lambda: len(first.children()) == 2)
    first.until(lambda: read(chain.results, "epochs")["trial_id"].n_unique() == 2)  # each has an epoch to lose
    one, other = sorted(first.children(), key=lambda p: p.pid)
    slot = killable.slot_of(other)
    slot.kill()
    first.until(lambda: "SlotDied" in first.said.read_text())
    one.kill()
    first.until(lambda: "ProcessKilled" in first.said.read_text())
    first.until(lambda: gone_on(chain.results))
    time.sleep(draw.random())
    chain.note("driver 1", first, first.kill())


def gone_on(results):
    """How many trials that lost their process have recorded an epoch since."""
    failed = read(results, "trials").group_by("trial_id").agg(pl.col("ended_at").max())
    later = read(results, "epochs").join(failed, on="trial_id").filter(pl.col("at") > pl.col("ended_at"))
    return later["trial_id"].n_unique()


def usable(results):
    """Whether a trial has a checkpoint that its records reach; the last two are kept, so that a kill leaves it so."""
    reached = dict(read(results, "epochs").group_by("trial_id").agg(pl.col("epoch").max()).iter_rows())
    found = (path.stem.split("-") for path in (results / ".state" / "checkpoints").glob("[!.]*.keras"))
    return any(int(epoch) <= reached.get(trial_id, 0) for trial_id, epoch in found)


def from_checkpoints(said):
    """The trials that a dry run would continue from a checkpoint, with their lines."""
    return {line.split()[0]: line for line in said.splitlines() if "from its checkpoint after epoch" in line}


def cut_in_half(results, trial_id):
    for path in (results / ".state" / "checkpoints").glob(f"{trial_id}-*.keras"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose_ray(chain, draw):
    running = killable.Running(chain.results, *CHAIN)
    chain.seconds["driver killed, 3"] = running.more(draw.randint(2, 6))
    killed = time.monotonic()
    for process in running.ray():
        process.kill()
    said = running.wait(expected=1)
    chain.seconds["until Ray's death was said"] = time.monotonic() - killed
    chain.note("ray", running, said)


def sleep_and_end(chain):
    running = killable.Running(chain.results, *CHAIN)
    chain.seconds["Ray killed"] = running.more(2)
    tree = running.tree()
    for process in tree:
        process.suspend()
    time.sleep(20)
    for process in tree:
        process.resume()
    chain.note("end", running, running.wait(expected=0))


def test_whatever_was_killed_the_result_is_that_of_an_undisturbed_sweep(chain):
    assert_as_if_undisturbed(chain.results, QUALITIES, SEEDS, EPOCHS)


def test_no_process_outlives_its_command(chain):
    """But for Ray's own agents, which take a minute or two to notice that Ray is gone, and then end by themselves."""
    left = {n: {p.name() for p in r.left(seconds=5)} - AGENTS for n, r in chain.commands.items()}
    assert not any(left.values()), left
    assert len(left) == 6
    assert len(chain.commands["driver 1"].seen) > 5


def test_a_lost_child_and_a_lost_slot_are_tried_again_in_the_same_command(chain):
    assert chain.said["driver 1"].count("tried again") == 2
    lost = read(chain.results, "trials").filter(pl.col("outcome") == "failed")
    assert set(lost["error_type"]) == {"ProcessKilled", "SlotDied"}
    assert lost["trial_id"].n_unique() == 2
    assert lost["epochs"].min() >= 1


def test_the_runs_say_how_each_command_ended(chain):
    runs = read(chain.results, "runs").sort("at")
    ends = dict(runs.filter(pl.col("event") == "end").select("run", "outcome").iter_rows())
    outcomes = [ends.get(run) for run in runs.filter(pl.col("event") == "start")["run"]]
    assert outcomes == [None, None, None, "failed", "time budget spent", "ended"]


def test_rays_death_is_one_line(chain):
    errors = [line for line in chain.said["ray"].splitlines() if "error:" in line]
    assert errors == [f"made_up.py: error: {RAY_HAS_DIED}"]
    assert "Traceback" not in chain.said["ray"]


def test_a_spent_budget_says_how_to_go_on(chain):
    assert "the time budget is spent; every finished epoch is kept. To continue: " in chain.said["budget"]
    assert "Traceback" not in chain.said["budget"]


def test_a_machine_that_slept_goes_on_as_if_nothing_was(chain):
    assert "failed" not in chain.said["end"]
    assert "tried again" not in chain.said["end"]


def test_a_dry_run_says_from_where_each_trial_goes_on(chain):
    begin = [line for line in chain.said["dry run"].splitlines() if line.endswith("60 epochs from epoch 1")]
    assert len(begin) == 2, "the second seeds have not begun"
    before, after = from_checkpoints(chain.said["dry run"]), from_checkpoints(chain.said["dry run, cut"])
    assert set(before) - set(after) == {chain.cut}
    (cut,) = [line for line in chain.said["dry run, cut"].splitlines() if line.split()[0] == chain.cut]
    assert re.search(r"60 epochs from epoch 1 \(\d+ recorded epochs? again\)$", cut)


def test_a_damaged_checkpoint_is_said_and_not_used(chain):
    lines = [line for line in chain.said["driver 3"].splitlines() if "damaged" in line]
    assert lines
    assert all("it is trained again from epoch 1" in line for line in lines)
    assert "damaged" not in chain.said["driver 2"]


def on_its_own_disk(helper, folder, *arguments):
    """Runs a helper that mounts disks, in a mount namespace of its own; its report, and the results that it leaves."""
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode == 0:
        apart = ["unshare", "--mount"]
    elif subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode == 0:
        apart = ["unshare", "-rm"]
    else:
        pytest.skip("no mount namespace of one's own here: a small disk cannot be made")
    script = str(killable.SCRIPT.with_name(helper))
    subprocess.run([*apart, sys.executable, script, str(folder), *arguments], check=True, timeout=400)
    return folder / "kept", json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def full(tmp_path_factory, fashion_mnist):
    """What a sweep says whose disk fills up, what it leaves, and what comes of it with room again."""
    return on_its_own_disk("full_disk.py", tmp_path_factory.mktemp("full"), *FULL)


def test_a_disk_that_turns_read_only_is_as_a_full_one(tmp_path, fashion_mnist):
    kept, report = on_its_own_disk("read_only_disk.py", tmp_path, *FULL)
    said = report["read-only"]["said"]
    assert report["read-only"]["code"] == 1, said
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert "Read-only file system; make the disk writable and run again" in line
    assert "Traceback" not in said
    assert report["left"] == []
    assert report["still read-only"]["code"] == 2
    assert "Read-only file system" in report["still read-only"]["said"].splitlines()[-1]
    assert "Traceback" not in report["still read-only"]["said"]
    assert report["writable"]["code"] == 0, report["writable"]["said"]
    assert_as_if_undisturbed(kept, (0.3, 0.6), (1, 2), 12)


FULL = (
    "--scheduler", "none", "--checkpoint-every", "0", "--epochs", "12", "--seeds", "2", "--set", "quality=0.3,0.6",
    "--set", "seconds=0.5",
)  # fmt: skip


def test_a_full_disk_ends_the_sweep_with_one_line(full):
    _, report = full
    said = report["filled"]["said"]
    assert report["filled"]["code"] == 1, said
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert "No space left on device; free the disk and run again" in line
    assert "Traceback" not in said
    assert report["left"] == []


def test_a_checkpoint_that_does_not_fit_is_a_warning(full):
    _, report = full
    said = report["filled"]["said"]
    assert "warning: no checkpoint could be written to" in said
    assert "failed" not in said


def test_a_full_disk_leaves_nothing_torn(full):
    _, report = full
    halves = [p for p in report["after_filled"] if p.endswith(".tmp") or Path(p).name.startswith(".")]
    assert halves == []


def test_while_the_disk_is_full_a_command_is_refused_with_one_line(full):
    _, report = full
    assert report["full"]["code"] in (1, 2)
    assert "No space left on device" in report["full"]["said"].splitlines()[-1]
    assert "Traceback" not in report["full"]["said"]


def test_with_room_again_the_same_command_completes_the_sweep(full):
    kept, report = full
    assert report["freed"]["code"] == 0, report["freed"]["said"]
    assert_as_if_undisturbed(kept, (0.3, 0.6), (1, 2), 12)


TIMED = ("--scheduler", "none", "--checkpoint-every", "0", "--time-budget", "8s")


def test_searches_that_time_bounds_are_killed_and_end_within_their_time_and_an_epoch(tmp_path, fashion_mnist):
    results, script = tmp_path / "results", killable.SCRIPT.with_name("timed_sweep.py")
    first = killable.Running(results, *TIMED, script=script)
    first.more(9)
    first.kill()
    before = completed(results)
    again = killable.Running(results, *TIMED, script=script)
    said = again.wait(expected=0)
    assert "time that the searches have taken so far: " in said
    assert not read(results, "epochs").select("trial_id", "epoch").is_duplicated().any()
    ends = read(results, "trials")
    assert not ends.filter(pl.col("trial_id").is_in(before))["trial_id"].is_duplicated().any()
    for arm in ("32 tuned", "64 tuned"):
        within_its_time(results, arm, ends.filter(pl.col("arm") == arm))
    assert killable.Running(results, *TIMED, script=script).wait(expected=0).count("are recorded already") == 1


def completed(results):
    """The candidates that have completed."""
    trials = read(results, "trials").filter(pl.col("question") == "tuning", pl.col("outcome") == "completed")
    return trials["trial_id"].to_list()


def within_its_time(results, arm, ends):
    """A search took its 8 s, and little more than the longest epoch; the best of its candidates was compared."""
    history = History(results, Sweep(name="timed", train=made_up.train, spaces=[]))
    plan = read(results, "plan").filter(pl.col("question") == "tuning", pl.col("arm") == arm)
    ids = plan["trial_id"].unique().to_list()
    spans = history.spans(ids)
    candidates = ends.filter(pl.col("question") == "tuning")
    assert set(candidates["outcome"]) <= {"completed", "stopped"}
    assert set(candidates["trial_id"]) == set(plan["trial_id"])
    epochs = read(results, "epochs").filter(pl.col("trial_id").is_in(ids))
    seen = sorted({*(at.timestamp() for at in epochs["at"]), *(moment for span in spans for moment in span)})
    longest = max(later - at for at, later in pairwise(seen) if any(b <= at and later <= e for b, e in spans))
    assert 8.0 <= total_seconds(spans) < 8.0 + 2 * longest
    (chosen,) = ends.filter(pl.col("question") == "comparison")["quality"]
    furthest = candidates.filter(pl.col("epochs") == candidates["epochs"].max())
    assert chosen == furthest.sort("last_val_accuracy")["quality"][-1]


OTHER_MEANING = """
import trainables.meaning
trainables.meaning.MEANING += 1
from layersweep import main
import made_up_sweep
main(made_up_sweep.SWEEP)
"""


def test_a_program_of_another_meaning_says_so_and_begins_new_trials(chain):
    """As after an update in the middle of a sweep: the constant is raised before anything reads it."""
    *_, arguments = [killable.command(chain.results, *CHAIN)[2:]]
    ended = subprocess.run(
        [sys.executable, "-c", OTHER_MEANING, *arguments, "--dry-run"], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    was = f"(from {MEANING} to {MEANING + 1})"
    assert f"the meaning of the training code has changed since this sweep was last run {was}" in ended.stdout
    assert "4 trials (comparison: 2 arms on 2 seeds), up to 60 epochs each; 0 recorded already" in ended.stdout
    assert ended.stdout.count("60 epochs from epoch 1") == 4
    same = killable.run(chain.results, *CHAIN, "--dry-run").stdout
    assert "meaning" not in same
    assert "4 recorded already" in same


def test_results_of_a_newer_schema_are_refused_before_any_trial(chain, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(chain.results, results)
    part = next((results / "layers" / "made_up").glob("*.parquet"))
    table = pq.read_table(part)
    newer = {**table.schema.metadata, b"schema_version": str(SCHEMA_VERSION + 1).encode()}
    pq.write_table(table.replace_schema_metadata(newer), part)
    ended = killable.run(results, *CHAIN, "--seeds", "3")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert f"has schema version {SCHEMA_VERSION + 1}" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "starting Ray" not in ended.stdout

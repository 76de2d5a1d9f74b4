"""A sweep on a cluster from afar. The head is a folder: `ssh` runs commands there, jobs are files, rsync is real."""

import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import made_up
import pytest
import recorded_rows
from places import HELPERS
from places import ROOT as PROJECT

from layersweep.records import requests
from layersweep.records.read import read
from layersweep.records.requests import ADD_SEEDS, STOP_SWEEP
from layersweep.terminal import Console
from layersweep.tuning.cluster.cluster_request import ClusterRequest, head_flags
from layersweep.tuning.cluster.head_answers import HeadError
from layersweep.tuning.cluster.head_client import HeadClient
from layersweep.tuning.cluster.job_follower import exit_code
from layersweep.tuning.command.sweep_command import run
from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.sweep import Sweep

SWEEP = Sweep(name="made_up", train=made_up.train, spaces=[{"quality": [0.5]}], warm_up=made_up.WARM_UP)
SWEEP_WITH_QUESTION = replace(SWEEP, question="Which quality is best?")
CLUSTER = """
cluster_name: five
provider: {type: local, head_ip: 10.0.0.1, worker_ips: [10.0.0.2]}
auth: {ssh_user: ubuntu}
"""

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="there is no rsync here")


class Head:
    """The folder that stands for the head, and the laptop's commands."""

    def __init__(self, folder, laptop):
        self.home, self.laptop = folder, laptop
        self.project = folder / "layersweep"
        self.results = self.project / "results"
        self.out = io.StringIO()

    def hold(self):
        (self.home / "hold").touch()

    def go_on(self):
        (self.home / "hold").unlink()

    def cut(self):
        (self.home / "cut").touch()
        for pid in set((self.home / "connections").read_text().split()):
            self.kill(int(pid), group=True)

    def mend(self):
        (self.home / "cut").unlink()

    def kill_driver(self):
        pid = int((self.home / "driver").read_text())
        self.kill(pid)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.02)

    def kill(self, pid, *, group=False):
        try:
            if str(self.home).encode() not in Path(f"/proc/{pid}/environ").read_bytes():
                return  # the number is another's by now
            if group:
                assert os.getpgid(pid) != os.getpgid(0)
                os.killpg(os.getpgid(pid), signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass

    def jobs(self):
        return sorted((self.home / "jobs").glob("*.json"))

    def last_job(self):
        return self.jobs()[-1].read_text()

    def run(self, *arguments, sweep=SWEEP, terminal=False):
        arguments = ["--cluster", "cluster.yaml", *arguments]
        console = Console(file=self.out, width=200, force_terminal=terminal)
        return run(sweep, parse(arguments, program="made_up.py"), console, arguments)

    def submit(self, *arguments):
        """Starts a job and leaves it alone, as another laptop would."""
        self.hold()
        with pytest.raises(KeyboardInterrupt):
            self.interrupted(*arguments)
        self.out.truncate(0)
        self.out.seek(0)

    def interrupted(self, *arguments):
        interrupt = threading.Thread(target=self._interrupt, daemon=True)
        interrupt.start()
        return self.run(*arguments)

    def _interrupt(self):
        when((self.laptop / "results" / "runs").exists)
        os.kill(os.getpid(), signal.SIGINT)

    @property
    def output(self):
        return self.out.getvalue()


def when(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def meanwhile(*steps):
    """Does what follows while a command runs here."""

    def all_steps():
        for step in steps:
            step()

    thread = threading.Thread(target=all_steps, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def head(tmp_path, monkeypatch):
    folder, laptop = tmp_path / "head", tmp_path / "laptop"
    python = folder / "layersweep" / ".venv" / "bin" / "python"
    for path in (python.parent, folder / "layersweep" / "sweeps", laptop, tmp_path / "bin"):
        path.mkdir(parents=True)
    path = os.pathsep.join(map(str, (HELPERS / "fake_head", PROJECT, HELPERS)))
    python.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    shutil.copy(HELPERS / "fake_head" / "sweep.py", folder / "layersweep" / "sweeps" / "optimizers.py")
    shutil.copy(HELPERS / "fake_head" / "ssh", tmp_path / "bin" / "ssh")
    (laptop / "cluster.yaml").write_text(CLUSTER)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_HEAD", str(folder))
    monkeypatch.chdir(laptop)
    monkeypatch.setattr("sys.argv", [str(PROJECT / "sweeps" / "optimizers.py")])
    monkeypatch.setattr("layersweep.tuning.cluster.job_follower.POLL_SECONDS", 0.1)
    monkeypatch.setattr("layersweep.tuning.cluster.head_client.FIRST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr("layersweep.tuning.cluster.head_client.LONGEST_WAIT_SECONDS", 0.2)
    head = Head(folder, laptop)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is told to ignore it
    yield head
    signal.signal(signal.SIGINT, before)
    if (folder / "driver").exists():
        head.kill(int((folder / "driver").read_text()))


@pytest.fixture
def studied(monkeypatch):
    """What the study is called with, instead of it."""
    calls = []
    monkeypatch.setattr("layersweep.studies.study.write_study", lambda *arguments: calls.append(arguments))
    return calls


def parts(results, *tables):
    return {path.relative_to(results) for table in tables for path in (results / table).rglob("*.parquet")}


@needs_rsync
def test_a_sweep_is_submitted_followed_and_brought_home(head, studied):
    code = head.run("--seeds", "3", sweep=SWEEP_WITH_QUESTION)
    here = head.laptop / "results"
    assert code == 0, head.output
    lines = head.output.splitlines()
    assert lines[0] == f"on the cluster five: ubuntu@10.0.0.1, records in {head.results}"
    assert lines[1].startswith("submitted layersweep-made_up-2")
    assert lines[2] == f"watch    the address is in {here}/.state/watch/made_up.address"
    assert not (head.results / ".state" / "watch").exists()  # only this machine shows the page
    assert lines[3:] == [
        "[1/3] 0.5, seed 0: completed after 2 epochs, val_accuracy 0.5000, on h1",
        "[2/3] 0.5, seed 1: completed after 2 epochs, val_accuracy 0.5000, on h2",
        "[3/3] 0.5, seed 2: completed after 2 epochs, val_accuracy 0.5000, on h1",
        "2 slots on 2 machines, trials ended on each: h1 2, h2 1",
        "3/3 trials · 3 completed · best val_accuracy 0.5000 (0.5, seed 0, epoch 2)",
        f"records  {here}/*/made_up/*.parquet",
    ]
    assert studied == [(here, "made_up")]
    for table in ("plan", "runs", "trials", "epochs", "layers"):
        assert read(here, table).equals(read(head.results, table)), table
    assert (here / "studies" / "made_up.html").read_text() == "the head's page"
    assert not (here / "logs").exists()


@needs_rsync
def test_the_job_runs_in_the_heads_project_folder_with_the_flags_that_are_its_own(head):
    assert head.run("--seeds", "1", "--set", "quality=0.25,0.5") == 0
    (job,) = head.jobs()
    submission = head.last_job()
    assert job.stem.startswith("layersweep-made_up-2")
    program = f"env LAYERSWEEP_JOB={job.stem} .venv/bin/python sweeps/optimizers.py"
    where = f"bash -c 'cd {head.project} && exec {program}"
    assert f"{where} --seeds 1 --set quality=0.25,0.5'" in submission
    assert f'"results": "{head.results}"' in submission


@needs_rsync
def test_parts_that_were_merged_on_the_head_vanish_here(head):
    assert head.run("--seeds", "12") == 0  # 24 flushes of epochs: merged more than once
    here = head.laptop / "results"
    tables = ("plan", "runs", "trials", "epochs", "layers")
    assert parts(here, *tables) == parts(head.results, *tables)
    assert len(parts(here, "epochs")) < 24
    assert read(here, "epochs").height == 24


@needs_rsync
def test_what_is_not_the_sweeps_is_left_alone(head):
    here = head.laptop / "results"
    recorded_rows.record(here, "other", trials=[recorded_rows.trial("mine")])
    recorded_rows.record(head.results, "another", trials=[recorded_rows.trial("theirs")])
    for path in (here / "logs" / "a.log", here / "weights" / "w", here / "trials" / "made_up" / "notes.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert head.run() == 0
    assert {path: path.read_bytes() for path in before} == before
    assert not (here / "trials" / "another").exists()


@needs_rsync
def test_a_job_that_is_at_work_is_followed(head):
    head.submit("--seeds", "3")
    meanwhile(lambda: when(lambda: "0/3 trials" in head.output), head.go_on)
    assert head.run("--seeds", "3") == 0
    assert len(head.jobs()) == 1
    assert f"{head.jobs()[0].stem} is running there already: following it" in head.output
    assert "other flags" not in head.output
    assert "3/3 trials · 3 completed" in head.output


@needs_rsync
def test_a_request_goes_to_the_head_and_one_to_an_earlier_job_is_discarded(head):
    here = head.laptop / "results"
    here.mkdir()
    requests.put(here, "made_up", STOP_SWEEP)
    head.hold()

    def ask():
        when((here / "plan").exists)
        sent.append(requests.put(here, "made_up", ADD_SEEDS, seeds=2))
        when(lambda: "sent to the head" in head.output)

    sent = []
    meanwhile(ask, head.go_on)
    assert head.run("--seeds", "2") == 0
    assert "discarded a request that is older than the job: stop after the running trials" in head.output
    assert "request to train 2 more seeds: sent to the head" in head.output
    assert requests.pending(head.results, "made_up") == sent
    assert requests.pending(here, "made_up") == []


@needs_rsync
def test_a_request_that_the_head_refuses_is_said_and_removed(head, monkeypatch):
    """As by a head with an earlier version."""
    ask = HeadClient._ask

    def refuse(client, question, **arguments):
        if question == "request":
            raise HeadError("it does not know the question")
        return ask(client, question, **arguments)

    monkeypatch.setattr(HeadClient, "_ask", refuse)
    head.hold()
    here = head.laptop / "results"
    meanwhile(
        lambda: when((here / "plan").exists),
        lambda: requests.put(here, "made_up", STOP_SWEEP),
        lambda: when(lambda: "refused by the head: it does not know the question" in head.output),
        head.go_on,
    )
    assert head.run("--seeds", "2") == 0
    assert requests.pending(here, "made_up") == []


@needs_rsync
def test_other_flags_of_a_job_at_work_are_said_with_how_to_stop_it(head):
    head.submit("--seeds", "3")
    meanwhile(lambda: when(lambda: "other flags" in head.output), head.go_on)
    assert head.run("--seeds", "2") == 0
    (job,) = head.jobs()
    assert (
        "it was started with other flags: --seeds 3. To stop it: ssh ubuntu@10.0.0.1 'RAY_AUTH_MODE=token "
        f"~/layersweep/.venv/bin/ray job stop --address http://127.0.0.1:8265 {job.stem}'"
    ) in head.output


@needs_rsync
def test_another_results_folder_is_another_job_even_in_the_same_second(head, monkeypatch):
    now = datetime.now(UTC)
    monkeypatch.setattr("layersweep.tuning.cluster.job_follower.datetime", SimpleNamespace(now=now.astimezone))
    head.submit("--seeds", "1")
    head.go_on()
    assert head.run("--seeds", "1", "--results", "results/second") == 0
    assert len(head.jobs()) == 2
    assert read(head.laptop / "results" / "second", "trials").height == 1
    assert read(head.project / "results" / "second", "trials").height == 1


@needs_rsync
def test_an_absolute_results_folder_is_the_heads(head, tmp_path):
    assert head.run("--seeds", "1", "--results", str(tmp_path / "shared")) == 0
    assert read(tmp_path / "shared", "trials").height == 1
    assert read(head.laptop / "results", "trials").height == 1


@needs_rsync
def test_ctrl_c_leaves_the_job_and_says_how_to_follow_and_to_stop_it(head):
    head.hold()
    with pytest.raises(KeyboardInterrupt):
        head.interrupted("--seeds", "2")
    (job,) = head.jobs()
    argv = PROJECT / "sweeps" / "optimizers.py"
    assert f"{job.stem} goes on without this command. To follow it: python {argv} --cluster cluster.yaml --seeds 2" in (
        head.output
    )
    assert f"ray job stop --address http://127.0.0.1:8265 {job.stem}'" in head.output
    head.go_on()
    when(job.with_suffix(".code").exists)
    assert job.with_suffix(".code").read_text() == "0\n"
    assert read(head.results, "trials").height == 2


@needs_rsync
def test_a_lost_connection_is_said_once_and_made_again(head):
    head.hold()
    steps = (
        lambda: when((head.laptop / "results" / "plan").exists),
        head.cut,
        head.go_on,
        lambda: when(lambda: "lost the connection to the head" in head.output),
        lambda: time.sleep(1),
        head.mend,
    )
    meanwhile(*steps)
    assert head.run("--seeds", "2") == 0
    assert head.output.count("lost the connection to the head (") == 1
    assert head.output.count("the head answers again") == 1
    assert "2/2 trials · 2 completed" in head.output
    assert len(head.jobs()) == 1


@needs_rsync
def test_a_dead_driver_is_reported_with_its_last_lines_and_the_same_command_goes_on(head, studied):
    head.hold()
    meanwhile(lambda: when((head.laptop / "results" / "plan").exists), head.kill_driver)
    assert head.run("--seeds", "2", sweep=SWEEP_WITH_QUESTION) == 1
    (job,) = head.jobs()
    assert f"the driver of {job.stem} ended with code 137 and reported no error" in head.output
    assert "the last lines of its log on the head:\n  starting Ray …\n" in head.output
    assert "To continue, run the same command: python " in head.output
    assert studied == []
    head.go_on()
    time.sleep(1.1)  # ids of jobs are made of seconds
    assert head.run("--seeds", "2") == 0
    assert read(head.laptop / "results", "trials").height == 2


@needs_rsync
def test_bad_input_that_only_the_head_sees_is_told_as_it_told_it(head):
    assert head.run("--search", "random", sweep=replace(SWEEP, tuned=[{"quality": [0.1, 0.2]}])) == 2
    assert "  made_up.py: error: the head refuses this\n" in head.output


@needs_rsync
def test_a_job_that_was_stopped_ends_with_130(head):
    head.hold()

    def stop():
        when((head.laptop / "results" / "plan").exists)
        head.jobs()[0].with_suffix(".stopped").touch()
        head.kill_driver()

    meanwhile(stop)
    assert head.run() == 130
    assert "was stopped\n" in head.output


@needs_rsync
@pytest.mark.parametrize("code", [1, 3])
def test_the_jobs_exit_code_is_the_commands(head, studied, code):
    assert head.run("--retries", str(code), sweep=SWEEP_WITH_QUESTION) == code
    assert len(studied) == 1
    assert "log on the head" not in head.output


@needs_rsync
def test_fetch_brings_the_records_home_and_stops(head):
    head.submit("--seeds", "1")
    head.go_on()
    when(head.jobs()[0].with_suffix(".code").exists)
    (head.home / "ray is down").touch()  # it takes no Ray
    assert head.run("--fetch") == 0
    assert read(head.laptop / "results", "trials").height == 1
    assert read(head.laptop / "results", "layers").height == 1
    assert len(head.jobs()) == 1


@needs_rsync
def test_fetch_says_where_there_is_nothing(head):
    with pytest.raises(UsageError, match=r"--fetch: no records of the sweep 'made_up' in .*/head/layersweep/results"):
        head.run("--fetch")


def record_another(results):
    """Another sweep, which has trained the first trial of this one."""
    trial = recorded_rows.trial("t0", run="r0", last_val_accuracy=0.5)
    recorded_rows.record(results, "another", plan=[recorded_rows.plan("t0")], trials=[trial])
    epochs = recorded_rows.curve("t0", 0.25, 0.5)
    recorded_rows.record(results, "stranger", epochs=epochs, trials=[recorded_rows.trial("other")])


@needs_rsync
def test_what_another_sweep_has_trained_of_it_comes_too(head):
    record_another(head.results)
    assert head.run("--seeds", "2", "--grace", "1") == 0
    here = head.laptop / "results"
    assert parts(here, "plan", "trials") == parts(head.results, "plan", "trials") - parts(
        head.results, "trials/stranger"
    )
    assert "[1/1] 0.5, seed 1: completed" in head.output


@needs_rsync
def test_another_sweep_of_this_machine_is_left_alone_and_said(head):
    record_another(head.results)
    record_another(head.laptop / "results")
    before = parts(head.laptop / "results", "trials", "plan", "epochs")
    assert head.run("--seeds", "2", "--grace", "1") == 0
    assert before <= parts(head.laptop / "results", "trials", "plan", "epochs")
    assert "some of its trials are recorded by the sweep 'another', which is not copied: " in head.output


@needs_rsync
def test_a_terminal_gets_a_live_table(head):
    head.hold()
    meanwhile(lambda: when(lambda: "slots on 2 machines" in head.output), head.go_on)
    assert head.run("--seeds", "2", terminal=True) == 0
    assert "running" in head.output
    assert "0/2 trials" in head.output
    assert "[1/2]" not in head.output


@needs_rsync
def test_records_that_this_machine_made_are_not_replaced(head):
    part = head.laptop / "results" / "trials" / "made_up" / "00000000-00000000.parquet"
    part.parent.mkdir(parents=True)
    part.write_text("mine")
    with pytest.raises(UsageError, match="records of the sweep 'made_up' that this machine made; those of five:"):
        head.run()
    assert part.read_text() == "mine"
    assert head.jobs() == []


@needs_rsync
def test_a_head_that_lost_its_records_does_not_take_them_from_here(head):
    assert head.run() == 0
    shutil.rmtree(head.results)
    with pytest.raises(UsageError, match="has lost records of the sweep 'made_up' that are here: plan/made_up/"):
        head.run("--fetch")
    assert read(head.laptop / "results", "trials").height == 1


@needs_rsync
def test_a_head_without_ray_is_said_before_anything_is_submitted(head):
    (head.home / "ray is down").touch()
    with pytest.raises(
        UsageError,
        match=r"10.0.0.1: Ray does not answer at http://127.0.0.1:8265; `ray up cluster.yaml` starts the cluster",
    ):
        head.run()


@needs_rsync
def test_a_ray_that_ends_meanwhile_is_given_up(head, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.cluster.head_client.HEAD_PATIENCE_SECONDS", 0.5)
    head.hold()
    meanwhile(lambda: when((head.laptop / "results" / "plan").exists), (head.home / "ray is down").touch)
    with pytest.raises(BrokenOffError, match=r"Ray does not answer at .*to continue, run the same command: python "):
        head.run()
    assert "ssh reaches the head, but: " in head.output


@needs_rsync
def test_a_ray_that_was_started_anew_knows_no_job(head):
    head.hold()

    def start_anew():
        when((head.laptop / "results" / "plan").exists)
        head.jobs()[0].unlink()

    meanwhile(start_anew)
    with pytest.raises(BrokenOffError, match=r"does not know layersweep-made_up-.* any more"):
        head.run("--seeds", "1")
    assert read(head.laptop / "results", "plan").height == 1


@needs_rsync
def test_a_head_that_is_not_reached_is_said_in_one_line(head):
    (head.home / "cut").touch()
    with pytest.raises(UsageError) as caught:
        head.run()
    assert str(caught.value) == (
        "--cluster cluster.yaml: ssh does not reach ubuntu@10.0.0.1: ssh: connect to host 10.0.0.1 port 22: "
        "Connection timed out"
    )


@needs_rsync
def test_a_head_that_does_not_answer_is_not_waited_for_at_first(head, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.cluster.head_channel.ANSWER_SECONDS", 0.2)
    (head.home / "hangs").touch()
    with pytest.raises(UsageError, match=r"ssh does not reach ubuntu@10.0.0.1: no answer within"):
        head.run()


@needs_rsync
def test_a_head_without_rsync_is_said(head, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.cluster.head_client.HEAD_PATIENCE_SECONDS", 0.5)
    (head.home / "no rsync").touch()
    with pytest.raises(BrokenOffError, match=r"rsync: command not found"):
        head.run()


def test_a_full_disk_here_is_said(head, tmp_path):
    rsync = tmp_path / "bin" / "rsync"
    rsync.write_text("#!/bin/sh\necho 'rsync: write failed: No space left on device (28)' >&2\nexit 11\n")
    rsync.chmod(0o755)
    full = r"cannot copy .*/results on the head to .*/laptop/results: rsync: write failed: No space left on.* goes on"
    with pytest.raises(BrokenOffError, match=full):
        head.run()


@needs_rsync
def test_a_head_without_the_project_is_said(head):
    shutil.rmtree(head.project)
    with pytest.raises(UsageError, match=r"cd: .*layersweep: No such file or directory; `ray up cluster.yaml` starts"):
        head.run()


@needs_rsync
def test_a_dry_run_is_the_heads(head, capfd):
    assert head.run("--dry-run", "--seeds", "2") == 0
    assert capfd.readouterr().out == "the head would run it\n"
    assert head.jobs() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "colour=red"], "unknown key 'colour'"),
        (["--epochs", "0"], "--epochs 0 is not valid"),
        (["--results", "../elsewhere"], "--results ../elsewhere is outside the project's folder on the head"),
        (["--results", "results/../.."], "is outside the project's folder"),
        (["--cluster", "none.yaml"], "--cluster none.yaml: No such file or directory; valid: a file such as"),
    ],
)
def test_bad_input_is_refused_before_the_head_is_asked(head, arguments, words):
    with pytest.raises(UsageError) as caught:
        head.run(*arguments)
    assert words in str(caught.value)
    assert not (head.home / "connections").exists()


@pytest.mark.parametrize("missing", ["ssh", "rsync"])
def test_a_missing_program_is_named(head, monkeypatch, tmp_path, missing):
    only = tmp_path / "only"
    only.mkdir()
    for program in {"ssh", "rsync"} - {missing}:
        (only / program).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(only))
    with pytest.raises(UsageError, match=f"--cluster needs the program {missing}, which is not on PATH: install it"):
        head.run()


@pytest.fixture
def own_script(tmp_path, monkeypatch):
    """A script outside the project, with a module beside it: the fake head's driver says which it runs."""
    folder = tmp_path / "experiments"
    folder.mkdir()
    driver = (HELPERS / "fake_head" / "sweep.py").read_text()
    script = folder / "mine.py"
    script.write_text(f"import net\nprint(net.WORDS, __file__)\n{driver}")
    (folder / "net.py").write_text("WORDS = 'a net of mine'\n")
    monkeypatch.setattr("sys.argv", [str(script)])
    return script


@needs_rsync
def test_a_script_outside_the_project_travels_with_the_modules_beside_it(head, own_script):
    assert head.run("--seeds", "1") == 0, head.output
    (job,) = head.jobs()
    [folder] = (head.project / ".scripts").glob("mine-*")
    assert f"a net of mine {folder}/mine.py" in job.with_suffix(".log").read_text()
    assert f'"script": ".scripts/{folder.name}/mine.py"' in head.last_job()
    assert "LAYERSWEEP_SCRIPT_COMMIT= " in head.last_job()  # it is in no repository


@needs_rsync
def test_the_same_command_follows_the_job_and_says_if_the_script_has_changed(head, own_script):
    head.submit("--seeds", "2")
    (own_script.parent / "net.py").write_text("WORDS = 'another net'\n")
    meanwhile(lambda: when(lambda: "is running there already" in head.output), head.go_on)
    assert head.run("--seeds", "2") == 0
    assert "the script or a file beside it has changed since it was submitted. To stop it: ssh" in head.output
    assert "other flags" not in head.output
    assert len(head.jobs()) == 1
    assert "a net of mine" in head.jobs()[0].with_suffix(".log").read_text()


@needs_rsync
def test_an_edited_script_is_another_folder_for_the_next_job(head, own_script):
    assert head.run("--seeds", "1") == 0
    (own_script.parent / "net.py").write_text("WORDS = 'another net'\n")
    assert head.run("--seeds", "1") == 0
    assert len([*(head.project / ".scripts").glob("mine-*")]) == 2
    assert "another net" in head.jobs()[-1].with_suffix(".log").read_text()


def test_a_dry_run_takes_the_script_along(head, own_script, capfd):
    assert head.run("--dry-run") == 0
    assert "the head would run it" in capfd.readouterr().out
    assert len([*(head.project / ".scripts").glob("mine-*")]) == 1
    assert head.jobs() == []


def test_a_module_of_a_package_is_refused_with_what_works(head, own_script, monkeypatch):
    main = SimpleNamespace(__spec__=ModuleSpec("own.sweep", None, origin=str(own_script)))
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(UsageError, match=r"`python -m own\.sweep` runs a module of a package; valid: .*import SWEEP"):
        head.run()


def test_a_script_in_a_crowded_folder_is_refused_before_ssh_is_used(head, own_script, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.common.script_files.MOST_FILES", 1)
    with pytest.raises(UsageError, match="are too many to travel to a cluster: more than 1 files"):
        head.run()
    assert not (head.home / "connections").exists()


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["--cluster", "c.yaml", "--seeds", "2"], ["--seeds", "2"]),
        (["--quick", "--cluster=c.yaml", "--fetch", "--dry-run"], ["--quick", "--dry-run"]),
        (["--set", "a=b", "--cluster", "c.yaml"], ["--set", "a=b"]),
        (["--no-watch", "--cluster", "c.yaml", "--quick"], ["--quick"]),
        (["--arm", "a=b,c=1..2", "--cluster", "c.yaml"], ["--arm", "a=b,c=1..2"]),
    ],
)
def test_flags_for_this_machine_alone_are_not_sent(arguments, flags):
    assert head_flags(arguments) == flags


def test_printed_commands_are_quoted_for_a_shell(head, tmp_path, monkeypatch):
    key, project = tmp_path / "it's a key", "~/it's a $(touch pwned) project"
    key.touch()
    file = tmp_path / "my $cluster.yaml"
    file.write_text(
        "provider: {type: local, head_ip: 10.0.0.1}\n"
        f'auth: {{ssh_user: ubuntu, ssh_private_key: "{key}"}}\nmetadata: {{project: "{project}"}}\n'
    )
    options = parse(["--cluster", str(file)], program="made_up.py")
    request = ClusterRequest.of(SWEEP, options, ["--cluster", str(file)])
    ssh, i, key_word, target, command = shlex.split(request.stop_command("j1"))
    assert (ssh, i, key_word, target) == ("ssh", "-i", str(key), "ubuntu@10.0.0.1")
    ray = head.home / project.removeprefix("~/") / ".venv" / "bin" / "ray"
    ray.parent.mkdir(parents=True)
    ray.write_text('#!/bin/sh\necho "$@"\n')
    ray.chmod(0o755)
    monkeypatch.setenv("HOME", str(head.home))
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout == "job stop --address http://127.0.0.1:8265 j1\n"
    assert not (tmp_path / "pwned").exists()
    assert f"`{shlex.join(['ray', 'up', str(file)])}` starts" in str(request.refusal(HeadError("no Ray")))
    assert shlex.split(request.command)[-1] == str(file)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"results": "/r", "parts": {"epochs": ["../../x"]}, "now": 1, "job": None}, "parts.epochs is '../../x'"),
        ({"results": "/r", "parts": {}, "now": "soon", "job": None}, "now is 'soon'"),
        ([], "answer is []"),
    ],
)
def test_a_head_that_answers_something_else_is_refused(head, answer, words):
    python = head.project / ".venv" / "bin" / "python"
    python.write_text(f"#!/bin/sh\nread question\necho 'layersweep> {json.dumps(answer)}'\nread next\n")
    with pytest.raises(UsageError, match=re.escape(f"its answer is not valid: {words}")):
        head.run()
    assert not (head.laptop / "results" / "epochs").exists()


@pytest.mark.parametrize(
    ("status", "driver", "code"),
    [
        ("SUCCEEDED", 0, 0), ("FAILED", 1, 1), ("FAILED", 2, 2), ("FAILED", 3, 3), ("FAILED", 130, 130),
        ("STOPPED", None, 130), ("FAILED", None, None), ("FAILED", -9, None), ("FAILED", 137, None),
    ],
)  # fmt: skip
def test_the_exit_code_of_a_job(status, driver, code):
    assert exit_code(status, driver) == code


def test_a_laptop_needs_neither_ray_nor_keras():
    code = (
        "import sys\nimport sweeps.optimizers, layersweep.tuning.cluster.cluster_command\n"
        "heavy = {'ray', 'tensorflow', 'keras', 'sklearn', 'psutil', 'hyperopt'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""What a head answers, without ssh and without Ray."""

import base64
import io
import json
import math
import shlex
from types import SimpleNamespace

import pytest
import recorded_rows as rows

from layersweep.records import requests
from layersweep.records.read import part_name
from layersweep.records.requests import STOP_TRIAL
from layersweep.tuning.cluster import head_server
from layersweep.tuning.cluster.head_server import ANSWER, serve
from layersweep.tuning.common.script_files import ScriptFiles
from layersweep.tuning.runtime import port_owner


class Jobs:
    def __init__(self, *jobs):
        self.jobs, self.submitted = list(jobs), []

    def list_jobs(self):
        return self.jobs

    def submit_job(self, **submission):
        self.submitted.append(submission)
        return submission["submission_id"]

    def get_job_logs(self, job):
        return f"{job}\n\none\ntwo\n"


def job(name, status="RUNNING", *, sweep="made_up", results="/shared", started=1000, code=None):
    metadata = {"sweep": sweep, "results": results, "flags": "--quick"}
    return SimpleNamespace(
        submission_id=name, status=status, driver_exit_code=code, message=None, start_time=started, metadata=metadata
    )


def answer(client, **question):
    out = io.StringIO()
    serve(io.StringIO(json.dumps(question) + "\n"), out, client)
    assert out.getvalue().count("\n") == 1
    return json.loads(out.getvalue().removeprefix(ANSWER))


def look(*jobs, **more):
    return answer(lambda: Jobs(*jobs), do="look", sweep="made_up", results="/shared", **more)


def test_an_answer_is_json_by_the_standard():
    out, question = io.StringIO(), json.dumps({"do": "look", "sweep": "made_up", "results": "/shared", "job": "a"})
    serve(io.StringIO(f"{question}\n"), out, lambda: Jobs(job("a", started=math.nan, code=math.inf)))
    facts = json.loads(out.getvalue().removeprefix(ANSWER), parse_constant=pytest.fail)["job"]
    assert (facts["started"], facts["exit_code"]) == (None, None)


def test_the_parts_of_a_sweep_are_named_by_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "epochs" / "made_up"
    folder.mkdir(parents=True)
    (folder / part_name(0, 3)).touch()
    reply = answer(None, do="records", sweep="made_up", results="results")
    assert reply == {"results": str(tmp_path / "results"), "parts": {"epochs": [part_name(0, 3)]}}


def test_other_sweeps_that_trained_its_trials_are_named(tmp_path):
    rows.record(tmp_path, "made_up", plan=[rows.plan("a"), rows.plan("b")], trials=[rows.trial("b")])
    rows.record(tmp_path, "another", trials=[rows.trial("a")])
    rows.record(tmp_path, "same", trials=[rows.trial("b")])
    reply = answer(None, do="others", sweep="made_up", results=str(tmp_path))
    assert reply == {"others": {"another": {"trials": [part_name(0, 0)]}}}


def test_the_job_at_work_on_the_sweep_is_found():
    reply = look(job("other", sweep="another"), job("elsewhere", results="/x"), job("done", "SUCCEEDED"), job("mine"))
    assert reply["job"]["id"] == "mine"
    assert reply["job"]["metadata"]["flags"] == "--quick"
    assert reply["job"]["started"] == 1.0


def test_a_job_that_waits_to_be_started_is_at_work():
    assert look(job("mine", "PENDING", started=None))["job"]["id"] == "mine"


def test_the_newest_of_two_is_found():
    assert look(job("a", started=2000), job("b", started=3000), job("c", started=1000))["job"]["id"] == "b"


def test_without_one_there_is_none():
    assert look(job("mine", "STOPPED"))["job"] is None


def test_drivers_that_are_no_jobs_are_passed_over():
    driver = SimpleNamespace(submission_id=None)
    assert look(driver, job("mine"))["job"]["id"] == "mine"


def test_a_job_is_told_by_its_id_also_when_it_has_ended():
    facts = look(job("mine", "FAILED", code=3), job("newer"), job="mine")["job"]
    assert (facts["status"], facts["exit_code"]) == ("FAILED", 3)


def test_a_job_is_submitted_in_this_folder_with_what_it_works_on(tmp_path, monkeypatch):
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    jobs = Jobs()
    flags = ["--set", "a b=1"]
    question = {
        "do": "submit",
        "sweep": "made_up",
        "results": "results",
        "job": "j1",
        "command": ["sweeps/x.py", *flags],
    }
    assert answer(lambda: jobs, **question) == {}
    (submission,) = jobs.submitted
    assert submission["submission_id"] == "j1"
    metadata = {
        "sweep": "made_up",
        "results": str(folder / "results"),
        "flags": "--set 'a b=1'",
        "script": "sweeps/x.py",
    }
    assert submission["metadata"] == metadata
    words = shlex.split(submission["entrypoint"])
    assert words[:2] == ["bash", "-c"]
    assert words[2] == f"cd '{folder}' && exec env LAYERSWEEP_JOB=j1 .venv/bin/python sweeps/x.py --set 'a b=1'"


def test_a_script_of_another_machine_is_written_below_this_folder_and_submitted_with_its_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = ScriptFiles(script="mine.py", contents={"mine.py": b"import parts.net", "parts/net.py": b"x = 1"})
    for _ in range(2):
        assert answer(None, do="script", name=files.name, archive=base64.b64encode(files.archive()).decode()) == {}
    assert (tmp_path / files.path_on_head).read_bytes() == b"import parts.net"
    assert (tmp_path / ".scripts" / files.name / "parts" / "net.py").read_bytes() == b"x = 1"
    jobs = Jobs()
    question = {"do": "submit", "sweep": "made_up", "results": "r", "job": "j1", "command": [files.path_on_head]}
    assert answer(lambda: jobs, **question, commit="0123abc-dirty") == {}
    words = shlex.split(shlex.split(jobs.submitted[0]["entrypoint"])[2])
    assert words[words.index("env") + 1 :] == [
        "LAYERSWEEP_JOB=j1", "LAYERSWEEP_SCRIPT_COMMIT=0123abc-dirty", ".venv/bin/python", files.path_on_head
    ]  # fmt: skip


def test_a_damaged_archive_is_a_problem_in_one_line_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = base64.b64encode(b"PK no archive").decode()
    assert answer(None, do="script", name="mine-0", archive=archive) == {
        "error": "the archive of a script is damaged: File is not a zip file"
    }
    assert [*tmp_path.iterdir()] == []


def test_a_job_is_submitted_once_however_often_it_is_asked_for():
    jobs = Jobs(job("j1"))
    question = {"do": "submit", "sweep": "made_up", "results": "r", "job": "j1", "command": ["x"]}
    assert answer(lambda: jobs, **question) == {}
    assert jobs.submitted == []


def test_the_last_lines_of_a_log():
    assert answer(Jobs, do="log", job="j1", lines=2) == {"lines": ["one", "two"]}


def test_a_long_line_of_a_log_is_cut():
    jobs = Jobs()
    jobs.get_job_logs = lambda job: f"short\n{job * 1_000_000}\n"
    first, second = answer(lambda: jobs, do="log", job="j1", lines=2)["lines"]
    assert (first, len(second)) == ("short", 1000)


class RefusedError(OSError):
    """As requests raises it."""

    __module__ = "requests.exceptions"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("Failed to connect"), "Ray does not answer at http://127.0.0.1:8265"),
        (RefusedError("HTTPConnectionPool(…)"), "Ray does not answer at http://127.0.0.1:8265"),
        (RuntimeError("Request failed\nwith status code 500"), "Request failed with status code 500"),
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_what_is_wrong_is_an_answer_of_one_line(error, words):
    def client():
        raise error

    assert answer(client, do="look", sweep="made_up", results="/shared") == {"error": words}


def test_the_client_is_made_once_and_again_after_it_could_not_be():
    calls = []

    def client():
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError
        return Jobs()

    out, question = io.StringIO(), json.dumps({"do": "look", "sweep": "made_up", "results": "/shared"})
    serve(io.StringIO(f"{question}\n" * 3), out, client)
    first, second, third = (json.loads(line.removeprefix(ANSWER)) for line in out.getvalue().splitlines())
    assert first == {"error": "Ray does not answer at http://127.0.0.1:8265"}
    assert second["job"] is third["job"] is None
    assert len(calls) == 2


def test_a_dashboards_port_that_another_user_has_taken_is_not_sent_the_token(monkeypatch):
    monkeypatch.setattr(port_owner, "is_another_users", lambda address: address == "127.0.0.1:8265")
    reply = answer(head_server._client, do="look", sweep="made_up", results="/shared")
    assert reply == {"error": "another user's process listens at http://127.0.0.1:8265, where Ray should"}


def test_a_request_is_put_to_the_sweep(tmp_path):
    at_home, here = tmp_path / "laptop", tmp_path / "head"
    at_home.mkdir()
    here.mkdir()
    request = requests.put(at_home, "made_up", STOP_TRIAL, trial_id="0123456789abcdef")
    question = {"do": "request", "sweep": "made_up", "results": str(here), "request": request.json}
    assert answer(Jobs, **question) == {}
    assert answer(Jobs, **question) == {}  # whose answer was lost
    assert requests.pending(here, "made_up") == [request]
    assert "is none to 'other'" in answer(Jobs, **question | {"sweep": "other"})["error"]
    assert "it is no request" in answer(Jobs, **question | {"request": "{"})["error"]
    assert "there is no results folder" in answer(Jobs, **question | {"results": str(here / "none")})["error"]
    assert not (here / "none").exists()

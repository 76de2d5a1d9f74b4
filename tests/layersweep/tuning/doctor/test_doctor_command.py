"""The doctor's findings, from facts; and its command on a machine alone."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from places import ROOT as PROJECT

from layersweep.tuning.common.ssh_commands import NOT_REACHED
from layersweep.tuning.doctor import checks, doctor_command, missing_nodes, node_facts, probe
from layersweep.tuning.doctor.findings import Clock, Finding, Node, worst_first
from layersweep.tuning.doctor.missing_nodes import SshAttempt

GIB = 1 << 30
VERSIONS = {
    "python": "3.11.7",
    "ray": "2.60.0",
    "tensorflow": "2.21.0",
    "keras": "3.15.0",
    "numpy": "2.1",
    "pyarrow": "20",
}
FACTS = {
    "host": "h1",
    "versions": VERSIONS,
    "code": {"layersweep/formatting.py": "aa", "layersweep/project.py": "bb"},
    "auth_mode": "token",
    "processor": "Model A",
    "memory_bytes": 8 * GIB,
    "token_mode": 0o600,
    "cache": {"folder": "/c", "problem": "", "free_bytes": 50 * GIB},
    "results": {"folder": "/r", "shared": True, "problem": ""},
    "data": {"problem": "", "messages": [], "seconds": 0.1},
}


def node(i: int, **facts) -> Node:
    return Node(
        address=f"10.0.0.{i}",
        head=i == 1,
        slots=2,
        facts=FACTS | {"host": f"h{i}"} | facts,
        clock=Clock(offset=0.0, error=0.01),
    )


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


def levels(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.where) for finding in findings]


ALL = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_all_joined():
    finding = only(missing_nodes.membership(ALL, [node(1), node(2), node(3)], {}))
    assert (finding.level, finding.message) == ("ok", "3 nodes with 6 slots, the head 10.0.0.1")


def test_a_machine_that_has_not_joined_and_one_that_nobody_configured():
    findings = missing_nodes.membership(
        ALL[:2], [node(1), node(3)], {"10.0.0.2": SshAttempt(target="u@10.0.0.2", exit_code=0, answers=WELL)}
    )
    assert levels(findings) == [("failure", "10.0.0.2"), ("warning", "cluster")]
    assert "10.0.0.3 (h3)" in findings[1].message


def test_a_sweep_is_only_warned_of_a_machine_that_has_not_joined():
    finding = only(missing_nodes.membership(ALL[:2], [node(1)], {}, missing_level="warning"))
    assert (finding.level, finding.where, finding.message) == ("warning", "10.0.0.2", "not joined")


def test_a_cloud_configures_no_machine():
    assert only(missing_nodes.membership([], [node(1), node(2)], {})).level == "ok"


def test_a_node_that_answers_nothing_is_a_failure_and_is_not_compared():
    broken = replace(node(2), facts={}, error="no answer within 60 s")
    findings = missing_nodes.membership(ALL[:2], [node(1), broken], {})
    assert levels(findings) == [("ok", "cluster"), ("failure", "10.0.0.2")]
    assert levels(checks.versions([node(1), broken])) == [("ok", "10.0.0.1 (h1)")]


WELL = {
    "rsync": "yes", "project": "yes", "raylet": "no", "token": "same", "python": "3.11.7", "ray": "2.60.0",
    "head_python": "3.11.7", "head_ray": "2.60.0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("error", "reason", "advice"),
    [
        ("root@10.0.0.2: Permission denied (publickey).", "key refused", "authorized_keys of u@10.0.0.2"),
        ("ssh: connect to host 10.0.0.2 port 22: No route to host", "not reached", "ping"),
        ("ssh: connect to host 10.0.0.2 port 22: Connection timed out", "not reached", "ping"),
        ("ssh: connect to host 10.0.0.2 port 22: Connection refused", "no ssh server", "start sshd on u@10.0.0.2"),
        ("ssh: Could not resolve hostname h: Name or service not known", "no such name", "as a number"),
        ('Load key "k": invalid format', "the head cannot read its key", "mode 600"),
        ("@@@\nHost key verification failed.", "another host key than before", "run `ssh-keygen -R 10.0.0.2` where"),
        ("something new", "ssh failed: something new", "try it: ssh u@10.0.0.2"),
        ("", "ssh failed: no reason given", "try it: ssh u@10.0.0.2"),
    ],
)
def test_what_sshs_complaints_mean(error, reason, advice):
    why, what_to_do = missing_nodes.why_missing(SshAttempt(target="u@10.0.0.2", exit_code=255, error=error))
    assert why.startswith(f"not joined: {reason}")
    assert advice in what_to_do


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "ray not started; the head's log: setup failed"),
        ({"rsync": "no", "python": ""}, "rsync is missing"),
        ({"project": "no"}, "not set up: the project's folder is missing"),
        ({"python": ""}, "not set up: the project's folder has no .venv"),
        ({"python": "3.11.9"}, "Python 3.11.9 there, 3.11.7 on the head"),
        ({"ray": ""}, "ray missing there, 2.60.0 on the head"),
        ({"token": "another"}, "~/.ray/auth_token differs from the head's"),
        ({"token": "missing"}, "~/.ray/auth_token is missing there"),
        ({"raylet": "yes"}, "Ray runs there, but not with this head"),
    ],
)
def test_why_a_machine_that_ssh_reaches_has_not_joined(change, reason):
    attempt = SshAttempt(target="u@10.0.0.2", exit_code=0, answers=WELL | change, log="setup failed")
    assert missing_nodes.why_missing(attempt)[0].startswith(f"not joined: {reason}")


def test_what_a_machine_is_asked_by_ssh_is_answered(monkeypatch, tmp_path):
    """By a shell here, with another home."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    script = probe.probe_script()
    assert hashlib.sha256(b"secret").hexdigest() in script
    assert "secret" not in script

    def answers() -> dict[str, str]:
        output = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
        return dict(line.split("=", 1) for line in output.splitlines())

    assert answers()["token"] == "same"
    assert answers()["project"] == "yes"
    (tmp_path / ".ray" / "auth_token").write_text("other")
    assert answers()["token"] == "another"
    (tmp_path / ".ray" / "auth_token").unlink()
    assert answers()["token"] == "missing"


def test_a_host_key_that_has_changed_is_refused(monkeypatch, tmp_path):
    """The options of ssh are as from a laptop to the head: the user's file of known hosts counts."""
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/words\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert probe.ssh_attempts(["10.0.0.2"], "u")["10.0.0.2"].exit_code == NOT_REACHED
    words = (tmp_path / "words").read_text().splitlines()
    assert words[: words.index("--")].count("StrictHostKeyChecking=accept-new") == 1
    assert not any(word.startswith("UserKnownHostsFile") for word in words)
    assert words[words.index("--") + 1] == "u@10.0.0.2"


def test_versions_that_differ_are_named_with_the_heads():
    other = node(2, versions=VERSIONS | {"keras": "3.14.0", "pyarrow": ""})
    finding = only(checks.versions([node(1), other, node(3)]))
    assert (finding.level, finding.where) == ("failure", "10.0.0.2 (h2)")
    assert finding.message == "keras 3.14.0 (head: 3.15.0), pyarrow missing (head: 20)"
    assert "uv.lock" in finding.advice


def test_another_python_needs_another_python():
    finding = only(checks.versions([node(1), node(2, versions=VERSIONS | {"python": "3.11.9"})]))
    assert finding.advice == "install the same Python on all machines, with the same patch number (3.11.7, for example)"


def test_code_that_differs_is_named_by_file():
    other = node(2, code={"layersweep/formatting.py": "xx", "layersweep/old.py": "cc"})
    finding = only(checks.code([node(1), other]))
    differing = "differs from the head's: layersweep/formatting.py; missing: layersweep/project.py"
    assert finding.message == f"{differing}; not on the head: layersweep/old.py"
    assert "delete" in finding.advice
    nothing = only(checks.code([node(1), node(2, code={})]))
    assert (nothing.level, nothing.message) == ("failure", "the project is not installed there")


def test_a_head_without_the_project():
    finding = only(checks.code([node(1, code={}), node(2, code={})]))
    assert (finding.level, finding.where, finding.message) == (
        "failure",
        "10.0.0.1 (h1)",
        "the project is not installed",
    )


def test_the_code_of_an_installation_is_that_of_the_wheels_packages(tmp_path):
    """Other people's packages in site-packages may be called `benchmarks` or `sweeps`."""
    for name in ("layersweep/cli.py", "benchmarks/theirs.py", "sweeps/theirs.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    assert list(node_facts.code(tmp_path)) == ["layersweep/cli.py"]
    (tmp_path / "pyproject.toml").write_text("")
    assert len(node_facts.code(tmp_path)) == 3


def test_an_installation_is_looked_for_in_the_folder_of_its_environment(monkeypatch):
    monkeypatch.setattr(probe.project, "IS_CLONE", False)
    monkeypatch.setattr(sys, "prefix", "/srv/layersweep/.venv")
    assert "cd /srv/layersweep 2>/dev/null" in probe.probe_script()


def test_a_laptop_with_other_code_is_told_which_runs():
    same = checks.digest(FACTS["code"])
    assert levels(checks.code([node(1)], laptop_digest=same)) == [("ok", "10.0.0.1 (h1)")]
    findings = checks.code([node(1)], laptop_digest="0123")
    assert levels(findings) == [("ok", "10.0.0.1 (h1)"), ("warning", "10.0.0.1 (h1)")]
    assert "the laptop's is 0123; a sweep runs the head's code" in findings[1].message


def test_two_models_of_processors_are_a_warning():
    assert only(checks.processors([node(1), node(2)])).message == "Model A"
    finding = only(checks.processors([node(1), node(2, processor="Model B"), node(3)]))
    assert (finding.level, finding.message) == ("warning", "Model A (2), Model B (1)")


@pytest.mark.parametrize(
    ("offset", "error", "level"), [(0.9, 0.0, "ok"), (-1.2, 0.1, "warning"), (1.2, 0.3, "ok"), (30.0, 0.3, "warning")]
)
def test_a_clock_is_wrong_only_if_it_is_so_beyond_what_is_known(offset, error, level):
    late = replace(node(2), clock=Clock(offset=offset, error=error))
    assert only(checks.clocks([node(1), late])).level == level


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, "ok"),
        ({"free_bytes": 4 * GIB}, "warning"),
        ({"free_bytes": GIB // 2}, "failure"),
        ({"problem": "full"}, "failure"),
    ],
)
def test_the_disk(change, level):
    finding = only(checks.disks([node(1), node(2, cache=FACTS["cache"] | change)]))
    assert finding.level == level
    assert finding.where == ("all 2 nodes" if level == "ok" else "10.0.0.2 (h2)")


def test_memory_is_that_of_a_slot():
    assert only(checks.memory([node(1)])).message == "at least 4.0 GiB for each slot"
    finding = only(checks.memory([node(1), node(2, memory_bytes=2 * GIB)]))
    assert (finding.level, finding.message) == ("warning", "1.0 GiB for each of 2 slots; a small CNN needs 1.5 GiB")


def test_results_that_are_not_shared_cost_a_lost_nodes_trials():
    unshared = node(2, results=FACTS["results"] | {"shared": False})
    assert only(checks.results([node(1), node(2)], "/r", "")).message == "/r can be written, and is shared"
    assert only(checks.results([node(1)], "/r", "")).message == "/r can be written"
    finding = only(checks.results([node(1), unshared, node(3)], "/r", ""))
    assert (finding.level, "is not shared with 10.0.0.2: checkpoints" in finding.message) == ("ok", True)
    unwritable = node(2, results=FACTS["results"] | {"problem": "Read-only file system"})
    assert only(checks.results([node(1), unwritable], "/r", "")).level == "failure"
    assert only(checks.results([node(1)], "/r", "No space left on device")).message == "/r: No space left on device"


def test_data_is_there_made_or_missing():
    loaded = node(2, data={"problem": "", "messages": ["downloading it …"], "seconds": 3.21})
    lacking = node(3, data={"problem": "cifar10 was not found", "messages": [], "seconds": 1.0})
    findings = checks.data([node(1), loaded, lacking], "cifar10")
    assert [finding.level for finding in findings] == ["ok", "ok", "failure"]
    assert [finding.message for finding in findings] == [
        "cifar10 was in the cache already",
        "cifar10 is in the cache now, after 3.2 s: downloading it …",
        "cifar10 was not found",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "disabled"}, "RAY_AUTH_MODE=disabled: Ray asks for no token"),
        ({"exists": False}, "no token in ~/.ray/auth_token"),
        (
            {"answers_without_token": True},
            "Ray answers without a token: anybody who reaches its port can run code on every node",
        ),
    ],
)
def test_without_a_token_the_doctor_fails(change, message):
    well = {"mode": "token", "exists": True, "answers_without_token": False}
    assert only(checks.token([node(1)], **well)).level == "ok"
    assert only(checks.token([node(1)], **well | {"mode": ""})).level == "ok", "the doctor and sweeps set it"
    finding = only(checks.token([node(1)], **well | change))
    assert (finding.level, finding.message) == ("failure", message)
    assert finding.advice


def test_a_node_that_was_started_without_the_token():
    finding = only(
        checks.token([node(1), node(2, auth_mode="")], mode="token", exists=True, answers_without_token=False)
    )
    assert (finding.level, finding.where) == ("failure", "10.0.0.2 (h2)")
    assert finding.message == "started with RAY_AUTH_MODE=(not set)"


def test_what_other_users_of_a_machine_can_reach():
    results = {"folder": "/r", "shared": True, "problem": ""}
    nodes = [
        node(1, ray_folder={"folder": "/tmp/layersweep-0/ray", "open": False}),
        node(2, token_mode=0o644),
        node(3, ray_folder={"folder": "/tmp/ray", "open": True}),
        node(4, results=results | {"open": True}),
        node(5, results=results | {"open": True}, cache=FACTS["cache"] | {"open": True}),
    ]
    assert only(checks.other_users(nodes[:1])).level == "ok"
    findings = checks.other_users(nodes)
    assert levels(findings) == [
        ("warning", "10.0.0.2 (h2)"),
        ("failure", "10.0.0.3 (h3)"),
        ("warning", "10.0.0.4 (h4)"),
        ("warning", "10.0.0.5 (h5)"),
    ]
    assert [finding.message for finding in findings] == [
        "other users could read ~/.ray/auth_token (mode 644); now they cannot (mode 600)",
        "other users can enter /tmp/ray, where Ray's sockets are",
        "they can change /r",
        "they can change /r and /c",
    ]


def test_the_doctor_closes_the_token_and_says_what_it_was(no_cluster, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    (tmp_path / ".ray" / "auth_token").chmod(0o644)
    assert doctor_command.main(["--results", str(tmp_path / "results")]) == 0
    assert "other users could read ~/.ray/auth_token (mode 644)" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600


def test_a_dashboard_on_the_network_is_a_warning():
    assert only(checks.ports("10.0.0.1", [])).level == "ok"
    assert only(checks.ports("10.0.0.1", ["the dashboard, port 8265"])).level == "warning"


def test_the_projects_cluster_file_makes_sense_and_changes_that_do_not_are_named():
    content = yaml.safe_load((PROJECT / "cluster.yaml").read_text())
    assert missing_nodes.cluster_file(content, missing_sources=[], key_mode=0o600) == []
    findings = missing_nodes.cluster_file(
        content
        | {"metadata": {"project": "~/other"}}
        | {"provider": {"head_ip": "10.0.0.1", "worker_ips": ["10.0.0.1"]}},
        missing_sources=["tuning"],
        key_mode=0o644,
    )
    assert [finding.message.partition(" ")[0] for finding in findings] == [
        "10.0.0.1",
        "file_mounts:",
        "metadata.project",
        "other",
    ]


def test_failures_come_first_and_the_rest_keeps_its_order():
    findings = [
        Finding(level=level, about=str(i), where="", message="")
        for i, level in enumerate(["ok", "warning", "failure", "ok"])
    ]
    assert [finding.about for finding in worst_first(findings)] == ["2", "1", "0", "3"]


def test_the_digests_of_this_projects_files(tmp_path):
    project = PROJECT
    digests = node_facts.code(project)
    assert (
        digests["layersweep/formatting.py"]
        == hashlib.sha256((project / "layersweep" / "formatting.py").read_bytes()).hexdigest()[:16]
    )
    assert {path.partition("/")[0] for path in digests} == set(node_facts.CODE)
    assert node_facts.code(tmp_path) == {}


def test_facts_can_be_sent_and_are_those_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    request = {"results": str(tmp_path), "marker": "m", "dataset": None, "data": None}
    facts = node_facts.all_facts(request)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["results"] == {"folder": str(tmp_path), "shared": False, "problem": "", "open": False}
    (tmp_path / "m").write_text("")
    assert node_facts.all_facts(request)["results"]["shared"]
    assert facts["cache"]["folder"] == str(tmp_path / "cache")
    assert facts["cache"]["free_bytes"] > 0
    assert not facts["cache"]["open"]
    (tmp_path / "cache").chmod(0o777)
    assert node_facts.all_facts(request)["cache"]["open"]


def test_a_cache_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "file" / "cache"))
    request = {"results": str(tmp_path), "marker": "m", "dataset": None, "data": None}
    assert node_facts.all_facts(request)["cache"]["problem"] == "Not a directory"


def test_a_data_set_without_its_files_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    request = {"results": str(tmp_path), "marker": "m", "dataset": "fashion_mnist", "data": str(tmp_path)}
    facts = node_facts.all_facts(request)["data"]
    assert facts["problem"].startswith("Fashion-MNIST was not found")
    assert "\n" not in facts["problem"]


def test_a_marker_is_gone_afterwards_and_a_folder_that_cannot_be_written_is_said(tmp_path):
    with probe.Marker(tmp_path / "results") as marker:
        assert [path.name for path in (tmp_path / "results").iterdir()] == [marker.name]
        assert marker.problem == ""
    assert not (tmp_path / "results").exists(), "it was made for the marker alone"
    (tmp_path / "file").write_text("")
    with probe.Marker(tmp_path / "file") as marker:
        assert marker.problem == "File exists"


def run(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "layersweep", "doctor", *arguments],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=os.environ | {"COLUMNS": "160"} | env,
        check=False,
    )


@pytest.fixture
def no_cluster(monkeypatch, tmp_path):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))


def test_on_a_machine_alone(no_cluster, tmp_path, capsys):
    assert doctor_command.main(["--results", str(tmp_path / "results")]) == 0
    output = capsys.readouterr().out
    assert "no cluster runs here: a sweep uses this machine" in output
    assert "failure: 0" in output


def test_on_a_head_without_ray(no_cluster, capsys):
    assert doctor_command.main(["--here", "--configured", "10.0.0.1,10.0.0.2"]) == 1
    assert "Ray does not run on this machine" in capsys.readouterr().out


def test_on_a_head_whose_ray_has_died(no_cluster, tmp_path, capsys):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1\n")
    assert doctor_command.main([]) == 1
    assert "Ray does not answer at 127.0.0.1:1" in capsys.readouterr().out


def test_on_a_head_whose_folder_is_open(no_cluster, tmp_path, capsys):
    """As in /tmp/ray, where Ray begins without RAY_TMPDIR: a sweep refuses this cluster."""
    with socket.create_server(("127.0.0.1", 0)) as head:
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{head.getsockname()[1]}")
        tmp_path.chmod(0o755)
        assert doctor_command.main([]) == 2
    assert "other users can write the folder" in capsys.readouterr().out


def test_on_a_head_whose_port_another_user_has_taken(no_cluster, tmp_path, monkeypatch, capsys):
    """The doctor would send the token there."""
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        address = f"127.0.0.1:{squatter.getsockname()[1]}"
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(address)
        monkeypatch.setattr(doctor_command, "is_another_users", lambda other: other == address)
        assert doctor_command.main([]) == 1
    assert "another user's process listens at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yaml"], "--cluster none.yaml: No such file or directory; valid: a file such as cluster.yaml"),
        (["--dataset", "minst"], "--dataset minst is not known; valid: cifar10, "),
        (["--data", "/d"], "--data /d needs --dataset"),
        (["--wait", "-1"], "--wait -1 is not valid; valid: 0 or more seconds"),
    ],
)
def test_bad_input_is_said_and_ends_with_2(no_cluster, capsys, arguments, message):
    assert doctor_command.main(arguments) == 2
    assert capsys.readouterr().out.startswith(message)


def test_a_head_that_is_not_reached(no_cluster, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "ssh").write_text("#!/bin/sh\necho 'u@10.0.0.1: Permission denied (publickey).' >&2\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    (tmp_path / "key").write_text("")
    (tmp_path / "key").chmod(0o600)
    content = {"provider": {"head_ip": "10.0.0.1"}, "auth": {"ssh_user": "u", "ssh_private_key": str(tmp_path / "key")}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    assert doctor_command.main([str(tmp_path / "c.yaml")]) == 1
    assert "key refused" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from layersweep.tuning.doctor.doctor_command import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'ray', 'keras', 'tensorflow', 'pyarrow'} & set(sys.modules)))\n"
    )
    help_run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True)
    assert "--results FOLDER" in help_run.stdout
    assert help_run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_token_that_is_no_file_keeps_its_mode(tmp_path, monkeypatch, kind):
    """RAY_AUTH_TOKEN_PATH=$HOME would close the home, without the right to enter it, to its own user."""
    path = tmp_path / "path"
    path.mkdir(mode=0o755) if kind == "folder" else os.mkfifo(path, 0o644)
    before = path.stat().st_mode
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    assert node_facts._close_token() is None
    assert path.stat().st_mode == before

"""`ray up cluster.yaml` on three hosts, and what the doctor says; each test goes on from the one before.

`pytest -s` prints what each command said and how long it took.
"""

import re

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

GCS = "10.77.0.11:6379"

COPY = (
    "cd layersweep && rsync -a -e 'ssh -i /root/ray_bootstrap_key.pem -o StrictHostKeyChecking=no "
    "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR'"
)


def joined_lines(said):
    """A table's text with the cells' lines put together."""
    return re.sub(r"\s*│\n│[ │]*", " ", said)


def test_a_refused_key_and_other_code_are_named_though_ray_up_ended_well(cluster):
    cluster.hosts.run(
        "h2", ["sh", "-c", "echo >> layersweep/layersweep/formatting.py; rm layersweep/layersweep/project.py"]
    )
    try:
        done = cluster.doctor("doctor, a key refused", "--wait", "15")
    finally:
        cluster.hosts.run(
            "h1",
            [
                "sh",
                "-c",
                f"{COPY} layersweep/formatting.py layersweep/project.py 10.77.0.12:layersweep/layersweep/",
            ],
        )
    assert done.returncode == 1
    said = joined_lines(done.stdout)
    assert "10.77.0.13" in said
    assert "key refused" in said
    assert "authorized_keys of root@10.77.0.13" in said
    assert "differs from the head's: layersweep/formatting.py; missing: layersweep/project.py" in said
    assert "failure: 2," in said, "the key and the code"


def test_all_join_once_the_key_is_right_and_the_doctor_is_content(joined):
    done = joined.doctor("doctor, all well", "--wait", "120")
    assert done.returncode == 0
    assert "3 nodes with 3 slots, the head 10.77.0.11" in done.stdout
    assert "all 3 nodes" in done.stdout
    assert "a request without a token was refused" in done.stdout
    assert "failure: 0," in done.stdout


def test_the_doctor_knows_the_machines_on_the_head_without_the_file(joined):
    done = joined.timed("doctor on the head", "h1", "python", "-m", "layersweep", "doctor", RAY_AUTH_MODE="token")
    assert done.returncode == 0
    assert "3 nodes with 3 slots" in done.stdout


def test_a_sweep_on_the_head_joins_what_runs_there_without_being_told(joined):
    program = (
        "from layersweep.tuning.runtime import private_folder, ray_runtime\n"
        "with private_folder.command_folder() as folder, ray_runtime.started_ray(None, folder) as where:\n"
        "    print(where.description)"
    )
    done = joined.timed("a sweep's Ray on the head", "h1", "python", "-c", program)
    assert done.stdout.startswith(f"the cluster at {GCS}: 3 nodes ("), done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(", 3 slots")


def test_a_sweep_looks_first_with_the_quick_part(joined):
    program = (
        "import time, ray; from layersweep.tuning.doctor.doctor_command import quick_checks; "
        "ray.init(log_to_driver=False); "
        "began = time.monotonic(); "
        "[print(f.level, f.about, f.where) for f in quick_checks()]; print(time.monotonic() - began)"
    )
    done = joined.on("h1", "python", "-c", program, RAY_AUTH_MODE="token", RAY_ADDRESS=GCS)
    *findings, seconds = done.stdout.splitlines()
    assert findings == ["ok nodes cluster", "ok versions all 3 nodes", "ok code all 3 nodes"]
    joined.seconds["quick"] = float(seconds)

"""A second user of the head is refused: token, sockets, address, records. `pytest -s` shows each refusal."""

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

AS_ANOTHER = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--")
PRIVATE = ("/root/.ray", "/root/layersweep/results", "/tmp/layersweep-0")
ATTEMPTS = {
    "read the token": "cat /root/.ray/auth_token",
    "list Ray's folder": "ls /tmp/layersweep-0",
    "delete Ray's folder": "mv /tmp/layersweep-0 /tmp/moved",
    "name a head of their own": "echo 6.6.6.6:6379 > /tmp/layersweep-0/ray/ray_current_cluster",
    "read the head's logs": "ls /tmp/layersweep-0/ray/session_latest/logs",
    "take a socket's place": "rm /tmp/layersweep-0/ray/session_latest/sockets/plasma_store",
    "read the records": "ls /root/layersweep/results/epochs",
    "replace the records": "rm -r /root/layersweep/results/epochs",
    "change the code": "touch /root/layersweep/layersweep/cli.py",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_another_user_of_the_head_is_refused(swept, attempt):
    done = swept.cluster.hosts.run("h1", [*AS_ANOTHER, "sh", "-c", ATTEMPTS[attempt]], env={"LANG": "C"})
    print(f"{attempt}: {done.stdout}{done.stderr.strip()}")
    assert done.returncode != 0
    assert "denied" in done.stderr or "not permitted" in done.stderr


def test_no_file_of_ray_and_no_record_can_be_read_or_written_by_others(swept):
    hosts = swept.cluster.hosts
    for host in ("h1", "h2", "h3"):
        listing = hosts.run(host, ["find", *PRIVATE, "-printf", "%M %u %p\\n"]).stdout.splitlines()
        print(f"== {host}: {len(listing)} files and folders, of which the first are", *listing[:12], sep="\n")
        print(hosts.run(host, ["ss", "-Hlntu"]).stdout)
        assert any("/sockets/plasma_store" in line for line in listing)
        for right in ("-readable", "-writable"):
            reached = hosts.run(host, [*AS_ANOTHER, "find", *PRIVATE, right, "-print"]).stdout.split()
            assert reached == [], (host, right)


def test_ray_leaves_its_usual_folder_alone(swept):
    hosts = swept.cluster.hosts
    for host in ("h1", "h2", "h3"):
        assert hosts.run(host, ["ls", "/tmp/ray"]).returncode != 0, "other users can write there"

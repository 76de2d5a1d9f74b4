"""Where a sweep runs, without Ray."""

import gc
import os
import shutil
import socket
import subprocess
import sys
import weakref
from types import SimpleNamespace

import pytest
import ray

from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.runtime import ray_runtime


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("Failed to start GCS.  Last 0 lines of error files:\n\nsee the logs"), "Failed to start GCS."),
        (Exception("The current node timed out during startup."), "The current node timed out during startup."),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_ray_that_does_not_start_is_one_line_and_what_it_started_is_ended(monkeypatch, tmp_path, error, message):
    shutdowns = []

    def fail(**_options):
        raise error

    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", lambda: shutdowns.append(True))
    with pytest.raises(BrokenOffError) as caught, ray_runtime.started_ray(1, tmp_path):
        pass
    assert str(caught.value).startswith(f"Ray did not start ({message}")
    assert str(caught.value).endswith("run the same command again")
    assert "\n" not in str(caught.value)
    assert shutdowns == [True]


def test_ray_that_other_code_uses_is_refused_and_goes_on(monkeypatch, tmp_path):
    shut_down = []
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "shutdown", lambda: shut_down.append("shut down"))
    with pytest.raises(UsageError, match="Ray runs in this process already"), ray_runtime.started_ray(1, tmp_path):
        pass
    assert shut_down == []


def test_of_a_ray_that_does_not_start_no_process_is_left(monkeypatch, tmp_path):
    """Ray forgets a server that did not answer in time; a notebook's process would keep it."""
    server = tmp_path / "gcs_server"
    server.symlink_to(shutil.which("sleep"))
    started = []

    def fail(**_options):
        started.append(subprocess.Popen([server, "600"]))
        raise RuntimeError("Failed to start GCS.")

    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(BrokenOffError), ray_runtime.started_ray(1, tmp_path):
        pass
    started[0].wait(timeout=30)  # it would sleep for ten minutes


def test_a_ray_that_was_imported_before_asks_for_the_token(tmp_path):
    """The cell of a notebook that imports Ray may stand above the sweep's."""
    code = """import ray
from layersweep.tuning.runtime import ray_runtime
ray.init = lambda **options: print(ray._raylet.get_authentication_mode() == ray._raylet.AuthenticationMode.TOKEN)
ray_runtime._local_ray = lambda *arguments: None
with ray_runtime.started_ray(1, "x"):
    pass
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_ADDRESS": "local", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_what_nothing_refers_to_is_freed_before_ray_shuts_down(monkeypatch, tmp_path):
    """Another thread that frees a reference to an object while Ray shuts down ends the process."""

    class Reference:
        pass

    cycle = Reference()
    cycle.itself = cycle
    reference = weakref.ref(cycle)
    referents = []
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setattr(ray, "init", lambda **_options: None)
    monkeypatch.setattr(ray, "nodes", lambda: one_node(1))
    monkeypatch.setattr(ray, "shutdown", lambda: referents.append(reference()))
    gc.disable()
    try:
        with ray_runtime.started_ray(1, tmp_path):
            del cycle
    finally:
        gc.enable()
    assert referents == [None]


# which cluster


@pytest.fixture
def head(tmp_path, monkeypatch):
    """Where `ray start` writes the address of the head that it begins, and a port that answers."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    file = tmp_path / "ray" / "ray_current_cluster"
    file.parent.mkdir()
    file.parent.chmod(0o777)  # as Ray makes it
    monkeypatch.delenv("RAY_ADDRESS")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        file.write_text(f"127.0.0.1:{listening.getsockname()[1]}\n")
        yield file


def test_a_cluster_that_runs_on_this_machine_is_joined(head):
    assert ray_runtime.cluster_address() == head.read_text().strip()


def test_what_a_crash_has_left_of_a_cluster_is_not_joined(head):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        head.write_text(f"127.0.0.1:{gone.getsockname()[1]}")
    assert ray_runtime.cluster_address() is None


def test_an_address_that_another_user_could_have_written_is_not_used(head, tmp_path):
    address = head.read_text().strip()
    tmp_path.chmod(0o755)  # now anybody can replace the file
    with pytest.raises(UsageError, match=f"other users can write .*; RAY_ADDRESS={address} joins it as it is"):
        ray_runtime.cluster_address()


def test_another_users_cluster_is_not_joined(head, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: -1)
    assert ray_runtime.cluster_address() is None


def test_a_port_that_another_user_has_taken_since_is_not_joined(head, tmp_path, monkeypatch):
    """`ray stop` leaves the file. Whoever takes the port would be sent the token."""
    monkeypatch.setattr(ray_runtime, "is_another_users", lambda address: address == head.read_text().strip())
    assert ray_runtime.cluster_address() is None
    tmp_path.chmod(0o755)
    assert ray_runtime.cluster_address() is None, "nor is the user told to join it"


def test_auto_is_this_users_cluster_or_an_error(head, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert ray_runtime.cluster_address() == head.read_text().strip()
    head.unlink()
    with pytest.raises(UsageError, match=r"RAY_ADDRESS=auto: no cluster of yours answers"):
        ray_runtime.cluster_address()


def test_without_a_cluster_a_sweep_has_a_ray_of_its_own(head):
    head.unlink()
    assert ray_runtime.cluster_address() is None


def test_local_means_this_machine_whatever_runs_on_it(head, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert ray_runtime.cluster_address() is None


def test_a_cluster_that_is_named_must_answer(head, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"RAY_ADDRESS=127.0.0.1:1 does not answer .* set it to local"):
        ray_runtime.cluster_address()


# its slots


def one_node(cpus):
    return [{"NodeID": "a", "NodeManagerHostname": "h", "Alive": True, "Resources": {"CPU": float(cpus)}}]


def test_a_cluster_without_a_slot_is_refused():
    context = SimpleNamespace(gcs_address="10.0.0.1:6379")
    module = SimpleNamespace(nodes=lambda: one_node(0), get_runtime_context=lambda: context)
    with pytest.raises(
        UsageError,
        match=r"10.0.0.1:6379 has no slot: 1 node \(h 0\), 0 slots. `layersweep doctor cluster.yaml` says",
    ):
        ray_runtime.joined_cluster(module, None)


def test_a_cluster_that_can_grow_is_asked_for_the_slots_that_are_not_there(monkeypatch):
    requests = []

    def request(num_cpus):
        requests.append(num_cpus)

    monkeypatch.setattr("ray.autoscaler.sdk.request_resources", request)
    with ray_runtime.requested_slots(8, available=2):
        assert requests == [8]
    assert requests == [8, 0]
    with ray_runtime.requested_slots(2, available=2), ray_runtime.requested_slots(None, available=2):
        assert requests == [8, 0]
    with pytest.raises(KeyboardInterrupt), ray_runtime.requested_slots(4, available=2):
        raise KeyboardInterrupt
    assert requests == [8, 0, 4, 0]
    with pytest.raises(BrokenOffError), ray_runtime.requested_slots(4, available=2):
        raise BrokenOffError("Ray has died")
    assert requests == [8, 0, 4, 0, 4]

"""Whose process listens at an address, to which Ray would send the token."""

import os
import pwd
import socket
import subprocess
import sys

import pytest

from layersweep.exit_codes import BAD_INPUT
from layersweep.tuning.runtime import port_owner, private_folder

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as another user")


@pytest.fixture
def squatter():
    """Starts a program of another user that listens at a host; returns its port."""
    programs = []

    def start(host):
        user = pwd.getpwnam("nobody")
        program = f"import os, socket, sys; os.setgid({user.pw_gid}); os.setuid({user.pw_uid})\n"
        program += f"s = socket.create_server(({host!r}, 0))\n"
        program += "print(s.getsockname()[1], flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", program]
        programs.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return int(programs[-1].stdout.readline())

    yield start
    for each in programs:
        each.communicate()


@needs_root
@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "localhost"),
        ("127.0.0.2", "0.0.0.0"),
        ("127.0.0.1", "[::ffff:127.0.0.1]"),
    ],
)
def test_a_port_that_another_user_has_taken_is_theirs(squatter, host, address):
    assert port_owner.is_another_users(f"{address}:{squatter(host)}")


@needs_root
def test_another_users_port_at_another_address_of_this_machine_is_not_reached(squatter):
    assert not port_owner.is_another_users(f"127.0.0.1:{squatter('127.0.0.2')}")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_of_this_user_is_not(host):
    with socket.create_server((host, 0)) as own:
        assert not port_owner.is_another_users(f"127.0.0.1:{own.getsockname()[1]}")


@pytest.mark.parametrize("address", ["", "auto", "local", "192.0.2.77:6379", "no.such.invalid:6379", "127.0.0.1:x"])
def test_what_is_no_address_of_this_machine_is_not_another_users(address):
    assert not port_owner.is_another_users(address)


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    def refuse(_kind):
        raise port_owner.psutil.AccessDenied

    monkeypatch.setattr(port_owner.psutil, "net_connections", refuse)
    assert not port_owner.is_another_users("127.0.0.1:1")


def test_a_listener_whose_process_the_system_hides_is_another_users(monkeypatch):
    """As it is for everybody but root."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        (seen,) = [each for each in port_owner.psutil.net_connections("tcp") if own.getsockname() == each.laddr]
        monkeypatch.setattr(port_owner.psutil, "net_connections", lambda _kind: [seen._replace(pid=None)])
        assert port_owner.is_another_users(f"127.0.0.1:{own.getsockname()[1]}")


@needs_root
def test_a_head_does_not_start_at_a_port_that_another_user_has_taken(squatter, capsys):
    port = squatter("127.0.0.2")
    assert private_folder.main([str(port)]) == BAD_INPUT
    assert capsys.readouterr().err.startswith(f"another user's process listens at port {port}; valid: ")

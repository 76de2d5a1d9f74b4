"""The server that a sweep starts: a process beside it, which keeps its secret and takes nothing with it."""

import http.client
import io
import os
import select
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from recorded_sweep import Sweep

from layersweep.terminal import Console
from layersweep.watch import child_server
from layersweep.watch.address_file import address_file


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal():
    return Console(file=Terminal())


def address_of(console):
    return console.file.getvalue().split()[1]


def get(url):
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", f"/{path}")
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.fixture
def processes(monkeypatch):
    """The processes that are started."""
    started = []
    start = subprocess.Popen

    def popen(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(child_server.subprocess, "Popen", popen)
    return started


def test_a_sweep_prints_its_address_at_a_terminal_and_the_page_is_there(tmp_path, processes):
    sweep = Sweep(tmp_path / "results")
    sweep.trial("adam", 1, [0.5, 0.6])
    results, console = sweep.write(), terminal()
    with child_server.served_page(results, "optimizers", console):
        status, page = get(address_of(console).replace("/?", "/sweeps?"))
        assert status == 200
        assert "optimizers" in page
        file = address_file(results, "optimizers")
        assert file.read_text() == f"{address_of(console)}\n"
    os.kill(processes[0].pid, signal.SIGKILL)  # a browser was there a moment ago, so that it would go on
    processes[0].wait()


def test_without_a_browser_it_ends_with_the_sweep_and_its_file_goes_too(tmp_path, processes):
    with child_server.served_page(tmp_path, "s", terminal()):
        assert processes[0].poll() is None
    assert processes[0].wait(20) == 0
    assert not address_file(tmp_path, "s").exists()


def test_the_token_is_in_no_command_line_no_environment_and_no_file_that_others_read(tmp_path, processes):
    console = terminal()
    with child_server.served_page(tmp_path, "s", console):
        token = address_of(console).partition("token=")[2]
        assert len(token) == 40
        assert get(address_of(console).replace(token, "0"))[0] == 403  # it runs
        pid = processes[0].pid
        for name in ("cmdline", "environ"):
            assert token.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        assert token not in " ".join([*os.environ.values(), *sys.argv])
        with_token = [p for p in tmp_path.rglob("*") if p.is_file() and token in p.read_text()]
        assert with_token == [address_file(tmp_path, "s")]
        assert stat.S_IMODE(with_token[0].stat().st_mode) == 0o600
        assert stat.S_IMODE(with_token[0].parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
def test_what_is_no_terminal_gets_no_token(tmp_path, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    console = Console(file=io.StringIO())
    with child_server.served_page(tmp_path, "s", console):
        file = address_file(tmp_path, "s")
        token = file.read_text().partition("token=")[2].strip()
        assert token
        assert str(file) in console.file.getvalue()
        assert token not in console.file.getvalue()
        assert "http" not in console.file.getvalue()


def test_a_stale_address_is_replaced(tmp_path):
    file = address_file(tmp_path, "s")
    file.parent.mkdir(parents=True)
    file.write_text("http://127.0.0.1:1/stale\n")
    file.chmod(0o644)
    console = terminal()
    with child_server.served_page(tmp_path, "s", console):
        assert file.read_text() == f"{address_of(console)}\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_killed_server_is_nothing_to_the_sweep(tmp_path, processes):
    with child_server.served_page(tmp_path, "s", terminal()):
        processes[0].kill()
        processes[0].wait()


def test_a_server_that_cannot_start_is_one_line(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(11, "Resource temporarily unavailable")

    for module, name in ((child_server.subprocess, "Popen"), (child_server, "listen")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, refuse)
            console = terminal()
            with child_server.served_page(tmp_path, "s", console):
                pass
            said = console.file.getvalue()
            assert said.startswith("watch    the page to watch the sweep cannot be served: ")
            assert said.count("\n") == 1
            assert not address_file(tmp_path, "s").exists()


def test_where_others_could_read_the_file_only_a_terminal_is_told(tmp_path):
    (tmp_path / ".state").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".state" / "watch").symlink_to(tmp_path / "elsewhere")
    for console in (terminal(), Console(file=io.StringIO())):
        with child_server.served_page(tmp_path, "s", console):
            assert ("token=" in console.file.getvalue()) == console.file.isatty()
            assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_quiet_console_gets_no_server(tmp_path, processes):
    with child_server.served_page(tmp_path, "s", Console(quiet=True)):
        assert not processes


def test_it_learns_that_its_sweep_was_killed(tmp_path):
    program = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from layersweep.terminal import Console
        from layersweep.watch import child_server
        start = child_server.subprocess.Popen
        def popen(*arguments, **options):
            process = start(*arguments, **options)
            print(process.pid, flush=True)
            return process
        child_server.subprocess.Popen = popen
        with child_server.served_page(Path(sys.argv[1]), "s", Console(stderr=True)):
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    command = [sys.executable, "-c", program, str(tmp_path)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    try:
        process = os.pidfd_open(int(ended.stdout))
    except ProcessLookupError:  # it was that fast
        return
    assert select.select([process], [], [], 60)[0]
    os.close(process)


def test_it_starts_with_little_more_than_the_standard_library():
    program = "import sys, layersweep.watch.child_server, layersweep.watch.answers; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    imported = {name.partition(".")[0] for name in ended.stdout.split()}
    assert "layersweep" in imported
    assert not imported & {"polars", "pyarrow", "numpy", "scipy", "bokeh", "matplotlib", "ray", "rich", "tyro"}

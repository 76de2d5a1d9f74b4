"""`layersweep watch`: the address at a terminal, in the browser, or in a file; one line for bad input."""

import contextlib
import os
import pty
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from recorded_sweep import Sweep

from layersweep import cli
from layersweep.watch import watch_command
from layersweep.watch.server import listen


@pytest.fixture
def results(tmp_path):
    sweep = Sweep(tmp_path / "results")
    sweep.trial("adam", 1, [0.5])
    return sweep.write()


@pytest.fixture
def _ctrl_c(monkeypatch):
    """The server is interrupted at once."""

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_command.WatchServer, "run", interrupt)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "none"], "there is no results folder none"),
        (["nothing"], "no results of sweep 'nothing' in "),
        (["nothing"], "recorded sweeps: optimizers"),
        (["optimizers", "../results"], "no results of sweep '../results' in "),
        (["--port", "70000"], "--port 70000 is not valid; valid: 1 to 65535"),
        (["--port", "-1"], "--port -1 is not valid"),
    ],
)
def test_bad_input_is_one_line(results, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(results.parent)
    assert cli.main(["watch", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_newer_schema_is_one_line(results, capsys, monkeypatch):
    monkeypatch.setattr("layersweep.records.read.SCHEMA_VERSION", -1)
    assert cli.main(["watch", "optimizers", "--results", str(results)]) == 2
    assert "use a newer Layersweep" in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_line_if_it_was_given(results, capsys):
    with listen(0) as other:
        assert cli.main(["watch", "--results", str(results), "--port", str(other.getsockname()[1])]) == 2
    assert "cannot be used: Address already in use; set another with --port" in capsys.readouterr().err


@pytest.mark.usefixtures("_ctrl_c")
def test_what_is_no_terminal_reads_where_the_address_is(results, capsys, monkeypatch):
    files = []
    real = watch_command.write_private

    def write(file, text):
        real(file, text)
        files.append((file, text, stat.S_IMODE(file.stat().st_mode)))

    monkeypatch.setattr(watch_command, "write_private", write)
    assert cli.main(["watch", "--results", str(results)]) == 0
    ((file, text, mode),) = files
    assert text.startswith("http://127.0.0.1:")
    assert mode == 0o600
    output = capsys.readouterr().out
    assert str(file) in output
    assert "token" not in output
    assert not file.exists()


@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize(("screen", "flags", "opens"), [(True, [], 1), (True, ["--no-open"], 0), (False, [], 0)])
def test_the_browser_gets_the_address_from_a_private_file(results, capsys, monkeypatch, screen, flags, opens):
    opened = []

    def open_(url):
        file = Path(url.removeprefix("file://"))
        opened.append((url, file.read_text(), stat.S_IMODE(file.stat().st_mode)))

    class Now:
        def __init__(self, target, args, daemon):
            self.start = lambda: target(*args)

    monkeypatch.setattr(watch_command.webbrowser, "open", open_)
    monkeypatch.setattr(watch_command.threading, "Thread", Now)
    monkeypatch.setattr(watch_command.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(watch_command, "_has_screen", lambda: screen)
    assert cli.main(["watch", "--results", str(results), *flags]) == 0
    output = capsys.readouterr().out
    assert "?token=" in output
    assert len(opened) == opens
    for url, content, mode in opened:
        assert "token" not in url  # command lines are public
        assert "?token=" in content
        assert mode == 0o600
    assert not list((results / ".state").rglob("*.html"))


def test_it_serves_until_ctrl_c(results):
    """At a real terminal, as a process of its own."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "layersweep", "watch", "optimizers", "--results", str(results), "--no-open"]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    killer = threading.Timer(120, process.kill)
    killer.start()
    output = b""
    while b"Ctrl-C ends" not in output:
        output += os.read(leader, 1000)
    for _ in range(12):  # Python loses an interrupt that comes inside a destructor: a user presses it again
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            break
    assert process.returncode == 0
    killer.cancel()
    assert b"watch    http://127.0.0.1:" in output
    assert b"Traceback" not in output
    os.close(leader)

"""One command at a time works on a sweep, and a killed one holds nothing."""

import subprocess
import sys

import pytest

from layersweep.records import lock
from layersweep.records.errors import BusyError, ResultsError
from layersweep.records.lock import is_busy, sweep_lock

HOLD = "import sys; from pathlib import Path; from layersweep.records.lock import sweep_lock\n"
HOLD += "with sweep_lock(Path(sys.argv[1]), 's'): print('held', flush=True); sys.stdin.read()"


def test_a_sweep_is_locked_for_other_processes_until_the_holder_dies(results):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, results], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=f"another command is running the sweep 's' in {results}: wait for it"),
            sweep_lock(results, "s"),
        ):
            raise AssertionError
        with sweep_lock(results, "t"):
            assert is_busy(results, "t")
        assert is_busy(results, "s")
        holder.kill()
        holder.wait()
    assert not is_busy(results, "s")
    with sweep_lock(results, "s"):
        assert (results / ".state" / "s.lock").exists()


def test_the_lock_is_given_back_after_an_error(results):
    with pytest.raises(ZeroDivisionError), sweep_lock(results, "s"):
        raise ZeroDivisionError
    with sweep_lock(results, "s"), pytest.raises(BusyError), sweep_lock(results, "s"):
        raise AssertionError


def test_results_that_cannot_be_locked_are_named(tmp_path):
    (tmp_path / "a file").write_text("not a folder")
    with (
        pytest.raises(ResultsError, match=r"cannot lock the sweep 's' in .*a file/results: "),
        sweep_lock(tmp_path / "a file" / "results", "s"),
    ):
        raise AssertionError


def test_elsewhere_than_on_linux_a_lock_file_may_be_held(results, monkeypatch):
    monkeypatch.setattr(lock, "_LOCKS", results / "no such file")
    assert not is_busy(results, "s")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, results], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        assert is_busy(results, "s")
        holder.kill()


def test_a_sweep_without_a_lock_is_not_busy(tmp_path):
    assert not is_busy(tmp_path / "none", "s")
    with sweep_lock(tmp_path, "s"):
        pass
    assert not is_busy(tmp_path, "s")
    with sweep_lock(tmp_path, "s"):
        pass

"""All sweeps of a folder, one after another: exit codes, and Ctrl-C."""

import os
import signal
import subprocess
import sys
import time

ALL = (
    "import sys; from pathlib import Path; from layersweep.tuning.command.all_sweeps import main; "
    "main(Path(sys.argv[1]), 'All.', sys.argv[2:])"
)


def run_all(folder, *arguments):
    command = [sys.executable, "-c", ALL, str(folder), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_all_run_one_after_another_and_one_that_fails_does_not_keep_the_others(tmp_path):
    for name, code in (("a", 2), ("b", 1), ("c", 0)):
        (tmp_path / f"{name}.py").write_text(
            f"import sys; print({name!r}, *sys.argv[1:], flush=True); sys.exit({code})"
        )
    ended = run_all(tmp_path, "--seeds", "3")
    assert ended.returncode == 1
    assert [line for line in ended.stdout.splitlines() if "--seeds" in line] == [f"{n} --seeds 3" for n in "abc"]


def test_ctrl_c_lets_a_sweep_end_in_order_and_starts_no_other(tmp_path):
    slow = (
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n    time.sleep(1)\n    pathlib.Path('ended').touch()\n    sys.exit(130)\n"
        "signal.signal(signal.SIGINT, stop)\npathlib.Path('began').touch()\ntime.sleep(60)\n"
    )
    (tmp_path / "a.py").write_text(slow)
    (tmp_path / "b.py").write_text("import pathlib; pathlib.Path('other').touch()")
    process = subprocess.Popen([sys.executable, "-c", ALL, str(tmp_path)], cwd=tmp_path, start_new_session=True)
    while not (tmp_path / "began").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(30) == 130
    assert (tmp_path / "ended").exists()
    assert not (tmp_path / "other").exists()

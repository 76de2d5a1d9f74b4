"""Commands whose output nobody reads any more, through real pipes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import recorded_rows

from layersweep.exit_codes import BROKEN_PIPE
from layersweep.pipes import ends_with_its_reader
from layersweep.project import FOLDER


def without_reader(*command: str, errors: bool = False) -> tuple[int, bytes]:
    """Runs a command whose output's reader has gone; its exit code, and what it writes to stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        stderr = writing if errors else subprocess.PIPE
        ended = subprocess.run([sys.executable, *command], stdout=writing, stderr=stderr, cwd=FOLDER, check=False)
    finally:
        os.close(writing)
    return ended.returncode, ended.stderr or b""


@pytest.mark.parametrize(
    "command",
    [
        "-m layersweep --help",
        "-m layersweep --version",
        "-m layersweep study --help",
        "-m layersweep records list --help",
        "-m layersweep gallery --help",
        "-m layersweep doctor --help",
        "sweeps/optimizers.py --help",
        "sweeps/all.py --help",
    ],
)
def test_help_that_nobody_reads_ends_without_a_word(command: str) -> None:
    assert without_reader(*command.split()) == (BROKEN_PIPE, b"")


@pytest.mark.parametrize("module", ["studies.optimizers", "records", "tuning.doctor"])
def test_former_commands_end_without_a_reader_of_their_line(module: str) -> None:
    assert without_reader("-m", module, errors=True)[0] == BROKEN_PIPE


def test_tables_that_nobody_reads_end_without_a_word(tmp_path: Path) -> None:
    recorded_rows.two_sweeps(tmp_path)
    for command in (["records", "list"], ["records", "show", "big"], ["study", "small"], ["gallery"]):
        ended = without_reader("-m", "layersweep", *command, "--results", str(tmp_path))
        assert ended == (BROKEN_PIPE, b""), command


def test_what_is_read_in_part_ends_as_usual(tmp_path: Path) -> None:
    """As `| head -1`: the reader leaves after the first line, which may be before or after the command's last one."""
    script = f"set -o pipefail; {sys.executable} -m layersweep study --help | head -1"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, cwd=FOLDER, check=False)
    assert ended.returncode in (0, BROKEN_PIPE)
    assert ended.stderr == b""
    assert len(ended.stdout.splitlines()) == 1


def test_a_pipe_that_breaks_elsewhere_is_an_error() -> None:
    def command() -> int:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        ends_with_its_reader(command)
    assert ends_with_its_reader(lambda: 3) == 3

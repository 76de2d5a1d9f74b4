"""A laptop's connection to a cluster's head: questions to `head_server`, and folders by rsync, over one ssh."""

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from layersweep.formatting import first_line, last_line
from layersweep.records.errors import ResultsError
from layersweep.tuning.cluster.head_server import ANSWER
from layersweep.tuning.common.cluster_file import ClusterFile
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.common.ssh_commands import NOT_REACHED, rsync, ssh
from layersweep.tuning.runtime.processes import end

PROGRAMS: Final = {"ssh": "openssh-client", "rsync": "rsync"}
"""The programs that this machine needs, and the Debian package of each."""

ANSWER_SECONDS: Final = 90.0
"""The head must answer a question within this time."""

_EXIT_SECONDS: Final = 5.0
_KIBIBYTES_A_SECOND: Final = 8192
_COPIED_CODES: Final = (0, 24)
"""rsync's exit codes when all is copied, and when parts were merged meanwhile: the next call copies the merged part."""

_CANNOT_WRITE_CODES: Final = (3, 11, 23)
_CONNECTION_CODES: Final = (10, 12, 20, 30, 35, NOT_REACHED)
_SERVE: Final = "exec .venv/bin/python -m layersweep.tuning.cluster.head_server"


class NotReachedError(Exception):
    """ssh does not reach the head, or the connection was lost."""


class HeadError(Exception):
    """ssh reaches the head, and the message says what is wrong there."""


def check_programs() -> None:
    """Refuses to work without ssh or rsync.

    Raises:
        UsageError: with the name of the missing program.
    """
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise UsageError(
                f"--cluster needs the program {program}, which is not on PATH: install it (Debian's package {package})"
            )


class Channel:
    """The connection to the head; use it as a context manager. It opens when first needed, and again after a loss.

    One ssh carries everything; its socket is in a folder that only the user can read. Ctrl-C does not reach it.
    """

    def __init__(self, cluster: ClusterFile) -> None:
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._connections = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="layersweep-ssh-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._folder.cleanup()

    def close(self) -> None:
        """Ends the connection; what runs on the head goes on."""
        process, self._process, self._buffer = self._process, None, b""
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.terminate()
        end(process, within=_EXIT_SECONDS)

    def ask(self, question: str, **arguments: Any) -> dict[str, Any]:
        """The head's answer to a question of `layersweep.tuning.cluster.head_server`.

        Raises:
            NotReachedError: if ssh does not reach the head, or it does not answer.
            HeadError: if it cannot answer.
        """
        process = self._process or self._open()
        line = json.dumps({"do": question, **arguments}).encode() + b"\n"
        try:
            os.write(process.stdin.fileno(), line)  # type: ignore[union-attr]
            answer = self._answer(process)
        except (NotReachedError, HeadError, KeyboardInterrupt):
            self.close()
            raise
        except BrokenPipeError:
            error = self._error_of_ended(process)
            self.close()
            raise error from None
        if "error" in answer:
            raise HeadError(answer["error"])
        return answer

    def copy_folder(self, source: str, target: Path, *options: str) -> None:
        """Copies a folder's content from the head to this machine by rsync, with these options.

        Raises:
            NotReachedError: if ssh does not reach the head.
            HeadError: if the head has no rsync, or another one.
            ResultsError: if the target cannot be written.
        """
        cluster = replace(self._cluster, extra_ssh_options=self._sharing("no")) if self._process else self._cluster
        limits = ("--no-owner", "--no-group", f"--bwlimit={_KIBIBYTES_A_SECOND}", "--timeout=60")
        result = subprocess.run(
            rsync(cluster, f"{source}/", target, *limits, *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            start_new_session=True,
            check=False,
        )
        if result.returncode in _COPIED_CODES:
            return
        message = first_line(result.stderr.strip()) or f"rsync ended with code {result.returncode}"
        if result.returncode in _CANNOT_WRITE_CODES:
            raise ResultsError(f"cannot copy {source} on the head to {target}: {message}")
        if result.returncode > 0 and result.returncode not in _CONNECTION_CODES:
            raise HeadError(message)
        self.close()
        raise NotReachedError(message)

    def _open(self) -> subprocess.Popen[bytes]:
        self._connections += 1
        cluster = replace(self._cluster, extra_ssh_options=self._sharing("yes"))
        with self._error_file.open("wb") as errors:
            self._process = subprocess.Popen(
                ssh(cluster, _SERVE),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                start_new_session=True,
            )
        return self._process

    def _sharing(self, master: str) -> tuple[str, ...]:
        """Options by which ssh shares a connection. Each connection has its own socket: a lost one leaves it behind."""
        return ("-o", f"ControlMaster={master}", "-o", f"ControlPath={self._folder.name}/{self._connections}")

    @property
    def _error_file(self) -> Path:
        return Path(self._folder.name) / "stderr"

    def _answer(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Reads lines until one is an answer; a shell's greeting is none."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                if (text := line.decode(errors="replace")).startswith(ANSWER):
                    answer: dict[str, Any] = json.loads(text.removeprefix(ANSWER))
                    return answer
                continue
            handle = process.stdout.fileno()  # type: ignore[union-attr]
            if not select.select([handle], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise NotReachedError(f"no answer within {ANSWER_SECONDS:.0f} s")
            chunk = os.read(handle, 1 << 16)
            if not chunk:
                raise self._error_of_ended(process)
            self._buffer += chunk

    def _error_of_ended(self, process: subprocess.Popen[bytes]) -> NotReachedError | HeadError:
        """The reason why the connection has ended."""
        try:
            code = process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return NotReachedError("the connection has ended")
        message = last_line(self._error_file.read_text(errors="replace"))
        if code in (0, NOT_REACHED) or code < 0:
            return NotReachedError(message or "the connection has ended")
        return HeadError(message or f"`{_SERVE}` ended with code {code} in {self._cluster.project}")

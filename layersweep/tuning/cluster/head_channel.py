"""A laptop's connection to a cluster's head: questions to `head_server`, and folders by rsync, over one ssh."""

import json
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final, Self

from layersweep.formatting import first_line, last_line
from layersweep.records.errors import ResultsError
from layersweep.tuning.cluster.head_answers import MOST_BYTES, Answer, HeadError, decode
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
_ERROR_BYTES: Final = 1 << 16
"""Of what ssh or rsync writes to its error stream, so much of the end is remembered."""

_SERVE: Final = "exec .venv/bin/python -m layersweep.tuning.cluster.head_server"


class NotReachedError(Exception):
    """ssh does not reach the head, or the connection was lost."""


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
        self._errors = _ErrorStream()
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

    def ask(self, question: str, **arguments: Any) -> Answer:
        """The head's answer to a question of `layersweep.tuning.cluster.head_server`.

        Raises:
            NotReachedError: if ssh does not reach the head, or it does not answer.
            HeadError: if it cannot answer.
        """
        process = self._process or self._open()
        line = json.dumps({"do": question, **arguments}).encode() + b"\n"
        try:
            while line:  # the archive of a script is longer than a pipe takes at once
                line = line[os.write(process.stdin.fileno(), line) :]  # type: ignore[union-attr]
            answer = self._answer(process)
        except (NotReachedError, HeadError, KeyboardInterrupt):
            self.close()
            raise
        except BrokenPipeError:
            error = self._error_of_ended(process)
            self.close()
            raise error from None
        return decode(answer)

    def copy_folder(self, source: str, target: Path, *options: str) -> None:
        """Copies a folder's content from the head to this machine by rsync, with these options.

        Raises:
            NotReachedError: if ssh does not reach the head.
            HeadError: if the head has no rsync, or another one.
            ResultsError: if the target cannot be written.
        """
        cluster = replace(self._cluster, extra_ssh_options=self._sharing("no")) if self._process else self._cluster
        limits = (f"--bwlimit={_KIBIBYTES_A_SECOND}", "--timeout=60")
        code, errors = _run(rsync(cluster, f"{source}/", target, *limits, *options))
        if code in _COPIED_CODES:
            return
        message = first_line(errors.strip()) or f"rsync ended with code {code}"
        if code in _CANNOT_WRITE_CODES:
            raise ResultsError(f"cannot copy {source} on the head to {target}: {message}")
        if code > 0 and code not in _CONNECTION_CODES:
            raise HeadError(message)
        self.close()
        raise NotReachedError(message)

    def _open(self) -> subprocess.Popen[bytes]:
        self._connections += 1
        cluster = replace(self._cluster, extra_ssh_options=self._sharing("yes"))
        self._process = subprocess.Popen(
            ssh(cluster, _SERVE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._errors = _ErrorStream(self._process.stderr)
        return self._process

    def _sharing(self, master: str) -> tuple[str, ...]:
        """Options by which ssh shares a connection. Each connection has its own socket: a lost one leaves it behind."""
        return ("-o", f"ControlMaster={master}", "-o", f"ControlPath={self._folder.name}/{self._connections}")

    def _answer(self, process: subprocess.Popen[bytes]) -> bytes:
        """Reads lines until one is an answer, and returns it; a shell's greeting is none."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                if line.startswith(ANSWER.encode()):
                    return line.removeprefix(ANSWER.encode())
                continue
            if len(self._buffer) > MOST_BYTES:
                raise HeadError(f"it sent a line of more than {MOST_BYTES >> 20} MiB")
            handle = process.stdout.fileno()  # type: ignore[union-attr]
            seconds = deadline - time.monotonic()  # lines that are no answers do not make it longer
            if seconds <= 0 or not select.select([handle], [], [], seconds)[0]:
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
        message = last_line(self._errors.text())
        if code in (0, NOT_REACHED) or code < 0:
            return NotReachedError(message or "the connection has ended")
        return HeadError(message or f"`{_SERVE}` ended with code {code} in {self._cluster.project}")


class _ErrorStream:
    """The end of what a program writes to its error stream, which is read as it comes."""

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        self._end = b""
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def text(self) -> str:
        """The end of the text, once the program has closed its stream."""
        self._reader.join(_EXIT_SECONDS)
        return self._end.decode(errors="replace")

    def _read(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            return
        with stream:
            while chunk := stream.read(_ERROR_BYTES):
                self._end = (self._end + chunk)[-_ERROR_BYTES:]


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Runs a program to its end; returns its exit code and the end of its error stream. Ctrl-C does not reach it."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    errors = _ErrorStream(process.stderr)
    try:
        code = process.wait()
    finally:
        process.kill()  # does nothing, unless the wait was interrupted
    return code, errors.text()

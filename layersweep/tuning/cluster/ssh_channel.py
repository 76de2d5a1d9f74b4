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

from layersweep.records.errors import ResultsError
from layersweep.tuning.cluster.head_server import ANSWER
from layersweep.tuning.common.cluster_file import NOT_REACHED, ClusterFile
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.runtime.processes import end
from layersweep.words import first_line, last_line

PROGRAMS: Final = {"ssh": "openssh-client", "rsync": "rsync"}
"""What this machine needs, by the package that has it on Debian."""

_ANSWER_SECONDS: Final = 90.0
_FAREWELL_SECONDS: Final = 5.0
_KIBIBYTES_A_SECOND: Final = 8192
_COPIED: Final = (0, 24)
"""rsync's exit codes when all is there, and when parts were merged away meanwhile: the next call brings the merger."""

_CANNOT_WRITE: Final = (3, 11, 23)
_CUT: Final = (10, 12, 20, 30, 35, NOT_REACHED)
_SERVE: Final = "exec .venv/bin/python -m layersweep.tuning.cluster.head_server"


class LostError(Exception):
    """The head is not reached any more, or not yet."""


class HeadError(Exception):
    """The head is reached, and says what is wrong there."""


def check_programs() -> None:
    """Refuses to work without ssh or rsync.

    Raises:
        UsageError: naming what is missing.
    """
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise UsageError(
                f"--cluster needs the program {program}, which is not on PATH: install it (Debian's package {package})"
            )


class Channel:
    """The connection; use it as a context manager. It is made when it is needed, and again after it was lost.

    One ssh carries all; its socket is in a folder that is the user's alone. Ctrl-C does not reach it.
    """

    def __init__(self, cluster: ClusterFile) -> None:
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None
        self._read = b""
        self._opened = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="layersweep-ssh-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._folder.cleanup()

    def close(self) -> None:
        """Ends the connection; what runs on the head goes on."""
        process, self._process, self._read = self._process, None, b""
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.terminate()
        end(process, within=_FAREWELL_SECONDS)

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """The head's answer to a question of `layersweep.tuning.cluster.head_server`.

        Raises:
            LostError: if the head is not reached, or does not answer.
            HeadError: if it cannot answer.
        """
        process = self._process or self._open()
        try:
            os.write(process.stdin.fileno(), json.dumps({"do": do, **what}).encode() + b"\n")  # type: ignore[union-attr]
            answer = self._answer(process)
        except (LostError, HeadError, KeyboardInterrupt):
            self.close()
            raise
        except BrokenPipeError:
            why = self._why(process)
            self.close()
            raise why from None
        if "error" in answer:
            raise HeadError(answer["error"])
        return answer

    def bring(self, there: str, here: Path, *options: str) -> None:
        """Copies a folder's content from the head by rsync, with these options.

        Raises:
            LostError: if the head is not reached.
            HeadError: if there is no rsync there, or another one.
            ResultsError: if the folder here cannot be written.
        """
        sharing = replace(self._cluster, more=self._sharing("no")) if self._process else self._cluster
        own = ("--no-owner", "--no-group", f"--bwlimit={_KIBIBYTES_A_SECOND}", "--timeout=60")
        ended = subprocess.run(
            sharing.rsync(f"{there}/", here, *own, *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            start_new_session=True,
            check=False,
        )
        if ended.returncode in _COPIED:
            return
        said = first_line(ended.stderr.strip()) or f"rsync ended with code {ended.returncode}"
        if ended.returncode in _CANNOT_WRITE:
            raise ResultsError(f"cannot bring {there} home to {here}: {said}")
        if ended.returncode > 0 and ended.returncode not in _CUT:
            raise HeadError(said)
        self.close()
        raise LostError(said)

    def _open(self) -> subprocess.Popen[bytes]:
        self._opened += 1
        connecting = replace(self._cluster, more=self._sharing("yes"))
        with self._complaints.open("wb") as complaints:
            self._process = subprocess.Popen(
                connecting.ssh(_SERVE),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                bufsize=0,
                start_new_session=True,
            )
        return self._process

    def _sharing(self, master: str) -> tuple[str, ...]:
        """Options of ssh by which connections share one; a lost one leaves its socket behind, hence a name for each."""
        return ("-o", f"ControlMaster={master}", "-o", f"ControlPath={self._folder.name}/{self._opened}")

    @property
    def _complaints(self) -> Path:
        return Path(self._folder.name) / "stderr"

    def _answer(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            line, newline, rest = self._read.partition(b"\n")
            if newline:
                self._read = rest
                if (text := line.decode(errors="replace")).startswith(ANSWER):
                    answer: dict[str, Any] = json.loads(text.removeprefix(ANSWER))
                    return answer
                continue
            handle = process.stdout.fileno()  # type: ignore[union-attr]
            if not select.select([handle], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise LostError(f"no answer within {_ANSWER_SECONDS:.0f} s")
            more = os.read(handle, 1 << 16)
            if not more:
                raise self._why(process)
            self._read += more

    def _why(self, process: subprocess.Popen[bytes]) -> LostError | HeadError:
        """Why the connection has ended."""
        try:
            code = process.wait(_FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            return LostError("the connection has ended")
        said = last_line(self._complaints.read_text(errors="replace"))
        if code in (0, NOT_REACHED) or code < 0:
            return LostError(said or "the connection has ended")
        return HeadError(said or f"`{_SERVE}` ended with code {code} in {self._cluster.project}")

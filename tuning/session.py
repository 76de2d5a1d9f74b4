"""One command at work: its run's rows, its Ray, and the plan between them."""

import json
import platform
import secrets
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final, Self

from rich.console import Console

from records.write import Writer
from trainables import config as domains
from tuning import engine
from tuning.display import Display
from tuning.history import next_sequence
from tuning.journal import Journal
from tuning.options import Settings, grace_epochs
from tuning.plan import Plan
from tuning.sweep import Sweep

_PACKAGES: Final = ("layersweep", "ray", "tensorflow", "keras", "numpy", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class Session:
    """A sweep's writer and journal for one command."""

    sweep: Sweep
    settings: Settings
    run_id: str
    command: str
    writer: Writer
    journal: Journal

    @classmethod
    def open(cls, sweep: Sweep, settings: Settings, arguments: Sequence[str]) -> Self:
        """Opens the results for writing.

        Raises:
            ResultsError: if they cannot be written, or were written by a newer schema.
        """
        run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        writer = Writer(
            settings.results, sweep.name, config_types=domains.types(sweep.config_type), versions=versions()
        )
        sequence = next_sequence(settings.results, sweep.name)
        journal = Journal(writer, run=run_id, family=sweep.family, metric=sweep.metric, sequence=sequence)
        command = shlex.join([f"sweeps/{sweep.name}.py", *arguments])
        return cls(sweep=sweep, settings=settings, run_id=run_id, command=command, writer=writer, journal=journal)

    def run(self, plan: Plan, console: Console) -> None:
        """Starts Ray and runs the plan; its rows are written whatever happens.

        Raises:
            KeyboardInterrupt: if it was asked to stop.
            ResultsError: if the rows cannot be written.
        """
        console.print("starting Ray …")
        with engine.ray_started(self.settings.slots) as where:
            console.print(f"on {where.description}: {where.slots} slots of one thread", soft_wrap=True)
            with self._recorded(where):
                self._run(plan, console, where)

    def nothing_to_run(self, plan: Plan) -> None:
        """Records a command all of whose trials were recorded already."""
        with self._recorded(
            engine.Where(description="no Ray", slots=0, slots_on_a_machine=0, hosts=(platform.node(),))
        ):
            self.journal.planned(plan.trials)

    def _run(self, plan: Plan, console: Console, where: engine.Where) -> None:
        data = plan.trials[0].data
        batch_sizes = [int(t.arm.values["batch_size"]) for t in plan.trials]
        display = Display(console, metric=self.sweep.metric, mode=self.sweep.mode)
        display.planned(plan.waiting)
        with display:
            engine.run(
                self.sweep,
                plan,
                journal=self.journal,
                writer=self.writer,
                display=display,
                logs=self.settings.results / "logs",
                where=where,
                grace=grace_epochs(self.settings, batch_sizes, data.train_images),
                reduction=self.settings.reduction,
            )
        console.print(display.summary(), soft_wrap=True)

    @contextmanager
    def _recorded(self, where: engine.Where) -> Iterator[None]:
        """Writes the run's start and its end, with the outcome and where the slots' seconds went."""
        began, outcome = time.monotonic(), "failed"
        self._write_run("start", where, options_json=json.dumps(asdict(self.settings), default=str))
        try:
            yield
            outcome = "ended"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        finally:
            wall = time.monotonic() - began
            seconds = {f"seconds_{name}": spent for name, spent in self.journal.seconds.items()}
            waiting = wall * where.slots - sum(seconds.values())
            self._write_run("end", where, outcome=outcome, seconds_wall=wall, seconds_waiting=waiting, **seconds)

    def _write_run(self, event: str, where: engine.Where, **columns: str | float) -> None:
        row = {
            "run": self.run_id,
            "event": event,
            "at": datetime.now(UTC),
            "command": self.command,
            "git_commit": git_commit(),
            "versions_json": json.dumps(versions()),
            "hosts_json": json.dumps(where.hosts),
            "slots": where.slots,
        }
        self.writer.append("runs", [row | columns])
        self.writer.flush()


def versions() -> dict[str, str]:
    """The versions of what a result depends on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}


def git_commit() -> str | None:
    """The commit of this code, with `-dirty` if it was changed since; None without git or outside a repository."""
    here = Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()

"""One command at work: its run's rows, its Ray, and the plan between them."""

import json
import platform
import secrets
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console

from layersweep.records.write import Writer
from layersweep.studies import study
from layersweep.tuning.common.errors import BudgetSpentError, UsageError
from layersweep.tuning.driver import futility, tune_runner
from layersweep.tuning.driver.progress import Display
from layersweep.tuning.driver.record_builder import RecordBuilder, rounded
from layersweep.tuning.experiment.options import Settings
from layersweep.tuning.experiment.search_clock import wall
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.runtime import ray_runtime
from layersweep.tuning.search.trial_queue import Plan
from layersweep.tuning.storage.history import History
from layersweep.words import count
from trainables.meaning import MEANING

if TYPE_CHECKING:
    from layersweep.tuning.driver.tune_scheduler import TuneScheduler

_TRIALS_RUN_SECONDS: Final = 20.0
"""By then trials have started, and both slots and driver have done their imports."""

_PACKAGES: Final = ("layersweep", "ray", "tensorflow", "keras", "numpy", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class SweepRun:
    """A sweep's writer and journal for one command."""

    sweep: Sweep
    settings: Settings
    run_id: str
    command: str
    writer: Writer
    journal: RecordBuilder

    @classmethod
    def open(cls, sweep: Sweep, settings: Settings, history: History, arguments: Sequence[str]) -> Self:
        """Opens the results for writing, behind what is recorded.

        Raises:
            ResultsError: if they cannot be written, or were written by a newer schema.
        """
        run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        writer = Writer(settings.results, sweep.name, config_types=sweep.key_types, versions=versions())
        journal = RecordBuilder(
            writer,
            run=run_id,
            family=sweep.family,
            metric=sweep.metric,
            sequence=history.sequence(),
            past=history.past,
            rows_until=history.rows_until,
            keep_hopeless=settings.keep_hopeless,
            flops_per_second=None if settings.search == "grid" else history.flops_per_second,
        )
        command = shlex.join([f"sweeps/{sweep.name}.py", *arguments])
        return cls(sweep=sweep, settings=settings, run_id=run_id, command=command, writer=writer, journal=journal)

    def run(
        self,
        plan: Plan,
        scheduler: "TuneScheduler",
        console: Console,
        *,
        outlook: Callable[[int], str],
        fork_server: Path | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Starts Ray and runs the plan; its rows are written whatever happens.

        Args:
            plan: what is to run.
            scheduler: judges it.
            console: is told where it runs.
            outlook: says for a number of slots how long it takes; empty if it takes no time.
            fork_server: the socket of the fork server that slots on this machine get their training processes from.
            check: is called once Ray has started; what it raises ends the command before any trial.

        Raises:
            KeyboardInterrupt: if it was asked to stop.
            BudgetSpentError: if its time is over.
            UsageError: if the nodes of a cluster cannot train the same trials, or by `check`.
            BrokenOffError: if Ray did not start, or its first trials all failed of one error.
            ResultsError: if the rows cannot be written.
        """
        scheduler.hopeless, scheduler.out_of_time = self.journal.hopeless, plan.out_of_time
        threading.Thread(target=futility.prepare, daemon=True).start()  # meanwhile
        console.print("starting Ray …")
        with ray_runtime.ray_started(self.settings.slots) as where:
            console.print(_said(where), soft_wrap=True)
            if where.nodes is not None:
                _examine(console)
            if check is not None:
                check()
            if said := outlook(where.slots):
                console.print(f"time on {count(where.slots, 'slot')}: {said}")
            with self._recorded(where):
                self._run(plan, scheduler, console, where, fork_server)

    @contextmanager
    def _study_prepared(self) -> Iterator[None]:
        """Lets the study import what it needs while trials run, once they have started: the driver has time then."""
        if not self.sweep.question:
            yield
            return
        timer = threading.Timer(_TRIALS_RUN_SECONDS, study.prepare, [self.sweep.sections or ()])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def nothing_to_run(self, plan: Plan) -> None:
        """Records a command all of whose trials were recorded already."""
        with self._recorded(
            ray_runtime.Where(description="no Ray", slots=0, slots_on_a_machine=0, hosts=(platform.node(),))
        ):
            self.journal.planned(plan.trials)

    def _run(
        self,
        plan: Plan,
        scheduler: "TuneScheduler",
        console: Console,
        where: ray_runtime.Where,
        fork_server: Path | None,
    ) -> None:
        display = Display(console, metric=self.sweep.metric, mode=self.sweep.mode)
        display.planned(plan.waiting)
        display.foreseen = lambda: plan.foreseen
        display.searching = lambda: None if plan.searching is None else wall(plan.searching, where.slots_now)
        with display, self._study_prepared():
            tune_runner.run(
                self.sweep,
                plan,
                scheduler=scheduler,
                journal=self.journal,
                writer=self.writer,
                display=display,
                settings=self.settings,
                where=where,
                fork_server=fork_server,
            )
        console.print(display.summary(), soft_wrap=True)

    @contextmanager
    def _recorded(self, where: ray_runtime.Where) -> Iterator[None]:
        """Writes the run's start and its end, with the outcome and where the slots' seconds went."""
        began, outcome = time.monotonic(), "failed"
        asked = self.sweep.study_question.columns if self.sweep.question else {}
        options = json.dumps(asdict(self.settings), default=str)
        self._write_run("start", where, options_json=options, **asked)
        try:
            yield
            outcome = "ended"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        except BudgetSpentError:
            outcome = "time budget spent"
            raise
        finally:
            wall = time.monotonic() - began
            seconds = {"wall": wall, **self.journal.seconds}
            seconds["waiting"] = where.slot_seconds(wall) - sum(self.journal.seconds.values())
            columns = {f"seconds_{name}": rounded(spent) for name, spent in seconds.items()}
            self._write_run("end", where, outcome=outcome, **columns)

    def _write_run(self, event: str, where: ray_runtime.Where, **columns: str | float) -> None:
        row = {
            "run": self.run_id,
            "event": event,
            "at": datetime.now(UTC),
            "command": self.command,
            "git_commit": git_commit(),
            "versions_json": json.dumps({**versions(), "meaning": MEANING}),
            "hosts_json": json.dumps(where.hosts_seen),
            "slots": where.slots,
        }
        self.writer.append("runs", [row | columns])
        self.writer.flush()


def _said(where: ray_runtime.Where) -> str:
    """Where the sweep runs, for people."""
    if where.nodes is not None:
        return f"on {where.description} of one thread"
    return f"on {where.description}: {count(where.slots, 'slot')} of one thread"


def _examine(console: Console) -> None:
    """Lets the doctor look at a cluster's nodes, versions and code.

    Raises:
        UsageError: if results would depend on the node.
    """
    from layersweep.tuning.doctor import doctor_command

    for finding in doctor_command.quick():
        said = f"{finding.about}, {finding.where}: {finding.said}" + (f"; {finding.do}" if finding.do else "")
        if finding.level == "failure":
            raise UsageError(f"the cluster cannot be used: {said}. `layersweep doctor` says more")
        if finding.level == "warning":
            console.print(f"warning: {said}", style="yellow", markup=False, soft_wrap=True)


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

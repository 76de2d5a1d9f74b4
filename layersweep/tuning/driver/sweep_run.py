"""One command at work: its rows in the table `runs`, its Ray, and the plan that runs in between."""

import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Final, Self

from layersweep.escaping import to_json
from layersweep.formatting import count
from layersweep.records.requests import Request
from layersweep.records.tables import STOPPED_ON_REQUEST
from layersweep.records.write import Writer
from layersweep.studies import study
from layersweep.terminal import Console
from layersweep.tuning.common.code_commit import git_commit
from layersweep.tuning.common.errors import BudgetSpentError, StoppedOnRequestError, UsageError
from layersweep.tuning.common.job import JOB, run_of_job
from layersweep.tuning.driver import learning_check, search_factory, tune_runner
from layersweep.tuning.driver.person_requests import PersonRequests
from layersweep.tuning.driver.planner import SweepPlan
from layersweep.tuning.driver.progress import Display
from layersweep.tuning.driver.record_builder import RecordBuilder, RecordContext
from layersweep.tuning.driver.record_rows import rounded
from layersweep.tuning.driver.tune_runner import TuneRun
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.runtime import fork_server, private_folder, ray_runtime
from layersweep.tuning.runtime.frontend import Frontend, Invocation
from layersweep.tuning.search.autokeras_sampler import OracleProcess
from trainables.meaning import MEANING

STUDY_IMPORT_SECONDS: Final = 20.0
"""By then trials have started, and both slots and driver have done their imports."""

_PACKAGES: Final = ("layersweep", "ray", "tensorflow", "keras", "numpy", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class SweepRun:
    """One command: its plan, and what writes its records.

    Attributes:
        plan: what is to run.
        run_id: the command's id in the records.
        command: the command line, or the call of a notebook.
        writer: writes rows.
        records: builds them.
    """

    plan: SweepPlan
    run_id: str
    command: str
    writer: Writer
    records: RecordBuilder

    @classmethod
    def open(cls, plan: SweepPlan, invocation: Invocation, *, number: int = 1) -> Self:
        """Opens the results for writing, behind what is recorded.

        Args:
            plan: what is to run.
            invocation: what the person gave.
            number: which run of its process it is: a job on a cluster may have several.

        Raises:
            ResultsError: if they cannot be written, or were written by a newer schema.
        """
        sweep, settings, history = plan.request.sweep, plan.request.settings, plan.history
        job = os.environ.get(JOB) and run_of_job(os.environ[JOB], number)
        run_id = job or f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        writer = Writer(
            settings.results,
            sweep.name,
            config_types=sweep.key_types,
            key_texts=sweep.key_texts,
            versions=versions(),
        )
        context = RecordContext(
            run=run_id,
            family=sweep.family,
            source_of=sweep.source_of,
            metric=sweep.metric,
            next_sequence=history.sequence(),
            recorded_attempt=history.attempt,
            recorded_rows=history.rows_until,
            keep_hopeless=settings.keep_hopeless,
            flops_per_second=None if settings.search == "grid" else history.flops_per_second,
        )
        records = RecordBuilder(writer, context)
        return cls(plan=plan, run_id=run_id, command=invocation.recorded, writer=writer, records=records)

    def record_due_ends(self) -> None:
        """Writes the rows that the present flags add to recorded trials."""
        for end in self.plan.due_ends:
            if end.due_row is not None:
                self.records.close(end.trial, end.due_row)

    def record_plan(self) -> None:
        """Writes which trials the command asks for."""
        self.records.plan(self.plan.trials)
        self.writer.flush()

    def record_nothing_to_run(self) -> None:
        """Records a command all of whose trials were recorded already."""
        where = ray_runtime.RayRuntime(description="no Ray", slots=0, slots_on_a_machine=0, hosts=(platform.node(),))
        with self._recorded(where):
            self.records.plan(self.plan.trials)

    def run(self, frontend: Frontend, requests: PersonRequests) -> int:
        """Starts Ray and runs the plan; its rows are written whatever happens. `requests` come from people.

        A person who stops it while Ray starts, or while something is cleaned up, waits until that is done: so no
        process is left. Ray has a handler for SIGTERM, which is in force only while Ray starts.

        Returns:
            The number of trials that failed, without candidates that were refused.

        Raises:
            KeyboardInterrupt: if it was asked to stop.
            BudgetSpentError, StoppedOnRequestError: if its time is over, or a person asked it to start no other trial.
            UsageError: if the nodes of a cluster cannot train the same trials, or an oracle's space is not valid.
            BrokenOffError: if Ray did not start, or its first trials all failed of one error.
            ResultsError: if the rows cannot be written.
        """
        request, oracles, console, stop = self.plan.request, OracleProcess(), frontend.console, frontend.stop
        with (
            stop.on_signals(),
            private_folder.command_folder() as folder,
            closing(oracles),
            fork_server.running_server(request.sweep.warm_up, folder) as socket,  # it and the oracles import meanwhile
        ):
            if self.plan.uses_oracles:
                oracles.start()
            threading.Thread(target=learning_check.prepare, daemon=True).start()
            console.print("starting Ray …")
            with ray_runtime.started_ray(request.settings.slots, folder) as where, stop.on_signals():
                stop.check()
                self._check_place(where, console, oracles)
                with self._recorded(where):
                    queue = self.plan.trial_queue(oracles, time.monotonic)
                    requests.record = self._record_request
                    run = TuneRun(
                        plan=self.plan,
                        queue=queue,
                        records=self.records,
                        writer=self.writer,
                        display=self._display(frontend, where),
                        where=where,
                        fork_server=socket,
                        folder=folder,
                        requests=requests,
                        stop=stop,
                    )
                    self._train(run)
                    console.print(run.display.summary(), soft_wrap=True)
        stop.check()  # it may be requested while Ray ends
        return sum(ending.outcome == "failed" and not ending.refused for ending in queue.endings.values())

    def _check_place(self, where: ray_runtime.RayRuntime, console: Console, oracles: OracleProcess) -> None:
        """Checks that the searches can run there, and says where it is and how long the plan takes."""
        console.print(_place(where), soft_wrap=True)
        if where.nodes is not None:
            _examine(console)
        flops_per_second = self.plan.history.flops_per_second if self.plan.uses_oracles else None
        search_factory.check_searches(self.plan.request, self.plan.data, oracles, flops_per_second=flops_per_second)
        if text := self.plan.estimate.text(where.slots):
            console.print(f"time on {count(where.slots, 'slot')}: {text}")

    def _display(self, frontend: Frontend, where: ray_runtime.RayRuntime) -> Display:
        sweep = self.plan.request.sweep
        pace = self.plan.pace(lambda: where.slots_now)
        return Display(frontend.console, metric=sweep.metric, mode=sweep.mode, pace=pace, live=frontend.live)

    def _train(self, run: TuneRun) -> None:
        run.display.plan(run.queue.waiting)
        with run.display, study_imported(self.plan.request.sweep):
            tune_runner.run(run)

    @contextmanager
    def _recorded(self, where: ray_runtime.RayRuntime) -> Iterator[None]:
        """Writes the run's start and its end, with the outcome and where the slots' seconds went."""
        start, outcome = time.monotonic(), "failed"
        sweep, settings = self.plan.request.sweep, self.plan.request.settings
        question = sweep.study_question.columns if sweep.question else {}
        asha, first_sequence = self.plan.asha_settings, self.plan.history.sequence()
        options = to_json({**asdict(settings), "rungs": sorted(asha.rungs) if asha.questions else []})
        self._write_run("start", where, options_json=options, first_sequence=first_sequence, **question)
        try:
            yield
            outcome = "ended"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        except BudgetSpentError:
            outcome = "time budget spent"
            raise
        except StoppedOnRequestError:
            outcome = STOPPED_ON_REQUEST
            raise
        finally:
            wall = time.monotonic() - start
            seconds = {"wall": wall, **self.records.seconds}
            seconds["waiting"] = where.slot_seconds(wall) - sum(self.records.seconds.values())
            columns = {f"seconds_{name}": rounded(value) for name, value in seconds.items()}
            self._write_run("end", where, outcome=outcome, **columns)

    def _write_run(self, event: str, where: ray_runtime.RayRuntime, **columns: str | float) -> None:
        row = {
            "run": self.run_id,
            "event": event,
            "at": datetime.now(UTC),
            "command": self.command,
            "git_commit": git_commit(),
            "versions_json": to_json({**versions(), "meaning": MEANING}),
            "hosts_json": to_json(where.all_hosts),
            "slots": where.slots,
        }
        self.writer.append("runs", [row | columns])
        self.writer.flush()

    def _record_request(self, request: Request, outcome: str) -> None:
        """Adds a row of what became of a person's request; the next flush writes it."""
        row = {"run": self.run_id, "event": f"request {request.id}", "at": datetime.now(UTC)}
        self.writer.append("runs", [row | {"outcome": outcome, "options_json": request.json}])


@contextmanager
def study_imported(sweep: Sweep) -> Iterator[None]:
    """Lets the study import what it needs while trials run: once they have started, the driver has time."""
    if not sweep.question:
        yield
        return
    timer = threading.Timer(STUDY_IMPORT_SECONDS, study.import_modules, [sweep.sections or ()])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _place(where: ray_runtime.RayRuntime) -> str:
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

    for finding in doctor_command.quick_checks():
        text = f"{finding.about}, {finding.where}: {finding.message}" + (
            f"; {finding.advice}" if finding.advice else ""
        )
        if finding.level == "failure":
            raise UsageError(f"the cluster cannot be used: {text}. `layersweep doctor` says more")
        if finding.level == "warning":
            console.print(f"warning: {text}", style="yellow", soft_wrap=True)


def versions() -> dict[str, str]:
    """The versions of what a result depends on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}

"""Starts Ray, runs a plan through Tune, and stops cleanly when asked to."""

import logging
import os
import signal
import socket
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from records.write import Writer
from tuning.display import Display
from tuning.errors import UsageError
from tuning.journal import Journal
from tuning.machine import default_slots
from tuning.plan import Plan
from tuning.sweep import Sweep, Trial

_ENVIRONMENT: Final = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else Ray copies the working directory, results and all, to its workers
    "RAY_AUTH_MODE": "token",  # Ray listens on every address: nobody without the user's token gets in
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed step has no metric
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the records are the only state
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_KNOCK_SECONDS: Final = 10
_OBJECT_STORE_BYTES: Final = 100 << 20
"""Trials speak through pipes and small results: a local Ray need not reserve a third of the memory."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """The machine or cluster that a sweep runs on."""

    description: str
    slots: int
    slots_on_a_machine: int
    hosts: tuple[str, ...]


@contextmanager
def ray_started(slots: int | None) -> Iterator[Where]:
    """A local Ray of that many slots, or the cluster that RAY_ADDRESS names; ended, or left, at the end.

    Raises:
        UsageError: if the cluster cannot be reached.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    address = os.environ.get("RAY_ADDRESS")
    if address:
        _reach(address)
    local: dict[str, Any] = {
        "address": "local",
        "num_cpus": slots or default_slots(),
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's advice about defaults of later versions
        ray.init(**({"address": address} if address else local), log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield _where(ray, address, slots)
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Knocks at a cluster's door first: where nobody answers, Ray ends this process without a word to catch."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdecimal():
        return  # `auto`, `local`: Ray knows
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise UsageError(f"RAY_ADDRESS={address} does not answer ({error}): unset it to run on this machine") from error


def _where(ray: Any, address: str | None, asked: int | None) -> Where:
    nodes = [n for n in ray.nodes() if n["Alive"]]
    on_each = [int(n["Resources"].get("CPU", 0)) for n in nodes]
    hosts = tuple(sorted(n["NodeManagerHostname"] for n in nodes))
    description = f"the cluster at {address} ({len(nodes)} nodes)" if address else "this machine"
    slots = min(asked or sum(on_each), sum(on_each))
    return Where(description=description, slots=slots, slots_on_a_machine=min(max(on_each), slots), hosts=hosts)


def run(
    sweep: Sweep,
    plan: Plan,
    *,
    journal: Journal,
    writer: Writer,
    display: Display,
    logs: Path,
    where: Where,
    grace: int,
    reduction: float,
) -> None:
    """Runs every trial of the plan, and those that it adds, to the end. Needs `ray_started`.

    Raises:
        KeyboardInterrupt: after SIGINT or SIGTERM, between two events: every finished epoch is with the writer.
        ResultsError: when the rows cannot be written.
    """
    from ray import tune

    from tuning.recorder import Recorder
    from tuning.scheduler import Screening
    from tuning.searcher import PlanSearcher
    from tuning.slot import Slot, Ticket

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are rows and lines of ours
    epochs = max(t.epochs for t in plan.trials)
    scheduler = Screening(metric=sweep.metric, mode=sweep.mode, epochs=epochs, grace=grace, reduction=reduction)
    recorder = Recorder(
        journal=journal, writer=writer, plan=plan, scheduler=scheduler, display=display, clock=time.monotonic
    )

    def ticket(trial: Trial) -> Ticket:
        return Ticket(
            trial=trial,
            train=sweep.train,
            warm_up=sweep.warm_up,
            log=logs / f"{trial.trial_id}.log",
            slots=where.slots_on_a_machine,
        )

    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(where.slots)  # else Tune starts its actors one after another
    with tempfile.TemporaryDirectory(prefix="layersweep-tune-") as storage, _stopping(recorder):
        tuner = tune.Tuner(
            tune.with_resources(Slot, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                max_concurrent_trials=where.slots,
                search_alg=PlanSearcher(plan, ticket, metric=sweep.metric, mode=sweep.mode),
                scheduler=scheduler,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name=sweep.name,
                storage_path=storage,
                callbacks=[recorder],
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                verbose=0,
            ),
        )
        tuner.fit()


@contextmanager
def _stopping(recorder: Any) -> Iterator[None]:
    """While inside, the first SIGINT or SIGTERM asks the recorder to stop, the second interrupts at once."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        if recorder.stop_asked:
            raise KeyboardInterrupt
        recorder.stop_asked = True

    before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {
        number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""The command that every file in sweeps/ is: flags in; a recorded sweep, its study and an exit code out.

`carry_out` is the part that a notebook shares (`notebook_run`): it reads neither a command line nor exits.

The path: flags are read (`experiment.options`) and checked (`experiment.settings`), and become a request
(`experiment.request`). The planner
(`driver.planner`) reads the records and computes what is left to do. The run (`driver.sweep_run`) does it.
"""

import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from layersweep import project
from layersweep.escaping import is_unicode, terminal
from layersweep.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, OK, UNFINISHED
from layersweep.pipes import ends_with_its_reader
from layersweep.records.errors import ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.studies import study
from layersweep.studies.compared_results import update_results
from layersweep.tuning.command.network_check import check_networks
from layersweep.tuning.command.plan_summary import print_plan, without_metric
from layersweep.tuning.common.errors import BrokenOffError, BudgetSpentError, StoppedOnRequestError, UsageError
from layersweep.tuning.common.job import JOB
from layersweep.tuning.experiment.arm_checks import check_memory, check_weights
from layersweep.tuning.experiment.key_values import families, key_values
from layersweep.tuning.experiment.options import Options, parse
from layersweep.tuning.experiment.selected_arms import with_arms
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.runtime import environment
from layersweep.tuning.runtime.machine import default_slots, memory_share
from trainables.errors import DataError
from trainables.precision import automatic

if TYPE_CHECKING:
    from layersweep.terminal import Console
    from layersweep.tuning.driver.person_requests import PersonRequests
    from layersweep.tuning.driver.planner import SweepPlan
    from layersweep.tuning.driver.sweep_run import SweepRun
    from layersweep.tuning.experiment.request import Request
    from layersweep.tuning.runtime.frontend import Frontend
    from trainables.data.dataset import Data


def main(sweep: Sweep, arguments: Sequence[str] | None = None) -> None:
    """Runs a sweep from the command line and exits.

    Exit codes: 0 if all trials ended well or were refused by an estimate; 1 if some failed, or the sweep broke off (a
    full disk, Ray's death); 2 for bad input, before any trial; 3 if it ended before its end, because the time budget
    was spent or a person asked for that; 130 if interrupted; 141 if nobody reads its output any more. One line on
    stderr says what was wrong.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(ends_with_its_reader(lambda: _exit_code(sweep, words)))


def _exit_code(sweep: Sweep, words: Sequence[str]) -> int:
    """Runs a sweep from the command line; returns the exit code."""
    from layersweep.terminal import Console

    description = inspect.cleandoc(getattr(sys.modules["__main__"], "__doc__", None) or sweep.name)
    console = Console(soft_wrap=True)
    try:
        _check_words(words)
        return run(sweep, parse(words, program=f"{sweep.name}.py", description=description), console, words)
    except (UsageError, DataError, ResultsError, BrokenOffError) as error:
        sys.stderr.write(terminal(f"{sweep.name}.py: error: {error}\n"))
        return FAILED if isinstance(error, BrokenOffError) else BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED


def _check_words(words: Sequence[str]) -> None:
    """Refuses what is not UTF-8 on the command line: Ray passes it on as text.

    Raises:
        UsageError: for such a word.
    """
    for word in words:
        if not is_unicode(word):
            raise UsageError(f"{word} is not UTF-8; valid: a link with another name to the file or folder (ln -s)")


def run(sweep: Sweep, options: Options, console: "Console", arguments: Sequence[str]) -> int:
    """Runs a sweep with these options, on a cluster if they say so; returns the exit code.

    Raises:
        UsageError, DataError, ResultsError, BrokenOffError: as in `carry_out`.
    """
    from layersweep.tuning.runtime.frontend import Frontend, Invocation

    if options.cluster is not None:
        from layersweep.tuning.cluster import cluster_command

        arms_sweep = with_arms(sweep.with_family_spaces, options)
        key_values(arms_sweep, resolve(arms_sweep, options).set)  # bad input is refused here, not on the head
        return cluster_command.run(sweep, options, arguments, console)
    invocation = Invocation.of_command_line(sweep.name, arguments)
    return carry_out(sweep, options, Frontend(console=console, invocation=invocation))


def carry_out(sweep: Sweep, options: Options, frontend: "Frontend") -> int:
    """Runs a sweep with these options on this machine, or on its cluster; returns the exit code.

    Raises:
        UsageError, DataError, ResultsError: for bad input, before any trial starts.
        BrokenOffError: when records could not be written any more, or the first trials all failed of one error.
        KeyboardInterrupt: when a person stopped it; every finished epoch is recorded.
    """
    from layersweep.records.write import check_writable
    from layersweep.tuning.cluster import local_records
    from layersweep.tuning.experiment.request import Request

    console = frontend.console

    def say(line: str) -> None:
        console.print(line)

    _check_installed()
    from trainables.families.family_code import check_not_loading  # needs what was checked

    check_not_loading()
    environment.set_defaults()
    sweep = with_arms(sweep.with_family_spaces, options)
    settings = resolve(sweep, options)
    if options.precision == "auto":
        console.print(f"precision: {settings.precision}; {automatic(families(sweep, settings.set))[1]}")
    request = Request.of(sweep, settings, say)
    if not settings.dry_run:
        check_writable(settings.results)
    request, data = request.prepared(say)
    if settings.dry_run:
        print_plan(console, plan_of(request, data, say))
        return OK
    with sweep_lock(settings.results, sweep.name):  # the plan is made inside: no other command adds to the records now
        local_records.mark_as_local(settings.results, sweep.name)
        code = train(plan_of(request, data, say), frontend)
    with broken_off():
        if sweep.question:
            study.write_study(settings.results, sweep.name, console=frontend.study_console)
        else:
            update_results(settings.results, sweep.name)
            results = "" if settings.results == Path("results").absolute() else f" --results {settings.results}"
            console.print(f"answer   {project.COMMAND} study {sweep.name}{results}")
    console.print(f"records  {settings.results}/*/{sweep.name}/*.parquet")
    return code


def _check_installed() -> None:
    """Refuses to start without the packages that train; the records can be read without them.

    Raises:
        UsageError: naming the missing packages, and the command that installs them.
    """
    if missing := project.missing_packages():
        packages = f"the package{'s' if missing[1:] else ''} {', '.join(missing)}"
        raise UsageError(f"a sweep needs {packages}, not installed here: {project.install_command('train')}")


@contextmanager
def broken_off() -> Iterator[None]:
    """Results that cannot be written once trials run are no bad input: they break the sweep off."""
    try:
        yield
    except ResultsError as error:
        raise BrokenOffError(str(error)) from error


def plan_of(request: "Request", data: "Data", say: Callable[[str], None] = lambda _: None) -> "SweepPlan":
    """The plan of a request; `say` tells the user which networks have changed since they were recorded.

    Raises:
        ResultsError: if the results cannot be read.
        UsageError: if they hold searches of another seed.
    """
    from layersweep.tuning.driver.network_changes import network_changes
    from layersweep.tuning.driver.planner import Planner
    from layersweep.tuning.storage.history import History
    from layersweep.tuning.storage.recorded_networks import RecordedNetworks

    settings = request.settings
    check_networks(request, data, say)
    history = History(settings.results, request.sweep)
    plan = Planner(request=request, data=data, history=history).plan()
    if trials := plan.trials_without_metric:
        say(without_metric(trials, request.sweep.metric))
    changes = network_changes(request, data, plan.trials, RecordedNetworks(settings.results), say)
    for line in changes.lines:
        say(line)
    if not changes.revisions:
        return plan
    return Planner(request=request, data=data, history=history, network_revisions=changes.revisions).plan()


def train(plan: "SweepPlan", frontend: "Frontend") -> int:
    """Runs what is not recorded yet, and then more seeds if a person asks for them meanwhile; returns the exit code.

    Raises:
        UsageError, BrokenOffError, KeyboardInterrupt: as `run` does.
    """
    with _page(plan, frontend.console):
        return _train_with_requests(plan, frontend)


def _train_with_requests(plan: "SweepPlan", frontend: "Frontend") -> int:
    """The runs of `train`."""
    from layersweep.tuning.driver.person_requests import PersonRequests
    from layersweep.tuning.driver.sweep_run import SweepRun

    console = frontend.console
    start, time_budget, number = time.monotonic(), plan.request.settings.time_budget, 1
    requests = PersonRequests(plan.request.settings, plan.request.sweep.name)
    requests.discard_earlier(console.print)
    code = _train_once(SweepRun.open(plan, frontend.invocation), requests, frontend)
    while code != UNFINISHED and requests.more_seeds:
        settings = requests.take_more_seeds()
        if time_budget is not None:  # of all runs together
            settings = replace(settings, time_budget=max(1.0, time_budget - (time.monotonic() - start)))
        invocation, number = frontend.invocation.with_seeds(settings.seeds), number + 1
        frontend = replace(frontend, invocation=invocation)
        console.print(f"more seeds, as requested: {invocation.again}")
        with broken_off():
            plan = plan_of(replace(plan.request, settings=settings), plan.data, console.print)
            sweep_run = SweepRun.open(plan, invocation, number=number)
        code = _train_once(sweep_run, requests, frontend)
    return code


def _check_memory(plan: "SweepPlan") -> None:
    """Refuses arms whose pictures exceed a slot's memory; not on a cluster, whose machines may have other memory."""
    from layersweep.tuning.runtime.ray_runtime import cluster_address  # not at the top: a laptop has no psutil

    settings = plan.request.settings
    if cluster_address() is None:
        share_bytes = memory_share(settings.slots or default_slots())
        check_memory(plan.request.sweep, plan.arms_to_train, plan.data, settings, share_bytes)


def _train_once(sweep_run: "SweepRun", requests: "PersonRequests", frontend: "Frontend") -> int:
    """One run of `train`."""
    plan, console = sweep_run.plan, frontend.console
    sweep_run.record_due_ends()
    if plan.finished:
        console.print(f"all {len(plan.trials)} trials are recorded already: nothing to run")
        sweep_run.record_nothing_to_run()
        return OK
    sweep, settings = plan.request.sweep, plan.request.settings
    _check_memory(plan)
    check_weights(sweep, plan.arms_to_train, plan.data, settings.results)
    sweep_run.record_plan()
    print_plan(console, plan)
    ended = ""
    try:
        with broken_off():
            failed_trials = sweep_run.run(frontend, requests)
    except KeyboardInterrupt:
        ended = "stopped"
        raise
    except BudgetSpentError:
        ended = "the time budget is spent"
        return UNFINISHED
    except StoppedOnRequestError:
        ended = "stopped on request, after the running trials"
        return UNFINISHED
    finally:
        if ended:
            invocation = frontend.invocation
            again = (invocation.with_seeds(requests.seeds) if requests.more_seeds else invocation).again
            console.print(f"{ended}; every finished epoch is kept. To continue: {again}")
    return FAILED if failed_trials else OK


def _page(plan: "SweepPlan", console: "Console") -> AbstractContextManager[None]:
    """Serves the page to watch the sweep, if something is to run; not on a cluster's head, where nobody opens it."""
    from layersweep.watch.child_server import served_page

    settings = plan.request.settings
    if plan.finished or settings.no_watch or JOB in os.environ:
        return nullcontext()
    return served_page(settings.results, plan.request.sweep.name, console)

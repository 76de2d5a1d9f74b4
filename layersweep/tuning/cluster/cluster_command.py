"""Runs a sweep on a cluster from a machine that reaches its head by ssh: submits it, follows it, copies its records.

The sweep is a Ray job in the head's project folder. It does not need this machine; the same command, run again, follows
it. The decisions about clusters are in docs/decisions/clusters.md.
"""

import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from rich.console import Console

from layersweep.exit_codes import OK
from layersweep.records.lock import sweep_lock
from layersweep.records.write import check_writable
from layersweep.studies import study
from layersweep.tuning.cluster.cluster_request import ClusterRequest
from layersweep.tuning.cluster.head_channel import Channel, NotReachedError, check_programs
from layersweep.tuning.cluster.head_client import HeadClient
from layersweep.tuning.cluster.job_follower import JobFollower
from layersweep.tuning.common.ssh_commands import NOT_REACHED, show_on_head
from layersweep.tuning.experiment.options import Options
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.watch.child_server import served_page


def run(sweep: Sweep, options: Options, arguments: Sequence[str], console: Console) -> int:
    """Runs a sweep on a cluster, or follows it there; returns the exit code of its command on the head.

    Raises:
        UsageError, ResultsError: for bad input, before anything is submitted.
        BrokenOffError: if Ray on the head has ended, or the records can no longer be written here.
        KeyboardInterrupt: after Ctrl-C, which ends this command only.
    """
    request = ClusterRequest.of(sweep, options, arguments)
    check_programs()
    if options.dry_run:
        return _dry_run(request, console)
    check_writable(request.local_results)
    with sweep_lock(request.local_results, sweep.name), Channel(request.cluster) as channel:
        follower = JobFollower(HeadClient(request=request, channel=channel, console=console))
        if options.fetch:
            follower.fetch_records()
            return OK
        job = follower.find_or_submit()
        page = nullcontext() if options.no_watch else served_page(request.local_results, sweep.name, console)
        with page:
            result = follower.follow(job)
    if result.complete and sweep.question:
        study.write_study(request.local_results, sweep.name)
    follower.say_records()
    return result.exit_code


def _dry_run(request: ClusterRequest, console: Console) -> int:
    """Prints what the head would run, by `--dry-run` on the head."""
    if request.script_files is not None:
        with Channel(request.cluster) as channel:
            HeadClient(request=request, channel=channel, console=console).send_first_script()
    sys.stdout.flush()
    command = shlex.join([".venv/bin/python", request.script, *request.flags])
    code = show_on_head(request.cluster, command)
    if code == NOT_REACHED:
        raise request.refusal(NotReachedError("see above"))
    return code

"""A sweep on a cluster, from a machine that reaches its head by ssh: submitted, followed, its records brought home.

The sweep is a Ray job in the head's project folder. It needs this machine for nothing: whoever runs the same command
again follows it. The decisions about clusters are in docs/decisions/clusters.md.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console

from layersweep.records.lock import alone
from layersweep.records.write import check_writable
from layersweep.studies import study
from layersweep.tuning.cluster.cluster_request import Order
from layersweep.tuning.cluster.job_follower import Follower
from layersweep.tuning.cluster.ssh_channel import Channel, LostError, check_programs
from layersweep.tuning.common.cluster_file import NOT_REACHED
from layersweep.tuning.common.exit_codes import OK
from layersweep.tuning.experiment.options import Options
from layersweep.tuning.experiment.sweep import Sweep


def run(sweep: Sweep, options: Options, arguments: Sequence[str], console: Console) -> int:
    """Runs a sweep on a cluster, or follows it there; returns the exit code that it had there.

    Raises:
        UsageError, ResultsError: for bad input, before anything is submitted.
        BrokenOffError: if Ray on the head has ended, or records cannot be written here any more.
        KeyboardInterrupt: after Ctrl-C, which ends this command alone.
    """
    order = Order.of(sweep, options, arguments)
    check_programs()
    if options.dry_run:
        return _dry_run(order)
    check_writable(order.here)
    with alone(order.here, sweep.name), Channel(order.cluster) as channel:
        follower = Follower(order=order, channel=channel, console=console)
        if options.fetch:
            follower.fetch()
            return OK
        code = follower.follow(follower.job())
    if follower.ended_well and sweep.question:
        study.answer(order.here, sweep.name)
    follower.say_records()
    return code


def _dry_run(order: Order) -> int:
    """Lets the head say what it would run."""
    sys.stdout.flush()
    command = shlex.join([".venv/bin/python", order.script, *order.flags])
    code = subprocess.run(order.cluster.ssh(command), stdin=subprocess.DEVNULL, check=False).returncode
    if code == NOT_REACHED:
        raise order.refusal(LostError("see above"))
    return code

"""How a command on a cluster's head knows which job it is."""

from typing import Final

JOB: Final = "LAYERSWEEP_JOB"
"""The environment variable with the id of the job. It is the id of the run in the records, too, so that whoever follows
the job finds its rows, whatever the clock of the head does."""


def run_of_job(job: str, number: int) -> str:
    """The id of the run with this number, from 1, in a job: people may ask for more seeds than it began with."""
    return job if number == 1 else f"{later_runs(job)}{number}"


def later_runs(job: str) -> str:
    """How the ids of all runs of a job but its first begin."""
    return f"{job}."

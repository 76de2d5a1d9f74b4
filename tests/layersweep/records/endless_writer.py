"""Writes rows to `epochs` as fast as it can, until it is killed; see the fixture `endless_writer`.

Each line `FIRST ROWS RESULTS` of the input starts one such process (forked: the imports take longer than the test).
It says its process id, and after each flush the last epoch that is durable. Epochs count up from FIRST.
"""

import os
import sys
import traceback
from pathlib import Path

import pandas  # noqa: F401  (pyarrow would import it in every child)

from layersweep.records.write import Writer


def say(word):
    """In one piece, also if it is killed in the middle: a short write to a pipe is atomic."""
    os.write(1, f"{word}\n".encode())


def write(results, first, rows):
    writer = Writer(results, "s")
    while True:
        writer.append("epochs", [{"trial_id": "t", "attempt": 0, "epoch": e} for e in range(first, first + rows)])
        writer.flush()
        first += rows
        say(first - 1)


for line in sys.stdin:
    first, rows, results = line.rstrip("\n").split(" ", 2)
    if (pid := os.fork()) == 0:
        say(os.getpid())
        try:
            write(Path(results), int(first), int(rows))
        finally:
            traceback.print_exc()
            os._exit(1)
    os.waitpid(pid, 0)
    say("dead")

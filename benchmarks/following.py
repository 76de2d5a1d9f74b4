"""What a look at a sweep's job costs the machine that follows it: its first look at many epochs, and the next one.

Command: `python -m benchmarks.following`: made-up records of the same trials with few epochs and with many. If the
follower kept or read again every epoch, the ratios would be that of the epochs.
"""

import itertools
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro

from benchmarks.report import Measurement, Readings, ratio, to_measurements
from benchmarks.rounds import Rounds, RoundsOptions
from benchmarks.storage import SWEEP, trial_ids
from layersweep.records.read import part_name
from layersweep.records.tables import EPOCHS, TABLES

_START: Final = datetime(2026, 11, 3, 9, tzinfo=UTC)
_SHARES: Final = (0.6, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 1.0)
"""The share of the trials in the parts up to each one: a few large parts, as a writer leaves them."""

_PROGRAM: Final = """
import sys
from benchmarks.following import look
look(*sys.argv[1:])
"""
_METRIC: Final = "val_accuracy"
_MEMORY: Final = ("peak memory", "B")
_LOOKS: Final = (("first look, CPU", "s"), ("next look, CPU", "s"))


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    trials: int = 100_000
    """Number of trials."""
    epochs: tuple[int, int] = (5, 50)
    """Epochs of each trial, few and many."""


def look(results: str) -> None:
    """Looks twice at the records, and prints the CPU seconds of both looks and the peak of this process' memory."""
    import resource

    from layersweep.tuning.cluster.job_epochs import JobEpochs
    from layersweep.tuning.cluster.job_progress import CommandOfJob, read_progress

    job_epochs = JobEpochs(Path(results), SWEEP, metric=_METRIC, mode="max")
    command, seconds = CommandOfJob(job="j", since=_START.timestamp()), []
    for _ in _LOOKS:
        start = time.process_time()
        read_progress(job_epochs, command, now=_START.timestamp() + 60)
        seconds.append(time.process_time() - start)
    sys.stdout.write(" ".join(map(str, (*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10))))


def write(results: Path, trials: int, epochs: int) -> None:
    """Writes made-up records of a command all of whose trials have ended."""
    ids = pa.array(trial_ids(trials))
    beginning = {"run": "r1", "at": _START}
    _write_part(results, "runs", beginning | {"event": "start", "slots": 64, "hosts_json": "[]"}, 1)
    trial = {"run": "r1", "arm": "adam", "question": "comparison", "seed": 1, "epochs": epochs, "trial_id": ids}
    _write_part(results, "plan", trial, trials)
    ended = {"attempt": 0, "continuation": 0, "outcome": "completed", "host": "h1", "last_val_accuracy": 0.5}
    _write_part(results, "trials", trial | ended | {"ended_at": _START}, trials)
    edges = [0, *(round(share * trials) for share in _SHARES)]
    for first, end in itertools.pairwise(edges):
        _write_part(
            results, "epochs", _epochs(ids[first:end], epochs), (end - first) * epochs, flushes=(first, end - 1)
        )


def _epochs(ids: pa.Array, epochs: int) -> dict[str, Any]:
    """Columns of `epochs`, trial by trial."""
    rows, draws = len(ids) * epochs, np.random.default_rng(0)
    return {
        "trial_id": pa.DictionaryArray.from_arrays(np.repeat(np.arange(len(ids), dtype=np.int32), epochs), ids),
        "attempt": 0,
        "epoch": pa.array(np.tile(np.arange(1, epochs + 1, dtype=np.int32), len(ids))),
        "at": _START,
        **{name: pa.array(draws.random(rows)) for name in ("loss", "accuracy", "val_loss", _METRIC)},
    }


def _write_part(
    results: Path, table: str, columns: Mapping[str, Any], rows: int, *, flushes: tuple[int, int] = (0, 0)
) -> None:
    """Writes a part; a value that is no array stands for all rows, and a missing column is null."""
    schema = TABLES[table].schema
    arrays = []
    for field in schema:
        value = columns.get(field.name, SWEEP if field.name == "sweep" else None)
        same = pa.array([0] * rows, pa.int32())
        array = value if isinstance(value, pa.Array) else pa.array([value], field.type).take(same)
        arrays.append(array.cast(field.type))
    path = results / table / SWEEP / part_name(*flushes)
    path.parent.mkdir(parents=True, exist_ok=True)
    encodings = dict(EPOCHS.encodings) if table == EPOCHS.name else {}
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema),
        path,
        compression="zstd",
        use_dictionary=[field.name for field in schema if field.name not in encodings],
        column_encoding=encodings,
    )


def measurements(costs: Mapping[int, Sequence[Readings]]) -> Iterable[Measurement]:
    """The rows of the table: each number of epochs, and the ratios of many to few."""
    few, many = (to_measurements(f"{epochs} epochs a trial", readings) for epochs, readings in costs.items())
    case = " to ".join(f"{epochs}" for epochs in reversed(costs)) + " epochs"
    return [*few, *many, *(ratio(of, to, case=case) for of, to in zip(many, few, strict=True))]


def main(options: Options) -> None:
    """Runs the rounds."""

    def once(epochs: int, _: int, folder: Path) -> Readings:
        write(folder, options.trials, epochs)
        command = [sys.executable, "-c", _PROGRAM, str(folder)]
        numbers = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        return dict(zip((*_LOOKS, _MEMORY), map(float, numbers), strict=True))

    Rounds(
        benchmark="following",
        title=f"What a look at a job of {options.trials:,} trials costs the machine that follows it",
        cases=list(options.epochs),
        once=once,
        rows=measurements,
    ).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

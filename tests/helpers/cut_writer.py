"""Writes, merges, rewrites, prunes and deletes records, with kills in between: `python cut_writer.py <results>`.

It says, as lines of JSON, what a flush is about to write, and what is safe from now on. See `power_cut`.
"""

import json
import sys
from pathlib import Path

from layersweep.records import maintenance, write
from layersweep.records.lock import sweep_lock
from layersweep.records.read import part_range, read
from layersweep.records.write import Writer

EPOCHS_OF_A_TRIAL = 5
MOST_FLUSHES = 200
"""Until a kill: a faulty writer may never reach its place, and would write until the memory is full."""


class KilledError(BaseException):
    """The process is killed here: nothing is cleaned up."""


class Workload:
    def __init__(self, results):
        self.results, self.epochs, self.trials, self.steps = results, 0, 0, 0

    def say(self, state):
        rows = {"epochs": self.epochs, "trials": self.trials}
        sys.stdout.write(json.dumps({"state": state, **rows}) + "\n")
        sys.stdout.flush()

    def flush(self, writer, epochs, **config):
        """Each trial is recorded together with its last epoch."""
        for _ in range(epochs):
            trial_id = f"t{self.epochs // EPOCHS_OF_A_TRIAL}"
            writer.append("epochs", [{"trial_id": trial_id, "attempt": 0, "epoch": self.epochs}])
            self.epochs += 1
        while self.trials < self.epochs // EPOCHS_OF_A_TRIAL:
            writer.append("trials", [{"trial_id": f"t{self.trials}", "attempt": 0, "continuation": 0, **config}])
            self.trials += 1
        self.say("appended")
        writer.flush()
        self.say("safe")

    def flushes(self, number, types, **config):
        with sweep_lock(self.results, "s"):
            writer = Writer(self.results, "s", config_types=types)
            self.say("safe")  # also after all that a new writer puts in order
            for n in range(number):
                self.flush(writer, 1 + n % 3, **config)

    def killed(self, module, name, at, types):
        """Flushes until it is killed when a function gets a path. The next command goes on from what it can read."""
        whole = getattr(module, name)

        def die(path, *arguments, **options):
            if at(path):
                raise KilledError
            return whole(path, *arguments, **options)

        with sweep_lock(self.results, "s"):
            writer = Writer(self.results, "s", config_types=types)
            setattr(module, name, die)
            try:
                for _ in range(MOST_FLUSHES):
                    self.flush(writer, 2, **dict.fromkeys(types, 1))
                raise AssertionError(f"a writer never calls {name} where it must")
            except KilledError:
                self.epochs, self.trials = (read(self.results, name, "s").height for name in ("epochs", "trials"))
            finally:
                setattr(module, name, whole)


def main(results):
    with Writer(results, "other") as other:
        other.append("epochs", [{"trial_id": "o", "attempt": 0, "epoch": n} for n in range(3)])
        other.append("trials", [{"trial_id": "o", "attempt": 0, "continuation": 0}])
    sys.stdout.write(json.dumps({"state": "other is there"}) + "\n")
    work = Workload(results)
    work.flushes(18, {"a": int}, a=1)
    work.flushes(9, {"a": int, "b": float}, b=1.5)  # all parts of `trials` are rewritten
    work.killed(Path, "unlink", lambda path: path.match("epochs/s/*-*3.parquet"), {"a": int})  # amid a merger's sources
    maintenance.prune(results)
    work.flushes(3, {"a": int})
    for _ in range(5):  # a part has a name that is not synced, and the next command ends a trial with its rows
        work.killed(write, "sync", lambda path: path == results / "epochs" / "s", {"a": int})
        work.flushes(0, {"a": int})
    work.killed(write, "sync", is_unsynced_merger, {"a": int})
    work.flushes(3, {"a": int, "c": str}, c="new")
    work.killed(write, "sync", is_unsynced_merger, {"a": int})
    maintenance.prune(results)  # from here on no writer comes that would sync what prune or delete have not
    with sweep_lock(results, "other"):
        sys.stdout.write(json.dumps({"state": "other goes"}) + "\n")
        sys.stdout.flush()
        maintenance.delete(results, "other")
    sys.stdout.write(json.dumps({"state": "other is gone"}) + "\n")


def is_unsynced_merger(path):
    """Whether it is the table's folder when a part and its merger are in it."""
    if path.name != "s" or path.parent.name != "epochs":
        return False
    spans = [span for file in path.glob("*.parquet") if (span := part_range(file))]
    return any(a <= c and d <= b and (a, b) != (c, d) for a, b in spans for c, d in spans)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

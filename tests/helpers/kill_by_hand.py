"""The kills of tests/layersweep/tuning/driver/test_faults.py at full size: real Keras, real images. Run by hand:

    PYTHONPATH=tests/helpers uv run python tests/helpers/kill_by_hand.py FOLDER

Trains adam and sgd on two seeds twice: once undisturbed, once with the driver killed at three random moments, then a
training process, a slot's process and Ray itself. Says what was killed when, and compares all that is recorded.
"""

import random
import sys
import time
from pathlib import Path

import killable

from layersweep.records.read import read
from layersweep.records.tables import TABLES
from layersweep.tuning.storage.recorded_attempt import METRICS

SWEEP = Path(__file__).parents[2] / "sweeps" / "optimizers.py"
ARGUMENTS = (
    "--set", "optimizer=adam,sgd", "--images", "2000", "--epochs", "12", "--seeds", "2", "--scheduler", "none",
    "--search", "grid", "--checkpoint-every", "0",
)  # fmt: skip
KEY = ["trial_id", "epoch"]


def main(folder: Path) -> None:
    """Both sweeps, and what they have in common."""
    killable.SCRIPT, killable.ALWAYS = SWEEP, ()
    began = time.monotonic()
    killable.Running(folder / "undisturbed", *ARGUMENTS).wait(expected=0, seconds=1200)
    print(f"undisturbed: {time.monotonic() - began:.0f} s")
    draw = random.Random()
    results = folder / "killed"
    for _ in range(3):
        running = killable.Running(results, *ARGUMENTS)
        running.more(draw.randint(1, 6))
        time.sleep(3 * draw.random())
        running.kill()
        say("driver", running)
    running = killable.Running(results, *ARGUMENTS)
    running.more(draw.randint(1, 4))
    one, other = running.children()
    one.kill()
    killable.slot_of(other).kill()
    running.until(lambda: running.said.read_text().count("tried again") == 2)
    running.more(draw.randint(5, 8))
    for process in running.ray():
        process.kill()
    say("a training process, a slot, then Ray", running, running.wait(expected=1))
    say("nothing", killable.Running(results, *ARGUMENTS), None)
    compare(folder / "undisturbed", results)


def say(killed: str, running: killable.Running, said: str | None = "") -> None:
    """A line about a command that has ended, or ends now."""
    if said is None:
        running.wait(expected=0, seconds=1200)
    left = [p.name() for p in running.left()]
    recorded = killable.epochs(running.results)
    print(f"killed: {killed}; {recorded - running.before} epochs more, {recorded} recorded; processes left: {left}")
    for line in running.said.read_text().splitlines():
        if "error" in line or "tried again" in line or "warning" in line:
            print(f"    {line}")


def compare(undisturbed: Path, killed: Path) -> None:
    """Every number that does not tell of the way must be equal; raises AssertionError if one is not."""
    both = (killed, undisturbed)
    ours, theirs = (read(r, "epochs").sort(KEY) for r in both)
    assert not ours.select(KEY).is_duplicated().any(), "an epoch is recorded twice"
    assert ours.select(*KEY, *METRICS).equals(theirs.select(*KEY, *METRICS)), "an epoch differs"
    print(f"epochs: {len(ours)} = {len(theirs)}, each once; {', '.join(METRICS)} equal in every digit")
    for table in ("layers", "tests", "classes"):
        key = [name for name in TABLES[table].key if name != "attempt"]
        ours, theirs = (read(r, table).drop("sweep", "attempt", "at", strict=False).sort(key) for r in both)
        assert ours.equals(theirs), f"{table} differ"
        print(f"{table}: {len(ours)} rows equal")
    left = [*(killed / ".state" / "checkpoints").iterdir(), *(killed / ".state" / "parts").iterdir()]
    print(f"files left in .state: {[p.name for p in left]}; attempts: {sorted(set(read(killed, 'epochs')['attempt']))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

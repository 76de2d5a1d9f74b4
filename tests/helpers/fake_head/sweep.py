"""A driver on a head that is a folder: records as many trials as `--seeds` says, each of two epochs, and ends.

It waits before each trial while the file ~/hold is there. `--retries n` is its exit code. With `--grace` another sweep
has trained the first one.
"""

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from layersweep.records.write import Writer

if "--dry-run" in sys.argv:
    print("the head would run it")
    sys.exit(0)
flags = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
seeds, code = int(flags.get("--seeds", 1)), int(flags.get("--retries", 0))
results = Path(flags.get("--results", "results"))
if flags.get("--search") == "random":
    print("made_up.py: error: the head refuses this", file=sys.stderr)
    sys.exit(2)

(Path.home() / "driver").write_text(str(os.getpid()))


def now():
    return datetime.now(UTC)


def ids(seed):
    return {"trial_id": f"t{seed}", "attempt": 0}


with Writer(results, "made_up", config_types={"quality": float}) as writer:
    run = f"r{os.getpid()}"
    start = {"run": run, "event": "start", "at": now(), "slots": 2, "hosts_json": '["h1", "h2"]'}
    writer.append("runs", [start])
    asked = {"run": run, "arm": "0.5", "question": "comparison", "epochs": 2}
    writer.append("plan", [asked | {"trial_id": f"t{seed}", "seed": seed} for seed in range(seeds)])
    writer.flush()
    print("starting Ray …", flush=True)
    for seed in range(1 if "--grace" in flags else 0, seeds):
        while (Path.home() / "hold").exists():
            time.sleep(0.02)
        for epoch in (1, 2):
            row = {"epoch": epoch, "val_accuracy": 0.25 * epoch, "loss": 1.0, "val_loss": 1.0, "at": now()}
            writer.append("epochs", [ids(seed) | row])
            writer.flush()
        end = {"continuation": 0, "outcome": "completed", "epochs": 2, "last_val_accuracy": 0.5, "ended_at": now()}
        where = {"run": run, "arm": "0.5", "seed": seed, "host": f"h{1 + seed % 2}", "question": "comparison"}
        writer.append("trials", [ids(seed) | end | where])
        writer.append("layers", [ids(seed) | {"epoch": 2, "index": 0}])
        writer.flush()
    (results / "studies").mkdir(exist_ok=True)
    (results / "studies" / "made_up.html").write_text("the head's page")
    (results / "logs").mkdir(exist_ok=True)
    (results / "logs" / "t0.log").write_text("stays on the head")
    outcome = {0: "ended", 1: "ended", 3: "time budget spent", 130: "interrupted"}.get(code, "failed")
    writer.append("runs", [start | {"event": "end", "at": now(), "outcome": outcome}])
sys.exit(code)

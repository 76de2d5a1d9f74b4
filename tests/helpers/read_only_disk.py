"""Runs a sweep whose disk turns read-only, then again: `python read_only_disk.py <folder> <arguments>`.

It needs a mount namespace of its own (`unshare --mount`). The logs and the lock are open for writing all the time, so
they are on another disk: else the system would refuse to turn this one read-only. Leaves `<folder>/kept`, a copy of the
results, and `<folder>/report.json`: what the commands said, and how they ended.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import killable


def main(folder, arguments):
    results = folder / "results"
    results.mkdir(parents=True)
    mount("-t", "tmpfs", "tmpfs", results)
    (results / "logs").mkdir()
    mount("-t", "tmpfs", "tmpfs", results / "logs")
    lock = results / ".state" / "made_up.lock"
    lock.parent.mkdir()
    for file in (lock, folder / "lock"):
        file.touch()
    mount("--bind", folder / "lock", lock)

    running = killable.Running(results, *arguments)
    running.more(4)
    while subprocess.run(["mount", "-o", "remount,ro", results], check=False, capture_output=True).returncode:
        assert running.process.poll() is None  # it is busy while a part is written
    running.process.wait(200)
    report = {"read-only": {"code": running.process.returncode, "said": running.said.read_text()}}
    report["left"] = [p.name() for p in running.left()]
    again = killable.run(results, *arguments)
    report["still read-only"] = {"code": again.returncode, "said": again.stdout + again.stderr}
    mount("-o", "remount,rw", results)
    again = killable.run(results, *arguments)
    report["writable"] = {"code": again.returncode, "said": again.stdout + again.stderr}
    shutil.copytree(results, folder / "kept")
    (folder / "report.json").write_text(json.dumps(report))


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

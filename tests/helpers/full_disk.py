"""Runs a sweep whose disk fills up, then again with room: `python full_disk.py <folder> <arguments>`.

Mounts a small file system at `<folder>/results` and one for the checkpoints below, so it is for a mount namespace of
its own (`unshare --mount`): the checkpoints' is filled first, then, when that has been said, the rows'. Leaves
`<folder>/kept`, a copy of the results, and `<folder>/report.json`: what the commands said, and how they ended.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import killable

from layersweep.tuning.storage import checkpoints


def main(folder, arguments):
    results = folder / "results"
    for disk in (results, checkpoints.folder_of(results)):
        disk.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    fillers = results / "filler", checkpoints.folder_of(results) / "filler"
    running = killable.Running(results, *arguments)
    running.more(4)
    fill(fillers[1])
    running.until(lambda: (fill(fillers[1]), "no checkpoint could be written" in running.said.read_text())[1])
    while running.process.poll() is None:
        fill(fillers[0])  # again and again: what a merger frees is taken as well
        time.sleep(0.02)
    filled = {"code": running.process.returncode, "said": running.said.read_text()}
    report = {"filled": filled, "left": [p.name() for p in running.left()], "after_filled": recorded(results)}
    ended = killable.run(results, *arguments)
    report["full"] = {"code": ended.returncode, "said": ended.stdout + ended.stderr}
    for filler in fillers:
        filler.unlink()
    ended = killable.run(results, *arguments)
    report["freed"] = {"code": ended.returncode, "said": ended.stdout + ended.stderr}
    shutil.copytree(results, folder / "kept")
    (folder / "report.json").write_text(json.dumps(report))


def fill(path):
    """Takes all that is left."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def recorded(results):
    """What a plain look finds: each file's size by its path, temporary ones too."""
    return {str(p.relative_to(results)): p.stat().st_size for p in results.rglob("*") if p.is_file()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

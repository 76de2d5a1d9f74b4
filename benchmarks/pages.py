"""What the page of a sweep costs: the server that follows the records, and the browser that shows them.

Command: `python tests/helpers/big_sweep.py FOLDER --trials 1000 --epochs 50 --running 2`, then
`python -m benchmarks.pages FOLDER`. It needs Chromium and playwright (group `dev`). Each figure is the median of the
repetitions, with the lowest and the highest. CPU-seconds are those of a process of its own; the browser's times are its
own, from the start of the navigation. An update is what a browser's question costs when one trial has a new epoch.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import tyro

SWEEP: Final = "big"
_WAITING: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    results: tyro.conf.Positional[Path]
    """A results folder with the sweep `big`."""
    repetitions: int = 5
    """How often each figure is measured."""


def main() -> None:
    """Measures, and prints a line for each figure."""
    options = tyro.cli(Options, prog="python -m benchmarks.pages", description=__doc__)
    report = options.results / "studies" / f"{SWEEP}.html"
    readings: list[dict[str, float]] = []
    for _ in range(options.repetitions):
        command = [sys.executable, "-m", "benchmarks.pages", str(options.results), "--server"]
        server = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        readings.append({**server, **browser(report)})
    for name in readings[0]:
        values = [reading[name] for reading in readings]
        line = f"{name:<42} {median(values):>9.3f}  ({min(values):.3f} to {max(values):.3f}; n = {len(values)})"
        sys.stdout.write(f"{line}\n")


def server(results: Path) -> dict[str, float]:
    """The costs of the report and of the server's answers, in this process."""
    from layersweep.studies.study import write_study
    from layersweep.terminal import Console
    from layersweep.watch.answers import RecordedAnswers

    start = time.process_time()
    page = RecordedAnswers(results, [SWEEP]).page({}, "nonce")
    first_page = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    with TemporaryDirectory() as folder:
        copy = shutil.copytree(results, Path(folder) / "results")
        update, answer = _update(copy)
    start = time.process_time()
    write_study(results, SWEEP, console=Console(quiet=True))
    report = time.process_time() - start
    return {
        "server: first page, CPU-s": first_page,
        "server: memory, MB": memory,
        "server: first page, MB": len(page) / 1e6,
        "server: update, CPU-s": update,
        "server: update, MB": len(answer) / 1e6,
        "study with figures and report, CPU-s": report,
        "report, MB": (results / "studies" / f"{SWEEP}.html").stat().st_size / 1e6,
    }


def _update(results: Path) -> tuple[float, str]:
    """What one new epoch costs a server that has a page open, and its answer; a command runs the sweep meanwhile."""
    from layersweep.records.lock import sweep_lock
    from layersweep.records.read import read
    from layersweep.records.write import Writer
    from layersweep.watch.answers import RecordedAnswers
    from layersweep.watch.live_sweep import LiveSweep
    from layersweep.watch.live_views import LiveViews

    pauses = [0.0]

    def eager(results: Path, sweep: str) -> LiveSweep:
        return LiveSweep(sweep, LiveViews(results, sweep), clock=lambda: time.monotonic() + sum(pauses))

    ended = read(results, "trials", SWEEP)["trial_id"].to_list()
    epochs = read(results, "epochs", SWEEP).sort("sequence").to_dicts()
    last = next((row for row in reversed(epochs) if row["trial_id"] not in ended), epochs[-1])
    config = json.loads(read(results, "plan", SWEEP)["config_json"][0])
    with sweep_lock(results, SWEEP):
        writer = Writer(results, SWEEP, config_types={key: type(value) for key, value in config.items()}, versions={})
        answers = RecordedAnswers(results, [SWEEP], eager)
        for number in range(1, 5):  # the third one is measured: the first ones compute what stays
            answer = answers.updates({"since": [str(number - 1)]})
            row = last | {"epoch": last["epoch"] + number, "sequence": epochs[-1]["sequence"] + number}
            writer.append("epochs", [{name: value for name, value in row.items() if name != "sweep"}])
            writer.flush()
            pauses.append(60.0)
        start = time.process_time()
        version = json.loads(answer)["version"]
        answer = answers.updates({"since": [str(version)]})
        return time.process_time() - start, answer


def browser(report: Path) -> dict[str, float]:
    """What Chromium needs for a report."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto("about:blank")
        page.goto(report.absolute().as_uri())
        _wait(page, "document.body.dataset.ready === 'yes'")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        last_paint = page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
        )
        figures = {
            "browser: first paint, s": paint / 1000,
            "browser: all figures drawn, s": last_paint / 1000,
            "browser: filter, s": _seconds(page, "set({text: 'seed=2'})"),
            "browser: selection, s": _seconds(page, "set({key: data.sources.trials.key[0]})"),
            "browser: new values, s": _seconds(page, "data.sources.seeds.ys[0].push(0.5); render()"),
            "browser: memory, MB": page.evaluate("performance.memory.usedJSHeapSize") / 1e6,
        }
        chromium.close()
    return figures


def _seconds(page: Any, statement: str) -> float:
    """How long the page's script takes, up to the second frame after it."""
    frames = "await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));"
    code = f"async () => {{ const start = performance.now(); {statement}; {frames} return performance.now() - start; }}"
    return float(page.evaluate(code)) / 1000


def _wait(page: Any, expression: str) -> None:
    deadline = time.monotonic() + _WAITING
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


if __name__ == "__main__":
    if sys.argv[2:] == ["--server"]:
        sys.stdout.write(json.dumps(server(Path(sys.argv[1]))))
    else:
        main()

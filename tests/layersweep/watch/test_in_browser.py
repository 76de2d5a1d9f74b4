"""The page in a real Chromium during a real sweep, and the report afterwards."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from browser import opened_page, shown_rows, wait_until, wait_until_ready
from places import ROOT
from recorded_sweep import Sweep
from watch_server import serving

from layersweep.records.lock import sweep_lock
from layersweep.watch.answers import RecordedAnswers

SWEEP = ["sweeps/optimizers.py", "--set", "optimizer=adam,nadam,sgd", "--seeds", "1", "--images", "800",
         "--epochs", "8", "--slots", "2"]  # fmt: skip
POINTS = "data.sources.seeds.ys.reduce((sum, line) => sum + line.length, 0)"


@pytest.fixture
def running_sweep(tmp_path: Path):
    """The results folder of a sweep that runs, and its process."""
    log = (tmp_path / "log.txt").open("w")
    command = [sys.executable, *SWEEP, "--results", str(tmp_path / "results")]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "RAY_ADDRESS": "local"}
    )
    yield tmp_path / "results", process
    process.terminate()
    process.wait(timeout=60)
    log.close()


def address_of(results: Path, process: subprocess.Popen[bytes]) -> str:
    file = results / ".state" / "watch" / "optimizers.address"
    for _ in range(600):
        if file.exists() and (text := file.read_text().strip()):
            assert file.stat().st_mode & 0o077 == 0
            return text
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError("the sweep serves no page")


@pytest.mark.slow
def test_a_page_that_was_opened_before_the_run_is_recorded_gets_its_buttons(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    for seed in (1, 2):
        sweep.trial("sgd", seed, [0.5, float("nan"), 0.7])
    results = sweep.write()
    answers = RecordedAnswers(results, [sweep.name])
    with sweep_lock(results, sweep.name), serving(answers) as client, opened_page() as page:
        page.goto(client.access.url)
        wait_until_ready(page)
        assert page.inner_text("[data-text='state.sentence']") == "starting; 2 of 2 trials have ended"
        assert page.is_visible("#actions")
        is_gap = "[...named('seeds', 'ColumnDataSource')[0].data.ys[0]].map(Number.isNaN)"
        assert page.evaluate(is_gap) == [False, True, False]
        page.evaluate("data.state.running = false; render()")
        assert not page.is_visible("#actions")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_is_watched_filtered_and_stopped(running_sweep) -> None:
    results, process = running_sweep
    address = address_of(results, process)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address.partition("?")[0])
    with opened_page() as page:
        page.goto(address)
        wait_until_ready(page)
        assert "token" not in page.url
        wait_until(page, f"{POINTS} >= 2", 180)
        points = page.evaluate(POINTS)
        wait_until(page, f"{POINTS} > {points}", 60)  # curves move

        everything = shown_rows(page)
        page.select_option("select[name=arm]", "nadam")
        assert page.inner_text("#shown") == "1 of 3 trials"
        assert page.locator("#trials tbody tr").count() == page.locator("#arms tbody tr").count() == 1
        filtered = shown_rows(page)
        assert all(0 <= filtered[name] < everything[name] for name in ("lanes", "parallel"))
        assert max(filtered[name] for name in ("seeds", "means", "bands")) <= 1

        page.click("#trials tbody tr")
        key = page.evaluate("view.key")
        assert f"key={key}" in page.url
        page.reload()
        wait_until_ready(page)
        assert page.evaluate("[view.key, view.arm]") == [key, "nadam"]
        assert page.locator("#trials tr.selected").count() == 1
        assert page.evaluate("named('parallel', 'ColumnDataSource')[0].selected.indices.length") == 1

        page.click("#trial button")  # stops it
        wait_until(page, "document.querySelector('#trials tbody').innerText.includes('stopped')", 90)
        assert "stopped on request" in page.inner_text("#trials tbody tr")
        page.select_option("select[name=arm]", "")
        wait_until(page, "!data.state.running", 300)
        wait_until_ready(page)
        assert "ended" in page.inner_text("header")
    assert process.wait(timeout=120) == 0
    report = results / "studies" / "optimizers.html"
    for width, scheme in ((400, "dark"), (1280, "light")):
        with opened_page(width, color_scheme=scheme) as page:
            page.goto(report.as_uri())
            wait_until_ready(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert "nadam" in page.inner_text("#arms")
            assert shown_rows(page)["seeds"] == 3

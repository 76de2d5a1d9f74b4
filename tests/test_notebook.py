"""The notebook in docs/, and `ls.run` in the kernel that users have: run, stopped, gone on with, ended."""

import os
import re
import time
from pathlib import Path

import nbclient
import nbformat
import psutil
import pytest
from jupyter_client.manager import start_new_kernel
from places import HELPERS

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
LARGEST = 400_000

IMPORTS = """
import signal
import layersweep as ls
from made_up_sweep import SWEEP
def handlers(): return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
earlier = handlers()
"""
RUN = "result = ls.run(SWEEP, images=10, slots=2, no_watch=True, set={'seconds': 0.5})"


class Kernel:
    """A kernel as Jupyter starts it."""

    def __init__(self, folder):
        self.manager, self.client = start_new_kernel(
            kernel_name="python3", cwd=str(folder), env=os.environ | {"PYTHONPATH": str(HELPERS)}
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def start(self, code):
        self.request = self.client.execute(code)

    def output(self, until=None):
        """What the cell has printed when a pattern appears, or at its end; the name of its error in brackets."""
        text = ""
        while until is None or not re.search(until, text):
            message = self.client.get_iopub_msg(timeout=200)
            content, kind = message["content"], message["msg_type"]
            if message["parent_header"].get("msg_id") != self.request:
                continue
            if kind == "stream":
                text += content["text"]
            elif kind in ("display_data", "update_display_data"):
                text += f"[{content['data']['text/plain']}]"
            elif kind == "error":
                text += f"[{content['ename']}] {' | '.join(content['traceback'])}"
            elif kind == "status" and content["execution_state"] == "idle":
                assert until is None, text
                return text
        return text

    def run(self, code):
        self.start(code)
        return self.output()

    def children(self):
        """The processes that it has started and that run, and theirs."""
        process = psutil.Process(self.manager.provisioner.pid)
        return [child for child in process.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


def wait_until_ended(processes):
    deadline = time.monotonic() + 60
    while left := [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_the_stored_notebook_is_small_whole_and_without_errors():
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    assert NOTEBOOK.stat().st_size < LARGEST
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_notebook_of_the_docs_runs(tmp_path, fashion_mnist):
    """Its own cells, on fewer images."""
    notebook = nbformat.read(NOTEBOOK, 4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("images=2_000", "images=300, no_watch=True")
    client = nbclient.NotebookClient(
        notebook, timeout=800, kernel_name="python3", coalesce_streams=True, resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    texts = ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells if "outputs" in cell]
    assert "4 trials (comparison: 2 arms on 2 seeds)" in texts[1]
    assert "4/4 trials · 4 completed" in texts[1]
    assert "9 trials (comparison: 3 arms on 3 seeds), up to 2 epochs each; 4 recorded already" in texts[4]
    assert re.search(r"^ 16 ", texts[4], re.MULTILINE)
    assert texts[5] == "set width=0,16: width=0 is not valid; valid: 1 to 512\n"
    assert (tmp_path / "results" / "studies" / "width.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kernel_is_interrupted_goes_on_and_leaves_nothing(tmp_path, fashion_mnist):
    with Kernel(tmp_path) as kernel:
        assert kernel.run(IMPORTS) == ""

        kernel.start(RUN)
        kernel.output(until="starting Ray")
        for _ in range(3):  # a person who presses it again and again
            kernel.manager.interrupt_kernel()
            time.sleep(0.2)
        stopped = kernel.output()
        assert "To continue: ls.run(made_up, images=10, slots=2, no_watch=True, set={'seconds': 0.5})" in stopped
        assert "[Interrupted] Interrupted: stopped; every finished epoch is kept." in stopped
        assert kernel.children() == []

        kernel.start(RUN)
        kernel.output(until=r"\[[1-7]/8 trials")  # of the live table
        kernel.manager.interrupt_kernel()
        time.sleep(0.2)
        kernel.manager.interrupt_kernel()
        assert "[Interrupted]" in kernel.output()
        assert kernel.children() == []

        ended = kernel.run(f"{RUN}; print(result.complete, handlers() == earlier)")
        assert re.search(r"8 trials \(.*\), up to 4 epochs each; [1-7] recorded already", ended)
        assert ended.endswith("True True\n")
        assert kernel.children() == []
        rows = "t = result.epochs; print(t.height, t.select('trial_id', 'epoch').n_unique())"
        assert kernel.run(rows) == "32 32\n"

        again = kernel.run(RUN)  # in the same kernel
        assert "all 8 trials are recorded already: nothing to run" in again

        kernel.start(RUN.replace("0.5", "5"))
        kernel.output(until=r"\[0/8 trials")
        processes = kernel.children()
        assert processes
        kernel.manager.restart_kernel(now=True)
        wait_until_ended(processes)

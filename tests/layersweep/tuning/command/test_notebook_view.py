"""The live table of a notebook, on a made-up display."""

from types import SimpleNamespace

import IPython.display
import pytest

from layersweep.tuning.command import notebook_view
from layersweep.tuning.command.notebook_view import NotebookView
from layersweep.tuning.driver.progress import RunningRow, SweepProgress


@pytest.fixture
def shown(monkeypatch):
    """What the output shows, drawing by drawing; the clock stands still."""
    drawings = []

    def display(content, *, raw, display_id):
        drawings.append(content)
        return SimpleNamespace(update=lambda content, raw: drawings.append(content))

    monkeypatch.setattr(IPython.display, "display", display)
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(notebook_view, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return SimpleNamespace(drawings=drawings, clock=clock)


def table(name="32 <b>", running=1):
    row = RunningRow(name=name, seed=1, epochs=4, epoch=1, value=0.4321, rung="2 ≥ 0.7000")
    progress = SweepProgress(
        trials=8, running=[row] * running, outcomes={"completed": 3}, best=None, epochs_done=13, epochs_planned=32
    )
    return progress.table("val_accuracy")


def test_the_table_is_drawn_in_place_and_is_gone_at_the_end(shown):
    view = NotebookView()
    view.start()
    view.update(table())
    view.stop()
    begin, drawn, end = shown.drawings
    assert begin == end == {"text/html": "", "text/plain": ""}
    assert "<td>32 &lt;b&gt;</td><td>1</td><td>1/4</td><td>0.4321</td>" in drawn["text/html"]
    assert '<progress max="32" value="13">' in drawn["text/html"]
    assert drawn["text/plain"] == "3/8 trials · 3 completed"


def test_a_browser_far_away_is_not_sent_every_step(shown):
    view = NotebookView()
    view.start()
    for _ in range(10):
        view.update(table())
        shown.clock.now += 0.2
    assert len(shown.drawings) == 1 + 4  # at 0, 0.6, 1.2 and 1.8 s


def test_a_table_that_was_not_begun_or_has_ended_draws_nothing(shown):
    view = NotebookView()
    view.update(table())
    view.stop()
    assert shown.drawings == []


def test_a_second_run_has_an_output_of_its_own(shown):
    view = NotebookView()
    for _ in range(2):
        view.start()
        view.update(table())
        view.stop()
    assert len(shown.drawings) == 6


def test_many_trials_at_once_are_counted(shown):
    text = table(running=64).html()
    assert text.count("<tr>") == 1 + 20
    assert "and 44 more" in text

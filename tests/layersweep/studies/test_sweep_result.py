"""What a notebook gets of a recorded sweep."""

import html
import re

import polars as pl
import pytest
from browser import opened_page
from recorded_sweep import Sweep

import layersweep as ls
from layersweep.records.errors import ResultsError
from layersweep.studies import study, sweep_result


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Three arms on four seeds; one trial of the last one failed first, and was tried again."""
    sweep = Sweep(tmp_path_factory.mktemp("recorded"))
    for seed in (1, 2, 3, 4):
        sweep.trial("adam", seed, [0.5, 0.6, 0.8 + seed / 1000])
        sweep.trial("sgd", seed, [0.3, 0.4, 0.5 + seed / 1000])
    results = sweep.write()
    study.write_study(results, sweep.name)
    return ls.Result(results, sweep.name)


def test_the_answer_is_that_of_the_study(recorded):
    assert recorded.answer == "adam is best with .802 after 3 epochs: it beats sgd."
    assert repr(recorded) == recorded.answer


def test_frames_hold_the_arms_and_what_is_compared(recorded):
    assert recorded.arms["arm"].to_list() == ["adam", "sgd"]
    last = recorded.results.filter(pl.col("is_last"))
    means = dict(last.group_by("arm").agg(pl.col("val_accuracy").mean()).iter_rows())
    assert means == pytest.approx({"adam": 0.8025, "sgd": 0.5025})
    assert recorded.trials["trial_id"].n_unique() == recorded.trials.height == 8
    assert recorded.epochs.height == 24


def test_failed_trials_are_counted_by_their_last_row(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.trial("adam", 1, [0.5, 0.6, 0.8])
    sweep.trial("sgd", 1, [0.3], "failed")
    result = ls.Result(sweep.write(), sweep.name, complete=False)
    assert result.failed_trials["arm"].to_list() == ["sgd"]
    assert repr(result).endswith("1 trial failed. Not complete: the same call goes on.")


def test_the_last_row_of_a_trial_is_that_of_its_last_attempt(tmp_path):
    """A merge writes an attempt that counts less behind the one that counts."""
    sweep = Sweep(tmp_path)
    sweep.trial("adam", 1, [0.5, 0.6, 0.8])
    sweep.trial("adam", 1, [0.3], "failed", attempt=-1, planned=False)
    result = ls.Result(sweep.write(), sweep.name)
    assert result.trials["outcome"].to_list() == ["completed"]
    assert result.failed_trials.is_empty()


def test_figures_are_pictures_that_a_notebook_shows(recorded):
    figure = recorded.figures()["optimizers.png"]
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert re.fullmatch(r"Picture\([\d,]+ bytes\)", repr(figure))


def test_the_report_stands_in_a_frame_of_its_own(recorded):
    (frame,) = re.findall(r'<iframe srcdoc="([^"]*)" sandbox="([^"]*)"', recorded._repr_html_())
    page = html.unescape(frame[0])
    assert page.startswith("<!DOCTYPE html>")
    assert "allow-same-origin" not in frame[1]  # the page cannot reach the notebook
    assert len(page) < sweep_result.REPORT_BYTES


def test_a_report_that_is_too_large_for_a_notebook_is_named(recorded, monkeypatch):
    monkeypatch.setattr(sweep_result, "REPORT_BYTES", 1000)
    shown = recorded._repr_html_()
    assert len(shown) < 1000
    assert html.escape(str(recorded.folder / "studies" / "optimizers.html")) in shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_draws_its_figures_within_an_output(recorded, scheme):
    with opened_page(color_scheme=scheme) as page:  # which refuses errors of scripts
        page.set_content(f"<p>a notebook</p>{recorded._repr_html_()}")
        frame = page.frame_locator("iframe")
        frame.locator("body[data-ready=yes]").wait_for(timeout=60_000)
        assert "adam" in frame.locator("body").inner_text()


def test_what_is_not_recorded_is_said_and_breaks_no_output(tmp_path):
    result = ls.Result(tmp_path, "nothing")
    with pytest.raises(ResultsError, match="no results of sweep 'nothing'"):
        _ = result.answer
    with pytest.raises(ResultsError, match="no results of sweep 'nothing'"):
        _ = result.trials
    assert "no results of sweep" in repr(result)
    assert "<p>no results of sweep" in result._repr_html_()


def test_show_prints_what_the_command_line_prints(recorded, capsys):
    recorded.show()
    shown = capsys.readouterr().out
    assert recorded.answer.split()[0] in shown
    assert "difference to the" in shown

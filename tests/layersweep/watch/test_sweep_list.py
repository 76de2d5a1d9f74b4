"""The list of sweeps: those that run first, each with its state and answer."""

import re

from recorded_sweep import START, Sweep

from layersweep.records.lock import sweep_lock
from layersweep.watch import sweep_list
from layersweep.watch.sweep_list import SweepList


def write(results, name, outcome="ended"):
    sweep = Sweep(results, name)
    for seed in (1, 2, 3):
        sweep.trial("adam", seed, [0.7, 0.8, 0.9 + seed / 1000])
        sweep.trial("sgd", seed, [0.5, 0.6, 0.7 + seed / 1000])
    sweep.run()
    if outcome:
        sweep.run(event="end", at=START, outcome=outcome)
    return sweep.write()


def links(page):
    return re.findall(r'href="\./\?sweep=([^"]+)"', page)


def test_running_sweeps_come_first_and_all_have_state_and_answer(tmp_path):
    for name, outcome in (("a", "ended"), ("b", None), ("c", None)):
        write(tmp_path, name, outcome)
    with sweep_lock(tmp_path, "c"):
        page = SweepList(tmp_path).page("n")
    assert links(page) == ["c", "a", "b"]
    rows = page.split("<tr>")
    assert "<td>running</td>" in rows[2]
    assert "<td>ended</td>" in rows[3]
    assert "killed, or running on another machine" in rows[4]
    assert all("<td>6 completed</td>" in row for row in rows[2:])
    assert all("adam" in row for row in rows[2:])  # the answer names the best arm
    assert page.count("<script") == page.count('<script nonce="n">') == 1


def test_names_are_quoted_in_links_and_escaped_in_texts(tmp_path):
    write(tmp_path, "a&b=<i>?%")
    page = SweepList(tmp_path).page("n")
    assert links(page) == ["a%26b%3D%3Ci%3E%3F%25"]
    assert "<i>" not in page
    assert "a&amp;b=&lt;i&gt;?%" in page


def test_no_folder_and_no_sweep_are_said(tmp_path):
    assert "there is no results folder" in SweepList(tmp_path / "none").page("n")
    assert "No sweep is recorded here yet." in SweepList(tmp_path).page("n")


def test_answers_are_computed_once_and_only_as_long_as_there_is_time(tmp_path, monkeypatch):
    from layersweep.studies import recorded_comparison

    write(tmp_path, "a")
    write(tmp_path, "b")
    calls, real = [], recorded_comparison.load

    def counted(results, sweep, **options):
        calls.append(sweep)
        return real(results, sweep, **options)

    monkeypatch.setattr(recorded_comparison, "load", counted)
    monkeypatch.setattr(sweep_list, "_REFRESH_SECONDS", 0.0)
    sweeps = SweepList(tmp_path)
    monkeypatch.setattr(sweep_list, "_ANSWER_SECONDS", -1.0)
    assert links(sweeps.page("n")) == ["a", "b"]
    assert calls == []
    monkeypatch.setattr(sweep_list, "_ANSWER_SECONDS", 1e6)
    assert sweeps.page("n") == sweeps.page("n")
    assert calls == ["a", "b"]


def test_a_sweep_that_cannot_be_compared_is_listed_with_the_reason(tmp_path):
    sweep = Sweep(tmp_path, "planned")
    sweep.run()
    page = SweepList(sweep.write()).page("n")
    assert links(page) == ["planned"]
    assert "no results of sweep" in page

"""The views of a recorded sweep, read again and again while it changes."""

import pytest
from imbalanced_sweep import imbalanced_sweep
from recorded_sweep import START, Sweep

from layersweep.records.errors import ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.records.metrics import METRICS
from layersweep.studies import recorded_comparison
from layersweep.studies.pages import view_page
from layersweep.studies.pages.page_values import page_values
from layersweep.watch.live_views import LiveViews


def write(results, *, ended, seeds=2):
    """A sweep of two arms; the run of the last seed may still run."""
    sweep = Sweep(results)
    for seed in range(1, seeds + 1):
        run = f"r{seed}"
        sweep.run(run, first_sequence=10 * seed)
        for arm, top in (("adam", 0.8), ("sgd", 0.6)):
            sweep.trial(arm, seed, [top - 0.2, top - 0.1, top + seed / 1000], run=run, trial_id=f"{arm}-{seed}")
        if seed < seeds or ended:
            sweep.run(run, event="end", at=START, outcome="ended")
    return sweep.write()


@pytest.fixture
def comparisons(monkeypatch):
    """The names of the functions that compared arms."""
    calls = []
    for name in ("load", "load_last_look"):
        real = getattr(recorded_comparison, name)

        def counted(*arguments, name=name, real=real, **options):
            calls.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(recorded_comparison, name, counted)
    return calls


def test_the_arms_are_compared_only_when_a_run_has_ended(tmp_path, comparisons):
    results = write(tmp_path, ended=False)
    views = LiveViews(results, "optimizers")
    with sweep_lock(results, "optimizers"):
        for _ in range(3):
            assert views.refresh()
            assert views.payload()["state"]["running"]
        assert comparisons == ["load_last_look"]
    assert views.refresh()
    assert not views.payload()["state"]["running"]
    assert comparisons == ["load_last_look", "load"]
    assert not views.refresh()  # nothing runs, and nothing is new
    views.payload()
    assert len(comparisons) == 2


def test_a_sweep_that_was_killed_does_not_run(tmp_path):
    views = LiveViews(write(tmp_path, ended=False), "optimizers")
    views.refresh()
    assert "killed or interrupted" in views.payload()["state"]["sentence"]


def test_the_details_name_the_leader(tmp_path):
    views = LiveViews(write(tmp_path, ended=True), "optimizers")
    views.refresh()
    views.payload()
    details = views.details("sgd-1")
    assert ["optimizer", "sgd", "adam"] in [[str(cell) for cell in row] for row in details["config"]]


def test_a_sweep_that_is_not_recorded_is_an_error_until_it_is(tmp_path):
    views = LiveViews(tmp_path, "optimizers")
    with pytest.raises(ResultsError, match="no results of sweep"):
        views.refresh()
    write(tmp_path, ended=True)
    assert views.refresh()
    assert len(views.payload()["trials"]["id"]) == 4


def test_a_command_that_was_killed_before_its_plan_is_shown(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run()
    views = LiveViews(sweep.write(), sweep.name)
    views.refresh()
    assert "killed or interrupted" in views.payload()["state"]["sentence"]


@pytest.mark.parametrize("metric", METRICS)
def test_the_live_page_shows_and_judges_the_metric_of_the_sweep(tmp_path, metric):
    sweep = imbalanced_sweep(tmp_path / "results", metric)
    for row in sweep.rows["epochs"]:
        row["val_loss"] = 0.11 - row["val_balanced_accuracy"] / 10
    sweep.write()
    views = LiveViews(sweep.results, sweep.name)
    views.refresh()
    payload = views.payload()
    assert (payload["metric"], payload["higher"]) == (metric, metric != "val_loss")
    row = next(row for row in sweep.rows["epochs"] if (row["trial_id"], row["epoch"]) == ("careful-1", 2))
    place = payload["trials"]["id"].index("careful-1")
    assert payload["trials"]["value"][place] == pytest.approx(row[metric], abs=1e-4)
    test_name = METRICS[metric].test_name
    assert test_name in [column["heading"] for column in payload["arms"]["columns"]]
    html = view_page.html(page_values(payload))
    assert f'"{METRICS[metric].name}"' in html
    for other in METRICS:
        assert other == metric or f'"{METRICS[other].name}"' not in html

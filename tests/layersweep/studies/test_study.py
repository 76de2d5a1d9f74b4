"""A study is data: what is asked is recorded with the runs, or follows from the records of before."""

import itertools
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from recorded_sweep import START, Sweep

from layersweep.records.errors import ResultsError
from layersweep.records.read import part_name
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.earlier_records import EARLIER, SEARCH, question_of
from layersweep.studies.sections import registry
from layersweep.studies.study import Findings, findings_of, write_study
from layersweep.terminal import Console
from sweeps import activations, alexnet, filters, nas, optimizers

QUESTION = StudyQuestion(
    text="How deep?", sections=("effects", "costs"), reported={"3-0.2": 0.9}, apart={"classes": "all"}
)


def grid(results: Path, name: str, *, seeds: int = 2) -> Sweep:
    """Six arms of two keys, whose networks differ in size."""
    sweep = Sweep(results, name)
    for seed, depth, dropout in itertools.product(range(1, seeds + 1), (3, 4, 6), (0.2, 0.4)):
        config = {"convolutions": depth, "dropout": dropout}
        noise = (7 * depth + 3 * seed + round(10 * dropout)) % 5 / 500
        curve = [0.5, 0.6, 0.7 + depth / 100 + (seed + dropout) ** 2 / 500 + noise]
        sweep.trial(f"{depth}-{dropout}", seed, curve, config=config, flops=depth * 1000)
    return sweep


def of_before(sweep: Sweep) -> Path:
    """Records a sweep without the columns that runs have had since they record the question."""
    sweep.run()
    results = sweep.write()
    part = results / "runs" / sweep.name / part_name(0, 0)
    pq.write_table(pq.read_table(part).drop_columns(["study_question", "study_json"]), part)
    return results


def only_findings(results: Path, name: str) -> Findings:
    (only,) = findings_of(results, name)
    return only


def section_files(results: Path, name: str) -> set[str]:
    """The pictures besides that of the comparison, which tell the sections."""
    return {file.removeprefix(f"{name}_") for file in only_findings(results, name).pictures()} - {f"{name}.png"}


def test_what_the_last_run_asked_is_answered(tmp_path: Path) -> None:
    sweep = grid(tmp_path, "mine")
    sweep.run(**StudyQuestion(text="How wide?", sections=()).columns)
    sweep.run("r2", at=START + timedelta(days=2), **StudyQuestion(text="How high?").columns)
    sweep.run("r3", at=START + timedelta(days=1), **QUESTION.columns)  # the clock was set back
    results = sweep.write()
    question = question_of(results, "mine")
    assert (question.text, list(question.sections or ())) == ("How deep?", ["effects", "costs"])
    assert (question.reported, question.apart) == (QUESTION.reported, QUESTION.apart)
    console = Console(record=True, width=160)
    write_study(results, "mine", console=console)
    assert "3-0.2 (reported .9000): " in console.export_text()
    assert "How deep? (classes all)" in (results / "studies" / "mine_classes_all.html").read_text()
    assert (results / "studies" / "mine_classes_all_costs.png").exists()


def test_a_sweep_that_says_no_sections_shows_what_it_has_recorded(tmp_path: Path) -> None:
    sweep = grid(tmp_path, "mine")
    sweep.run(**StudyQuestion(text="How deep?").columns)
    assert section_files(sweep.write(), "mine") == {"effects.png", "costs.png"}
    assert only_findings(tmp_path, "mine").title == "How deep?"


def test_records_of_before_show_what_varies_and_was_measured(tmp_path: Path) -> None:
    results = of_before(grid(tmp_path, "mine"))
    assert section_files(results, "mine") == {"effects.png", "costs.png"}
    assert only_findings(results, "mine").title == "mine"


def test_records_of_before_of_a_sweep_of_this_project_are_answered_as_they_were(tmp_path: Path) -> None:
    results = of_before(grid(tmp_path, "mobilenet_head"))
    assert section_files(results, "mobilenet_head") == {"costs.png"}
    assert only_findings(results, "mobilenet_head").title.startswith("Which batch size and dropout does")


def test_what_is_no_grid_has_no_effects(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, "mine")
    for seed, arm in itertools.product((1, 2), ("adam", "sgd", "nadam")):
        config = {"optimizer": arm, "learning_rate": len(arm) / 100}
        sweep.trial(arm, seed, [0.1, 0.2, 0.3 + seed / 100 + len(arm) / 50], config=config, flops=None)
    assert section_files(of_before(sweep), "mine") == set()


def test_shares_of_images_first_phases_and_classes_are_seen_in_records_of_before(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, "mine")
    parent = sweep.trial("first phase", 1, [0.1, 0.2], question="first phase")
    for seed, part in itertools.product((1, 2), (0.5, 1.0)):
        curve = [0.1, 0.2, 0.3 + part / 10 + seed / 100]
        sweep.trial(f"{part}", seed, curve, config={"train_share": part}, parent=parent, flops=None)
    results = of_before(sweep)
    assert section_files(results, "mine") == {"train_share.png"}
    assert "1 first phase took " in only_findings(results, "mine").page()


def test_records_of_before_keep_other_classes_apart(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, "mine")
    for seed, classes in itertools.product((1, 2), ("all", "0-1")):
        sweep.trial(f"classes={classes}", seed, [0.1, 0.2, 0.3 + seed / 100], config={"classes": classes})
    parts = [findings.name for findings in findings_of(of_before(sweep), "mine")]
    assert parts == ["mine_classes_all", "mine_classes_0-1"]


def test_searches_of_before_show_their_searches(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, "mine")
    for number, final in enumerate((0.6, 0.7)):
        config = {"choices": f'{{"number": {number}}}'}
        more = {"question": "tuning", "candidate": number, "trial_id": f"c{number}"}
        sweep.trial("greedy", 0, [0.1, 0.2, final], config=config, **more)
    page = only_findings(of_before(sweep), "mine").page()
    assert "<h2>Accuracy against size</h2>" in page
    assert "<h2>Refused or failed</h2>" in page


@pytest.mark.parametrize("name", registry.SECTIONS)
def test_each_section_makes_nothing_or_a_part_of_the_page_of_any_comparison(tmp_path: Path, name: str) -> None:
    results = grid(tmp_path, "mine").write()
    extra = registry.section(name, only_findings(results, "mine").comparison, results, {"3-0.2": 0.9})
    assert all(file.endswith(".png") for file in extra.files)


def test_a_recorded_section_that_is_none_here_is_named_with_the_valid_ones(tmp_path: Path) -> None:
    results = grid(tmp_path, "mine").write()
    with pytest.raises(ResultsError, match="the records name an unknown section 'odds'; valid: effects, beha"):
        registry.section("odds", only_findings(results, "mine").comparison, results, {})


@pytest.mark.parametrize("module", [activations, alexnet, filters, nas, optimizers])
def test_a_sweep_of_this_project_records_what_its_earlier_records_are_asked(module) -> None:
    now, before = module.SWEEP.study_question, EARLIER[module.SWEEP.name]
    assert now == StudyQuestion(**{**vars(before), "sections": tuple(before.sections or ())})


def test_the_sections_of_searches_are_sections() -> None:
    assert {*SEARCH, *registry.ALWAYS} <= {*registry.SECTIONS}

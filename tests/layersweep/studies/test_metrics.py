"""A study judges by the metric of its sweep, under its own name; where accuracy misleads, it says so."""

import re

import pytest
from imbalanced_sweep import HITS, NAMES, add_trial, imbalanced_sweep

from layersweep.records.errors import ResultsError
from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, MACRO_F1, METRICS
from layersweep.studies.leading_arm import values_of_best_arm
from layersweep.studies.recorded_comparison import load
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.study import main

CAUTION = "A model that always says 'common' reaches .97: judge by --metric val_balanced_accuracy."


def study(sweep, capsys, *arguments):
    """What a study prints, its page without scripts, and its Markdown, each in one line."""
    assert main([sweep.name, "--results", str(sweep.results), "--markdown", *arguments]) == 0
    folder = sweep.results / "studies"
    page = re.sub(
        r"<script nonce.*?</script>|<script>.*?</script>", "", (folder / "photos.html").read_text(), flags=re.S
    )
    texts = (capsys.readouterr().out, page, (folder / "photos.md").read_text())
    return [" ".join(text.split()) for text in texts]


@pytest.mark.parametrize(
    ("metric", "name", "leader"),
    [
        (BALANCED_ACCURACY, "balanced accuracy", "careful leads with a balanced accuracy of .981"),
        (MACRO_F1, "macro F1", "hasty leads with a macro F1 of .876"),
        (ACCURACY, "accuracy", "hasty is the only arm that ran to the end: .986"),
    ],
)
def test_every_part_of_a_study_names_the_metric_of_the_sweep(tmp_path, capsys, metric, name, leader):
    sweep = imbalanced_sweep(tmp_path / "results", metric)
    terminal, page, markdown = study(sweep, capsys)
    for text in (terminal, page, markdown):
        assert f"alidation {name}" in text
        assert leader in text
        for other in {"accuracy", "balanced accuracy", "macro F1"} - {name}:
            assert f"alidation {other}" not in text
            assert f"est {other}" not in text  # of the test set
    assert f"test {name}" in markdown
    assert f"Test {name} of {leader.split()[0]}" in markdown
    assert f"{name.capitalize() if name == 'accuracy' else name[0].upper() + name[1:]} against cost" in page


def test_a_constant_network_has_not_learned_by_any_metric(tmp_path):
    sweep = imbalanced_sweep(tmp_path / "results")
    for metric in (ACCURACY, BALANCED_ACCURACY, MACRO_F1):
        comparison, _ = load(sweep.results, sweep.name, criteria=Criteria(metric=metric))
        statuses = dict(comparison.arms.select("arm", "status").rows())
        assert statuses == {"careful": "compared", "hasty": "compared", "constant": "never learned"} or (
            metric == ACCURACY and statuses["careful"] == "never learned"  # it is below .97, as it must be
        )
        assert comparison.chance == pytest.approx(162 / 167 if metric == ACCURACY else 0.5)


def test_without_its_metric_a_leading_arm_is_another_one(tmp_path):
    """The defaults of another sweep come from the arm that leads by the metric of its own sweep."""
    leaders = {
        metric: values_of_best_arm("photos", ("optimizer",), into="x")(
            imbalanced_sweep(tmp_path / metric, metric).results, set()
        )[0]
        for metric in (ACCURACY, BALANCED_ACCURACY)
    }
    assert leaders == {ACCURACY: {"optimizer": "hasty"}, BALANCED_ACCURACY: {"optimizer": "careful"}}


def test_accuracy_on_a_frequent_class_is_warned_of_in_one_sentence(tmp_path, capsys):
    sweep = imbalanced_sweep(tmp_path / "results", ACCURACY)
    terminal, _, markdown = study(sweep, capsys)
    assert CAUTION in terminal
    assert CAUTION.replace("_", "\\_") in markdown or CAUTION in markdown
    values = (sweep.results / "studies" / "photos.html").read_text()
    assert "A model that always says 'common' reaches .97" in values.replace("\\u0027", "'").replace("&#x27;", "'")
    terminal, _, _ = study(sweep, capsys, "--metric", BALANCED_ACCURACY)
    assert "A model that always says" not in terminal


def test_the_warning_without_names_and_without_balanced_accuracy(tmp_path):
    sweep = imbalanced_sweep(tmp_path / "results", ACCURACY, has_predictions=False)
    comparison, _ = load(sweep.results, sweep.name)
    assert comparison.cautions[0] == CAUTION.replace("'common'", "the most frequent class")
    older = imbalanced_sweep(tmp_path / "older", ACCURACY, older=tuple(HITS))
    comparison, _ = load(older.results, older.name)
    assert comparison.cautions[0].startswith("A model that always says 'common' reaches .97: an accuracy near that")


def test_trials_of_an_earlier_version_are_named_and_not_called_diverged(tmp_path, capsys):
    sweep = imbalanced_sweep(tmp_path / "results", older=("hasty",))
    comparison, _ = load(sweep.results, sweep.name)
    assert comparison.arms["arm"].to_list() == ["careful", "constant"]
    assert comparison.warnings[0] == (
        "3 trials of hasty are left out: their validation balanced accuracy is not recorded; "
        "`--metric val_accuracy` compares them."
    )
    terminal, _, _ = study(sweep, capsys, "--metric", "val_accuracy")
    assert "hasty is the only arm" in terminal


def test_a_metric_that_no_trial_has_is_refused_with_those_that_they_have(tmp_path):
    sweep = imbalanced_sweep(tmp_path / "results", ACCURACY, older=tuple(HITS))
    with pytest.raises(ResultsError, match="'val_macro_f1' is not recorded in sweep 'photos'; valid: val_accuracy"):
        load(sweep.results, sweep.name, criteria=Criteria(metric=MACRO_F1))


def test_what_cannot_be_tested_is_said(tmp_path):
    sweep = imbalanced_sweep(tmp_path / "results", has_predictions=False)
    add_trial(sweep, "careful", 4, (155, 5), names=NAMES)  # the sizes of its classes are those of all
    sweep.write()
    comparison, _ = load(sweep.results, sweep.name)
    assert not any("no test says" in text for text in comparison.cautions)  # Hoeffding's bound serves
    comparison, _ = load(sweep.results, sweep.name, criteria=Criteria(metric=MACRO_F1))
    (note,) = (text for text in comparison.cautions if "no test says" in text)
    assert "for careful, constant, hasty: no test says whether the macro F1 there is above that of a guess" in note


def test_two_folders_are_compared_by_a_metric_that_is_named(tmp_path, capsys):
    folders = [imbalanced_sweep(tmp_path / name, metric).results for name, metric in (("a", ACCURACY), ("b", MACRO_F1))]
    with pytest.raises(ResultsError, match="they cannot be compared; --metric names one for both"):
        main(["photos", "--compare", *map(str, folders)])
    assert main(["photos", "--compare", *map(str, folders), "--metric", BALANCED_ACCURACY]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Judged by validation balanced accuracy." in printed
    assert "careful .9815 .9815 +.000" in printed
    page = (folders[1] / "studies" / "photos_compared.html").read_text()
    assert "Validation balanced accuracy of the arms that both results have" in page


@pytest.mark.parametrize("metric", METRICS)
def test_an_unknown_metric_is_refused_with_all_names(metric):
    with pytest.raises(ResultsError, match=f"valid: .*{metric}"):
        Criteria(metric="val_f1")


def test_indices_of_classes_have_their_names_beside_them(tmp_path):
    sweep = imbalanced_sweep(tmp_path / "results", config={"classes": "0+2"})
    comparison, _ = load(sweep.results, sweep.name)
    assert "classes=0+2 are common, rare." in comparison.warnings


def test_names_from_outside_do_nothing_and_stay_readable(tmp_path, capsys):
    names = ("<b>cats</b>\n\u202edogs", "x" * 300)
    sweep = imbalanced_sweep(tmp_path / "results", ACCURACY, names=names, config={"classes": "0+2"})
    terminal, page, markdown = study(sweep, capsys)
    for text in (terminal, page, markdown):
        assert "\u202e" not in text
        assert "x" * 61 not in text
    assert "<b>cats" not in page
    assert "<b>cats</b> \\u202edogs" in terminal

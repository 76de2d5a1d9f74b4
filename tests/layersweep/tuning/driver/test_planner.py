"""What a plan says of itself."""

from types import SimpleNamespace

from layersweep.records.questions import COMPARISON, SCREENING
from layersweep.tuning.driver.planner import trial_counts


def trial(name, question=COMPARISON, seed=1, fold=None):
    arm, data = SimpleNamespace(name=name), SimpleNamespace(fold=fold)
    return SimpleNamespace(arm=arm, question=question, seed=seed, data=data)


def test_trials_are_counted_by_question_arm_and_seed():
    screening = [trial("a", SCREENING, 0), trial("b", SCREENING, 0)]
    assert trial_counts(screening, has_followers=True) == "screening: 2 arms on 1 seed, then the survivors compared"
    assert trial_counts([trial("a", seed=1), trial("a", seed=2)], has_followers=False) == "comparison: 1 arm on 2 seeds"


def test_folds_are_counted_with_the_seeds_if_there_are_several():
    folds = [trial("a", seed=seed, fold=fold) for seed in (1, 2) for fold in range(5)]
    assert trial_counts(folds, has_followers=False) == "comparison: 1 arm on 2 seeds x 5 folds"
    assert trial_counts(folds[:5], has_followers=False) == "comparison: 1 arm on 5 folds"

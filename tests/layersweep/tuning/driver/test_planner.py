"""What a plan says of itself."""

from types import SimpleNamespace

import made_up

from layersweep.records.questions import COMPARISON, SCREENING
from layersweep.tuning.driver.planner import Planner, trial_counts
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.selected_arms import with_arms
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.storage.history import History
from trainables.families import fashion_cnn, residual_cnn


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


def test_candidates_of_an_arm_of_another_family_are_of_that_family(tmp_path):
    """With `--arm family=...` and a range."""
    words = ["--arm", "family=residual_cnn", "--set", "learning_rate=0.001..0.1", "--search", "random"]
    options = parse([*words, "--results", str(tmp_path / "results")], program="s.py")
    sweep = with_arms(Sweep(name="s", train=fashion_cnn.train, spaces=[{"optimizer": ["adam"]}]), options)
    request = Request.of(sweep, resolve(sweep, options), lambda _: None)
    history = History(tmp_path / "results", sweep)
    plan = Planner(request=request, data=made_up.data(tmp_path), history=history).plan()
    (search,) = plan.searches
    candidate = search.candidate(residual_cnn.Config(learning_rate=0.01), 0)
    assert (candidate.arm.family, candidate.arm.name) == ("residual_cnn", "residual_cnn learning_rate=0.001..0.1 tuned")
    assert plan.arms_to_train[0].family == "residual_cnn"
    (alone,) = search.comparison(candidate)[:1]
    assert alone.arm.family == "residual_cnn"

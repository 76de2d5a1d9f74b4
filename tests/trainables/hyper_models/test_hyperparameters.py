from trainables.hyper_models.hyperparameters import Hyperparameters


def test_the_names_of_an_optuna_trial_are_answered_with_values_of_the_same_range():
    hp = Hyperparameters()
    hp.values = {"layers": 2}
    assert hp.suggest_int("layers", 1, 3) == 2
    assert hp.suggest_int("units", 16, 64, step=16) == 16
    assert hp.suggest_float("rate", 1e-5, 1e-1, log=True) == 1e-5
    assert hp.suggest_categorical("activation", ["relu", "tanh"]) == "relu"
    by_name = {each.name: each for each in hp.space}
    assert (by_name["rate"].sampling, by_name["units"].step, by_name["layers"].max_value) == ("log", 16, 3)


def test_choices_that_keras_tuner_has_not_are_listed_by_their_texts():
    hp = Hyperparameters()
    hp.values = {"pool": "max", "kernel": "(3, 3)"}
    assert hp.suggest_categorical("pool", [None, "max"]) == "max"
    assert hp.suggest_categorical("other", [None, "max"]) is None
    assert hp.suggest_categorical("kernel", [(1, 1), (3, 3)]) == (3, 3)
    assert next(each.values for each in hp.space if each.name == "kernel") == ["(1, 1)", "(3, 3)"]


def test_a_copy_answers_to_the_same_names():
    assert Hyperparameters().copy().suggest_int("n", 1, 2) == 1

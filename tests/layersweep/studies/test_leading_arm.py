"""What a sweep takes from the best arm of another one."""

from pathlib import Path

from recorded_sweep import Sweep

from layersweep.studies.leading_arm import values_of_best_arm

KEYS = ("activation", "momentum")


def record(sweep: Sweep, outcome: str = "completed") -> Path:
    for seed, noise in ((1, 0.0), (2, 0.004), (3, -0.002)):
        for activation, level in (("relu", 0.8), ("selu", 0.9)):
            config = {"optimizer": "adam", "activation": activation}
            sweep.trial(activation, seed, [0.5, 0.6, level + noise + seed / 1000], outcome, config=config)
    return sweep.write()


def test_the_leader_gives_its_values(sweep: Sweep) -> None:
    values, source = values_of_best_arm("optimizers", KEYS, into="filters")(record(sweep), set())
    assert values == {"activation": "selu"}
    facts = "best; .9027 ± .0029 (3) after 3 epochs; 54,000 images of fashion_mnist"
    assert source == f"activation=selu: from selu, which leads in sweep 'optimizers' ({facts})"


def test_a_leader_that_is_tied_says_so_once(sweep: Sweep) -> None:
    for seed, noise in ((1, 0.05), (2, -0.05), (3, 0.0)):
        for activation, level in (("relu", 0.8), ("selu", 0.81), ("elu", 0.8)):
            config = {"optimizer": "adam", "activation": activation}
            sweep.trial(activation, seed, [0.5, 0.6, level + noise * (1 + seed * (activation == "elu"))], config=config)
    _, source = values_of_best_arm("optimizers", KEYS, into="filters")(sweep.write(), set())
    assert "leads in sweep 'optimizers' (not separated from 2 others; .8" in source


def test_without_that_sweep_it_says_how_to_get_it(sweep: Sweep) -> None:
    values, source = values_of_best_arm("activations", KEYS, into="filters")(record(sweep), set())
    assert values == {}
    assert source.startswith("sweep 'activations' is not recorded in ")
    assert source.endswith(
        "the defaults of the family are used for activation, momentum. Run that sweep first, or use --set"
    )


def test_a_sweep_of_which_nothing_came_to_its_end_has_no_leader(sweep: Sweep) -> None:
    values, source = values_of_best_arm("optimizers", KEYS, into="filters")(record(sweep, "failed"), {"momentum"})
    assert values == {}
    assert source.startswith(
        "no arm of sweep 'optimizers' ran to its end, so the defaults of the family are used for activation."
    )


def test_what_is_said_already_is_not_looked_up(sweep: Sweep) -> None:
    values_of = values_of_best_arm("optimizers", KEYS, into="filters")
    assert values_of(record(sweep), {"activation", "momentum"}) == ({}, "")


def test_the_last_commands_values_are_kept_when_another_arm_leads(sweep: Sweep, tmp_path: Path) -> None:
    results = record(sweep)
    later = Sweep(results, "filters")
    for arm in ("32", "64"):
        later.trial(arm, 1, [0.5], config={"filters_1": arm, "activation": "relu"})
    later.write()
    values, source = values_of_best_arm("optimizers", KEYS, into="filters")(results, {"momentum"})
    assert values == {"activation": "relu"}
    assert source.startswith(
        "activation=relu: as in the last command of sweep 'filters'; now it would be activation=selu: from "
    )

"""What a sweep takes from the best arm of another one."""

from pathlib import Path

from recorded_sweep import Sweep

from studies.leading import leading

KEYS = ("activation", "momentum")


def record(sweep: Sweep, outcome: str = "completed") -> Path:
    for seed, noise in ((1, 0.0), (2, 0.004), (3, -0.002)):
        for activation, level in (("relu", 0.8), ("selu", 0.9)):
            config = {"optimizer": "adam", "activation": activation}
            sweep.trial(activation, seed, [0.5, 0.6, level + noise + seed / 1000], outcome, config=config)
    return sweep.write()


def test_the_leader_gives_its_values(sweep: Sweep) -> None:
    values, source = leading("optimizers", KEYS)(record(sweep))
    assert values == {"activation": "selu"}
    assert source == "activation=selu: those of selu, which leads in sweep 'optimizers' (best)"


def test_without_that_sweep_it_says_how_to_get_it(sweep: Sweep) -> None:
    values, source = leading("activations", KEYS)(record(sweep))
    assert values == {}
    assert source.startswith("sweep 'activations' is not recorded below ")
    assert source.endswith("activation, momentum are the family's own; run it first, or give them with --set")


def test_a_sweep_of_which_nothing_came_to_its_end_has_no_leader(sweep: Sweep) -> None:
    values, source = leading("optimizers", KEYS)(record(sweep, "failed"))
    assert values == {}
    assert source.startswith("no arm of sweep 'optimizers' ran to its end: ")

"""What is said of layers: dead units, gradients, and what tells winners from losers."""

import itertools
from typing import Any

import pytest
from compared_sweep import compared
from recorded_sweep import Sweep
from rich.console import Console

from studies.behaviour import behaviour, sentences, shown

KINDS = ("InputLayer", "Conv2D", "Activation", "Conv2D", "Activation", "Dense")


def arms(sweep: Sweep, n: int = 9, *, seeds: tuple[int, ...] = (1, 2)) -> None:
    """The better an arm, the fewer of its second convolution's units are dead."""
    for k, seed in itertools.product(range(n), seeds):
        activation = ("relu", "selu", "elu")[k % 3]
        config = {"activation": activation, "optimizer": f"o{k}"}
        trial = sweep.trial(f"arm{k}", seed, [0.5, 0.6, 0.9 - k / 100], config=config)
        for epoch in (1, 2, 3):
            layers(sweep, trial, epoch, activation, dead=k / 10 if epoch == 3 else 0.0)


def layers(sweep: Sweep, trial: str, epoch: int, activation: str, *, dead: float, kinds: Any = KINDS) -> None:
    for index, kind in enumerate(kinds):
        weights = kind in ("Conv2D", "Dense")
        active = kind in ("Activation", "Dense")
        row = {
            "trial_id": trial, "attempt": 0, "epoch": epoch, "index": index, "kind": kind, "name": f"{kind}_{index}",
            "activation": activation if kind == "Activation" else "softmax" if kind == "Dense" else "linear" if weights
            else None, "filters": 32 if kind == "Conv2D" else None, "activation_deviation": 1.0,
            "dead_share": dead if index == 4 else 0.0 if active else None,
            "gradient_norm": 10.0 ** -(5 - index) if weights else None, "weight_norm": 2.0 if weights else None,
        }  # fmt: skip
        sweep._add("layers", row)


def test_winners_and_losers_differ_where_they_were_made_to(sweep: Sweep) -> None:
    arms(sweep)
    seen = behaviour(compared(sweep), sweep.results)
    assert seen is not None
    assert seen.epoch == 3
    told = seen.differences.filter(seen.differences["p"] < 1).to_dicts()
    assert [(row["layer"], row["measure"]) for row in told] == [("Activation 2", "dead_share")]
    assert (told[0]["winners"], told[0]["losers"]) == (pytest.approx(0.1), pytest.approx(0.7))  # medians of 0-2, 6-8
    assert seen.rows.filter(layer="Activation 2", arm="arm4")["dead_share"].to_list() == [pytest.approx(0.4)]


def test_it_says_where_units_die_and_how_gradients_change(sweep: Sweep) -> None:
    arms(sweep)
    seen = behaviour(compared(sweep), sweep.results)
    assert seen is not None
    said = " ".join(sentences(seen))
    # elu: arms 2, 5 and 8, of .2, .5 and .8
    assert (
        "Dead or saturated units after epoch 3, most of all: Activation 2 with elu 50%, Activation 2 with selu 40%"
        in said
    )
    assert "median norm .0001 in the first layer with weights (Conv2D 1), 1 in the last (Dense 1)" in said


def test_it_is_drawn_and_on_the_page(sweep: Sweep) -> None:
    arms(sweep)
    extra = shown(compared(sweep), sweep.results)
    assert extra.files["inside.png"].startswith(b"\x89PNG")
    assert "Inside the layers" in extra.sections[0]
    console = Console(record=True, width=160)
    for one in extra.printed:
        console.print(one)
    assert "Dead or saturated" in console.export_text()


def test_few_arms_are_not_cut_into_thirds(sweep: Sweep) -> None:
    arms(sweep, 5)
    assert behaviour(compared(sweep), sweep.results) is None
    assert shown(compared(sweep), sweep.results).printed == ()


def test_arms_of_other_layers_are_not_compared(sweep: Sweep) -> None:
    arms(sweep, 8)
    trial = sweep.trial("other", 1, [0.5, 0.6, 0.7], config={"optimizer": "x"})
    layers(sweep, trial, 3, "relu", dead=0.0, kinds=("InputLayer", "Dense"))
    assert behaviour(compared(sweep), sweep.results) is None


def test_without_layers_nothing_is_said(sweep: Sweep) -> None:
    for k in range(8):
        sweep.trial(f"arm{k}", 1, [0.5, 0.6, 0.7])
    assert shown(compared(sweep), sweep.results).printed == ()

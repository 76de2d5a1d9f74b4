"""What is said of layers: dead units, gradients, and what tells winners from losers."""

import itertools
from typing import Any

import pytest
from compared_sweep import compared
from recorded_sweep import Sweep

from layersweep.studies.sections.behaviour import behaviour, section, sentences
from layersweep.terminal import Console

KINDS = ("InputLayer", "Conv2D", "Activation", "Conv2D", "Activation", "Dense")


def arms(sweep: Sweep, n: int = 9, *, seeds: tuple[int, ...] = (1, 2)) -> None:
    """The better an arm, the fewer of its second convolution's units are dead."""
    for k, seed in itertools.product(range(n), seeds):
        activation = ("relu", "selu", "elu")[k % 3]
        config = {"activation": activation, "optimizer": f"o{k}"}
        trial = sweep.trial(f"arm{k}", seed, [0.5, 0.6, 0.9 - k / 100], config=config)
        for epoch in (1, 2, 3):
            layers(sweep, trial, epoch, activation, dead=0.9 * k / n if epoch == 3 else 0.0)


def layers(
    sweep: Sweep, trial: str, epoch: int, activation: str, *, dead: float, kinds: Any = KINDS, filters: int = 32
) -> None:
    for index, kind in enumerate(kinds):
        weights = kind in ("Conv2D", "Dense")
        active = kind in ("Activation", "Dense")
        row = {
            "trial_id": trial, "attempt": 0, "epoch": epoch, "index": index, "kind": kind, "name": f"{kind}_{index}",
            "activation": activation if kind == "Activation" else "softmax" if kind == "Dense" else "linear" if weights
            else None, "filters": filters if kind == "Conv2D" else None, "activation_deviation": 1.0,
            "dead_share": dead if index == 4 else 0.0 if active else None, "parameters": 10 if weights else 0,
            "gradient_norm": 10.0 ** -(5 - index) if weights else None,
        }  # fmt: skip
        sweep.add("layers", row)


def test_winners_and_losers_differ_where_they_were_made_to(sweep: Sweep) -> None:
    arms(sweep)
    result = behaviour(compared(sweep), sweep.results)
    assert result is not None
    assert result.epoch == 3
    significant = result.differences.filter(result.differences["p"] < 1).to_dicts()
    assert [(row["layer"], row["measure"]) for row in significant] == [("Activation 2", "dead_share")]
    assert (significant[0]["winners"], significant[0]["losers"]) == (
        pytest.approx(0.1),
        pytest.approx(0.7),
    )  # medians of 0-2, 6-8
    assert significant[0]["p"] == pytest.approx(0.1)  # all of three above all of three: 2 of 20 orders
    assert result.rows.filter(layer="Activation 2", arm="arm4")["dead_share"].to_list() == [pytest.approx(0.4)]


def test_it_says_where_units_die_and_how_gradients_change(sweep: Sweep) -> None:
    arms(sweep)
    result = behaviour(compared(sweep), sweep.results)
    assert result is not None
    text = " ".join(sentences(result))
    # elu: arms 2, 5 and 8, of .2, .5 and .8
    assert (
        "The largest shares of dead or saturated units after epoch 3: Activation 2 with elu 50%, Activation 2 with "
        "selu 40%" in text
    )
    assert (
        "median gradient norm is .0001 in the first layer with weights (Conv2D 1) and 1 in the last one (Dense 1)"
        in text
    )


def test_few_arms_are_said_to_be_too_few(sweep: Sweep) -> None:
    arms(sweep)
    result = behaviour(compared(sweep), sweep.results)
    assert result is not None
    assert sentences(result)[-1] == "9 arms are too few to test differences between the best and the worst third."


def test_many_arms_tell_what_winners_do_differently(sweep: Sweep) -> None:
    arms(sweep, 24, seeds=(1,))
    result = behaviour(compared(sweep), sweep.results)
    assert result is not None
    assert sentences(result)[-1].startswith(
        "The best and the worst third of the arms differ most in Activation 2: dead or saturated .131 against .731"
    )


def test_many_arms_whose_layers_do_the_same_are_not_told_apart(sweep: Sweep) -> None:
    for k in range(24):
        trial = sweep.trial(f"arm{k}", 1, [0.5, 0.6, 0.9 - k / 100], config={"optimizer": f"o{k}"})
        layers(sweep, trial, 3, "relu", dead=k % 2 / 10)
    result = behaviour(compared(sweep), sweep.results)
    assert result is not None
    assert sentences(result)[-1] == "The best and the worst third of the arms do not differ significantly in any layer."


def test_where_filters_differ_units_are_counted_by_them(sweep: Sweep) -> None:
    for k in range(8):
        trial = sweep.trial(f"arm{k}", 1, [0.5, 0.6, 0.9 - k / 100], config={"optimizer": f"o{k}"})
        layers(sweep, trial, 3, "relu", dead=0.5 if k % 2 else 0.1, filters=64 if k % 2 else 32)
    result = behaviour(compared(sweep), sweep.results)
    assert result is not None
    assert "Activation 2 with 64 filters 50% and Activation 2 with 32 filters 10%" in sentences(result)[0]


def test_a_vanished_gradient_and_a_nan_are_seen_and_drawn(sweep: Sweep) -> None:
    arms(sweep, 9, seeds=(1,))
    for row in sweep.rows["layers"]:
        if row["kind"] == "Conv2D":
            row["gradient_norm"] = 0.0
        if row["trial_id"] == "arm3-1":
            row["activation_deviation"] = float("nan")
    extra = section(compared(sweep), sweep.results)
    assert "The median gradient norm is 0 in the first layer with weights" in "".join(extra.html)
    assert extra.files["inside.png"].startswith(b"\x89PNG")


def test_of_a_screening_the_layers_are_seen_where_every_arm_came(sweep: Sweep) -> None:
    for k in range(9):
        epochs = 1 if k > 5 else 3
        stop: dict[str, Any] = {"rung": 1, "cutoff": 0.6} if k > 5 else {}
        curve = [0.9 - k / 100, 0.9, 0.9][:epochs]
        trial = sweep.trial(f"arm{k}", 0, curve, "stopped" if stop else "completed", question="screening", **stop)
        for epoch in range(1, epochs + 1):
            layers(sweep, trial, epoch, "relu", dead=k / 10 if epoch == 1 else 0.0)
    result = behaviour(compared(sweep), sweep.results)
    assert result is not None
    assert (result.epoch, result.arms) == (1, 9)
    assert result.differences["losers"].to_list() == [pytest.approx(0.7)]


def test_it_is_drawn_and_on_the_page(sweep: Sweep) -> None:
    arms(sweep)
    extra = section(compared(sweep), sweep.results)
    assert extra.files["inside.png"].startswith(b"\x89PNG")
    assert "Inside the layers" in extra.html[0]
    console = Console(record=True, width=160)
    for one in extra.terminal:
        console.print(one)
    assert "dead or saturated" in console.export_text()


def test_few_arms_are_not_cut_into_thirds(sweep: Sweep) -> None:
    arms(sweep, 5)
    assert behaviour(compared(sweep), sweep.results) is None
    assert section(compared(sweep), sweep.results).terminal == ()


def test_arms_of_other_layers_are_not_compared(sweep: Sweep) -> None:
    arms(sweep, 8)
    trial = sweep.trial("other", 1, [0.5, 0.6, 0.7], config={"optimizer": "x"})
    layers(sweep, trial, 3, "relu", dead=0.0, kinds=("InputLayer", "Dense"))
    assert behaviour(compared(sweep), sweep.results) is None


def test_without_layers_nothing_is_said(sweep: Sweep) -> None:
    for k in range(8):
        sweep.trial(f"arm{k}", 1, [0.5, 0.6, 0.7])
    assert section(compared(sweep), sweep.results).terminal == ()

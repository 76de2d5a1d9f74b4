"""What the study of a grid says: each layer's choice, where it was seen, and what chance alone does."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_sweep import compared
from recorded_sweep import Sweep
from rich.console import Console

from studies.activations import REPORTED, study
from studies.factorial import chance, grid, sentences, shown

KEYS = ("activation_1", "activation_2")
CHOICES = ("relu", "selu", "elu")
GAIN = {"selu": 0.04, "relu": 0.0, "elu": -0.04}


def nine_arms(sweep: Sweep, seeds: tuple[int, ...] = (1, 2), **more: Any) -> None:
    """The first layer wants selu; the second does not matter."""
    noise = iter(np.random.default_rng(3).normal(0, 0.003, 99).tolist())
    for first, second in itertools.product(CHOICES, repeat=2):
        config = {"optimizer": "nadam", "activation_1": first, "activation_2": second}
        for seed in seeds:
            final = 0.8 + GAIN[first] + next(noise)
            sweep.trial(f"{first}-{second}", seed, [0.5, final - 0.01, final], config=config, **more)


def text(renderables: tuple[Any, ...]) -> str:
    console = Console(record=True, width=160)
    for one in renderables:
        console.print(one)
    return console.export_text()


def test_a_grid_is_seen_at_its_end_where_all_arms_came(sweep: Sweep) -> None:
    nine_arms(sweep)
    seen = grid(compared(sweep), KEYS)
    assert (seen.epoch, seen.screening, len(seen.accuracies)) == (3, False, 18)
    assert seen.where == "at epoch 3, on 2 seeds"
    assert seen.effects is not None
    assert seen.effects.best["activation_1"] == "selu"


def test_a_screened_grid_is_seen_at_the_epoch_that_all_reached_on_the_screening_seed(sweep: Sweep) -> None:
    nine_arms(sweep, seeds=(0,), question="screening")
    sweep.rows["epochs"] = [
        row for row in sweep.rows["epochs"] if row["epoch"] == 1 or not row["trial_id"].startswith("elu")
    ]
    for row in sweep.rows["trials"]:
        if row["trial_id"].startswith("elu"):
            row.update(outcome="stopped", rung=1, cutoff=0.6, epochs=1)
    for k, row in enumerate(sweep.rows["epochs"]):
        if row["epoch"] == 1:
            row["val_accuracy"] = 0.5 + k / 1000
    seen = grid(compared(sweep), KEYS)
    assert (seen.epoch, seen.screening, len(seen.accuracies)) == (1, True, 9)
    assert seen.where == "at epoch 1, on the screening's 1 seed"


def test_it_says_what_matters_and_what_does_not(sweep: Sweep) -> None:
    nine_arms(sweep)
    said = " ".join(sentences(grid(compared(sweep), KEYS)))
    assert "activation_1 matters (p = " in said
    assert "selu +.0" in said
    assert "No effect was found of activation_2." in said
    assert "each may be chosen for itself" in said
    assert "Layer by layer the best choices are activation_1 selu, activation_2" in said


def test_too_few_trainings_are_said_to_be_too_few(sweep: Sweep) -> None:
    sweep.trial("relu-relu", 1, [0.5, 0.6, 0.7], config={"activation_1": "relu"})
    sweep.trial("selu-relu", 1, [0.5, 0.6, 0.8], config={"activation_1": "selu"})
    extra = shown(KEYS)(compared(sweep), sweep.results)
    assert "The 2 trainings at epoch 3, on 1 seed do not tell the layers' choices apart." in text(extra.printed)
    assert not extra.files


def test_an_arm_that_was_called_best_elsewhere_is_judged(sweep: Sweep) -> None:
    nine_arms(sweep)
    extra = shown(KEYS, {"selu-relu": 0.9337, "tanh-relu": 0.9})(compared(sweep), sweep.results)
    said = text(extra.printed)
    assert "selu-relu (reported .9337): " in said
    assert "tanh-relu (reported .9000) is not among the arms." in said
    assert "to show a difference of .0001 takes some " in said
    assert extra.files["layers.png"].startswith(b"\x89PNG")
    assert "<svg" in "".join(extra.sections)


def test_the_seeds_that_a_difference_takes_are_those_of_the_textbook() -> None:
    # n = 2 (z.975 + z.8)² σ² / δ² = 2 * 7.849 * .0025² / .0001²
    said = chance(0.0025)
    assert "differ by up to .0069 by chance" in said  # 1.96 * sqrt 2 * .0025
    assert math.ceil(2 * (1.959964 + 0.841621) ** 2 * 625) == 9812
    assert "some 9,800 seeds" in said


@pytest.mark.filterwarnings("error")
def test_the_study_of_the_activations_is_printed_drawn_and_on_its_page(sweep: Sweep, tmp_path: Path) -> None:
    nine_arms(sweep)
    console = Console(record=True, width=160)
    study(sweep.write(), "optimizers", out=tmp_path / "out", console=console)
    assert set(REPORTED) == {"selu-relu-relu-relu"}
    assert "selu-relu-relu-relu (reported .9337) is not among the arms." in console.export_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"optimizers{end}" for end in (".html", ".png", "_layers.png")
    }
    page = (tmp_path / "out" / "optimizers.html").read_text()
    assert "<h2>Layer by layer</h2>" in page
    assert page.index("Layer by layer") < page.index("<h2>Cost</h2>")

"""What the study of a grid says: each layer's choice, where it was seen, and which choices fail."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_sweep import arm, compared
from recorded_sweep import Sweep

from layersweep.studies.earlier_records import EARLIER
from layersweep.studies.sections.key_effects import grid, section, sentences
from layersweep.studies.study import write_study
from layersweep.terminal import Console

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
    data = grid(compared(sweep))
    assert (data.trainings.epoch, data.trainings.is_screening, len(data.arms)) == (3, False, 18)
    assert data.trainings.where == "at epoch 3 on 2 seeds"
    assert data.effects is not None
    assert data.effects.best == {"activation_1": ["selu"]}


def screened_arms(sweep: Sweep) -> None:
    """Nine arms on a screening seed, of which those with elu in the first layer are stopped after epoch 1."""
    for k, (first, second) in enumerate(itertools.product(CHOICES, repeat=2)):
        config = {"optimizer": "nadam", "activation_1": first, "activation_2": second}
        stop: dict[str, Any] = {"rung": 1, "cutoff": 0.6} if first == "elu" else {}
        curve = [0.5 + k / 1000, 0.7, 0.8][: 1 if stop else 3]
        name = f"{first}-{second}"
        sweep.trial(name, 0, curve, "stopped" if stop else "completed", question="screening", config=config, **stop)


def test_a_screened_grid_is_seen_at_the_epoch_that_all_reached_on_the_screening_seed(sweep: Sweep) -> None:
    screened_arms(sweep)
    for seed in (1, 2, 3):  # the survivors' comparison, in which another choice would be best
        for first in ("relu", "selu"):
            config = {"optimizer": "nadam", "activation_1": first, "activation_2": "elu"}
            sweep.trial(f"{first}-elu", seed, [0.5, 0.6, 0.9 if first == "relu" else 0.6], config=config)
    data = grid(compared(sweep))
    assert (data.trainings.epoch, data.trainings.is_screening, data.trainings.is_last_epoch) == (1, True, False)
    assert data.trainings.where == "at epoch 1 (not the last epoch) on the screening of 1 seed"
    assert dict(zip(data.arms, data.accuracies, strict=True))["selu-relu"] == pytest.approx(0.503)
    assert sorted(data.accuracies) == pytest.approx([0.5 + k / 1000 for k in range(9)])


def test_once_every_arm_was_compared_its_screening_counts_no_more(sweep: Sweep) -> None:
    screened_arms(sweep)
    nine_arms(sweep)
    data = grid(compared(sweep))
    assert (data.trainings.epoch, data.trainings.is_screening, len(data.arms)) == (3, False, 18)


def test_it_says_what_matters_and_what_does_not(sweep: Sweep) -> None:
    nine_arms(sweep)
    output = sentences(grid(compared(sweep)))
    assert output[0].startswith("18 trainings at epoch 3 on 2 seeds: the residual standard deviation is ±.00")
    assert output[1].startswith("activation_1 matters (p = ")
    assert "selu +.0" in output[1]
    assert output[2:] == [
        "No effect of activation_2 was shown.",
        "No interaction of two keys was shown.",
        "The best choices at epoch 3 on 2 seeds: activation_1 selu.",
    ]


def test_keys_that_act_together_are_said_with_their_strongest_cell(sweep: Sweep) -> None:
    noise = iter(np.random.default_rng(3).normal(0, 0.002, 99).tolist())
    for first, second in itertools.product(CHOICES, repeat=2):
        config = {"activation_1": first, "activation_2": second}
        for seed in (1, 2):
            final = 0.8 + 0.09 * (first == second == "elu") + next(noise)
            sweep.trial(f"{first}-{second}", seed, [0.5, 0.6, final], config=config)
    output = " ".join(sentences(grid(compared(sweep))))
    assert "activation_1 and activation_2 interact (p = " in output
    assert "most strongly for elu and elu: +.0" in output
    assert "The best choices without interactions at epoch 3 on 2 seeds: activation_1 elu" in output


def fail(sweep: Sweep, failed: set[str], **facts: Any) -> None:
    for row in sweep.rows["trials"]:
        if row["trial_id"] in failed:
            row.update({"outcome": "diverged", "epochs": 1} | facts)
    sweep.rows["epochs"] = [row for row in sweep.rows["epochs"] if row["trial_id"] not in failed or row["epoch"] == 1]


def test_a_few_failures_are_counted_and_the_best_choices_are_those_that_learned(sweep: Sweep) -> None:
    nine_arms(sweep)
    fail(sweep, {"selu-elu-1", "relu-elu-1"})
    output = sentences(grid(compared(sweep)))
    assert output[0] == (
        "2 trainings diverged, failed or stayed at chance and are left out. No key was shown to matter for that."
    )
    assert output[-1].startswith("Of the trainings that learned, the best choices at epoch 3")
    assert output[-1].endswith(": activation_1 selu.")


def test_a_choice_that_fails_more_often_is_said_and_never_best(sweep: Sweep) -> None:
    nine_arms(sweep, seeds=(1, 2, 3, 4))
    failed = {f"selu-{second}-{seed}" for second in CHOICES for seed in (1, 2)} | {"selu-relu-3"}
    fail(sweep, failed)
    output = sentences(grid(compared(sweep)))
    # 7 of 36, all in one group of 12: 3 * C(12, 7) / C(36, 7) = 2.8e-4; corrected with the other terms
    assert "7 trainings diverged, failed or stayed at chance and are left out." in output[0]
    assert "activation_1: selu failed in 7 of 12 trainings, " in output[0]
    assert "relu in 0 of 12" in output[0]
    assert "its effect on accuracy is that of the trainings that learned." in output[0]
    assert "best choices" not in " ".join(output)


def test_a_fault_of_the_machine_is_no_failure_of_a_choice(sweep: Sweep) -> None:
    nine_arms(sweep)
    fail(sweep, {"selu-elu-1"}, outcome="failed", error_type="OutOfMemory")
    data = grid(compared(sweep))
    assert data.failures == {}
    assert sentences(data)[0] == "1 training failed by a fault of the machine and is left out."


def test_a_training_that_stayed_at_chance_is_a_failure(sweep: Sweep) -> None:
    nine_arms(sweep)
    for row in sweep.rows["epochs"]:
        if row["trial_id"] == "elu-elu-2":
            row["val_accuracy"] = 0.1
    assert grid(compared(sweep)).failures["activation_1"].counts["elu"] == (1, 6)


def test_an_early_effect_that_turns_round_at_the_end_is_said(sweep: Sweep) -> None:
    noise = iter(np.random.default_rng(4).normal(0, 0.003, 99).tolist())
    for first, second in itertools.product(CHOICES, repeat=2):
        config = {"activation_1": first, "activation_2": second}
        early = 0.5 + (0.1 if first == "selu" else 0.0)
        for seed in (0, 9):
            is_stopped = second == "elu"
            stop: dict[str, Any] = {"rung": 1, "cutoff": 0.7} if is_stopped else {}
            curve = [early + next(noise), 0.7, 0.8][: 1 if is_stopped else 3]
            name = f"{first}-{second}"
            outcome = "stopped" if is_stopped else "completed"
            sweep.trial(name, seed, curve, outcome, question="screening", config=config, **stop)
        for seed in (1, 2) if second != "elu" else ():
            final = 0.8 - (0.1 if first == "selu" else 0.0) + next(noise)
            sweep.trial(f"{first}-{second}", seed, [early, 0.7, final], config=config)
    output = sentences(grid(compared(sweep)))
    assert "best choices at epoch 1 (not the last epoch) on the screening of 2 seeds: activation_1 selu" in output[-2]
    assert output[-1].startswith("Among the arms that ran to the end, the best activation_1 is ")
    assert output[-1].endswith(", not selu: epoch 1 misleads.")


def test_one_key_alone_is_not_said_to_act_with_others(sweep: Sweep) -> None:
    for seed in (1, 2, 3):
        for activation, gain in GAIN.items():
            final = 0.8 + gain + seed**2 / 999 + len(activation) * seed / 9999
            sweep.trial(activation, seed, [0.5, 0.6, final], config={"activation_1": activation})
    output = " ".join(sentences(grid(compared(sweep))))
    assert "activation_1 matters" in output
    assert "interact" not in output


def test_a_key_at_its_default_has_its_default(sweep: Sweep) -> None:
    for seed in (1, 2):
        sweep.trial("none", seed, [0.5, 0.6, 0.7 + seed / 100], config={"optimizer": "adam"}, momentum=0.0)
        sweep.trial("some", seed, [0.5, 0.6, 0.8 + seed / 99], config={"optimizer": "adam", "momentum": 0.9})
    data = grid(compared(sweep))
    assert sorted(set(data.values["momentum"])) == ["0.0", "0.9"]


def test_folds_are_called_folds(sweep: Sweep) -> None:
    for fold in (0, 1, 2):
        for activation, gain in GAIN.items():
            config = {"activation_1": activation}
            name = f"{activation}-{fold}"
            sweep.plan(activation, 1, name, config=config, fold=fold)
            curve = [0.5, 0.6, 0.8 + gain + fold**2 / 999]
            sweep.trial(activation, 1, curve, config=config, planned=False, trial_id=name, fold=fold)
    assert grid(compared(sweep)).trainings.where == "at epoch 3 on 3 folds"


def test_too_few_trainings_are_said_to_be_too_few(sweep: Sweep) -> None:
    sweep.trial("relu-relu", 1, [0.5, 0.6, 0.7], config={"activation_1": "relu"})
    sweep.trial("selu-relu", 1, [0.5, 0.6, 0.8], config={"activation_1": "selu"})
    extra = section(compared(sweep), sweep.results)
    assert "The 2 trainings at epoch 3 on 1 seed are too few to separate the effects of the choices." in text(
        extra.terminal
    )
    assert not extra.files


def test_an_arm_that_was_called_best_elsewhere_is_judged(sweep: Sweep) -> None:
    nine_arms(sweep, seeds=(1, 2, 3))
    extra = section(compared(sweep), sweep.results, {"selu-relu": 0.9337, "tanh-relu": 0.9})
    output = text(extra.terminal)
    row = arm(compared(sweep), "selu-relu")
    assert f"selu-relu (reported .9337): {row['verdict']}, mean {row['mean']:.4f} (n = 3).".replace("0.", ".") in output
    assert "tanh-relu (reported .9000) is not an arm of this sweep." in output
    assert extra.files["effects.png"].startswith(b"\x89PNG")
    assert "<svg" in "".join(extra.html)


def test_on_one_seed_an_arm_has_a_rank_and_chance_is_not_known(sweep: Sweep) -> None:
    nine_arms(sweep, seeds=(1,))
    found = compared(sweep)
    better = sum(row["mean"] > arm(found, "relu-relu")["mean"] for row in found.arms.to_dicts())
    output = text(section(found, sweep.results, {"relu-relu": 0.9}).terminal)
    assert f"relu-relu (reported .9000): rank {better + 1} of 9 at epoch 3 on 1 seed; undecided, mean ." in output
    assert "by chance" not in output


def test_the_table_fits_100_columns(sweep: Sweep) -> None:
    nine_arms(sweep)
    console = Console(record=True, width=100)
    console.print(section(compared(sweep), sweep.results).terminal[0])
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 100
    assert any("activation_1" in line and "selu +.0" in line and "±" in line for line in lines)


@pytest.mark.filterwarnings("error")
def test_the_study_of_the_activations_is_printed_drawn_and_on_its_page(sweep: Sweep, tmp_path: Path) -> None:
    nine_arms(sweep)
    console = Console(record=True, width=160)
    sweep.run(**EARLIER["activations"].columns)
    write_study(sweep.write(), "optimizers", out=tmp_path / "out", console=console)
    assert "selu-relu-relu-relu (reported .9337) is not an arm of this sweep." in console.export_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"optimizers{end}" for end in (".html", ".png", "_effects.png")
    }
    page = (tmp_path / "out" / "optimizers.html").read_text()
    assert "<h2>The effect of each choice</h2>" in page
    assert page.index("The effect of each choice") < page.index("<h2>Rules</h2>")


def test_an_interval_of_differences_that_no_accuracies_have_is_not_shown(sweep: Sweep) -> None:
    finals = {("relu", 1): 0.25, ("relu", 2): 0.9, ("elu", 1): 0.95, ("elu", 2): 0.35}
    for (activation, seed), final in finals.items():
        config = {"optimizer": "nadam", "activation_1": activation}
        sweep.trial(activation, seed, [0.2, 0.3, final], config=config, validation_images=10_000)
    made = section(compared(sweep), sweep.results)
    (level, _) = grid(compared(sweep)).effects.levels["activation_1"]  # type: ignore[union-attr]
    assert level.half_width > 1
    shown = text(made.terminal)
    (line,) = (line for line in shown.splitlines() if "elu +.0375" in line)
    assert "±" not in line

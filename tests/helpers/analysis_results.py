"""The results folder that docs/analysis.md asks ten questions: two sweeps with all that makes obvious lines wrong."""

from pathlib import Path

from recorded_sweep import Sweep
from tuned_sweep import tune

from layersweep.studies.compared_results import update_results

CLASSES = 10


def record(results: Path) -> None:
    """Records the sweeps, and writes what their studies compare."""
    for sweep in (_optimizers(results), _widths(results)):
        sweep.run()
        update_results(sweep.write(), sweep.name)


def _optimizers(results: Path) -> Sweep:
    """adam was trained for 1 epoch, then for 3; sgd broke once; rmsprop learned 2 times of 3; adam was tuned."""
    sweep = Sweep(results, "optimizers")
    for arm, level in (("sgd", 0.3), ("rmsprop", 0.2)):
        _trial(sweep, arm, 0, [0.1, 0.2, level], question="screening", trial_id=f"{arm}-screening")
    for seed, final in ((1, 0.58), (2, 0.59), (3, 0.60)):
        _trial(sweep, "adam", seed, [0.206], epochs_asked=1)
        _trial(sweep, "adam", seed, [0.5, final], after=1, planned=False, continuation=1, test=final - 0.01)
    for seed, final in ((1, 0.48), (2, 0.50), (3, 0.52)):
        if seed == 2:
            _trial(sweep, "sgd", seed, [0.1, 0.2], "failed", error_type="OSError", planned=False)
        again = {"attempt": 1} if seed == 2 else {}
        _trial(sweep, "sgd", seed, [0.3, 0.4, final], test=0.9, **again)
    for seed, final in ((1, 0.40), (2, 0.10), (3, 0.42)):
        _trial(sweep, "rmsprop", seed, [0.1, 0.2, final])
    tune(sweep, "adam", 1e-2, (0.69, 0.70, 0.71), top=0.75)
    for row in sweep.rows["trials"]:
        curve = _curve(sweep, row["trial_id"], row["attempt"], row["epochs"])
        row |= {"last_val_accuracy": curve[-1], "best_val_accuracy": max(curve)}
    for trial_id in ("adam-c0", "adam tuned-1", "adam tuned-2", "adam tuned-3"):
        for index in range(CLASSES):
            for set_name, recall in (("validation", 0.3 if trial_id == "adam-c0" else 0.7), ("test", 0.6)):
                _class(sweep, trial_id, set_name, index, recall)
    return sweep


def _widths(results: Path) -> Sweep:
    """A grid of widths and optimizers; a wide network's screening was lucky."""
    sweep = Sweep(results, "widths")
    sweep.config_types = {"width": int, "optimizer": str}
    for width, level in ((8, 0.70), (16, 0.80), (32, 0.805)):
        for optimizer, more in (("adam", 0.0), ("sgd", -0.02)):
            config = {"width": width, "optimizer": optimizer}
            arm, size = f"{width} {optimizer}", {"parameters": 100 * width}
            screening = {"question": "screening", "trial_id": f"{arm}-screening"}
            sweep.trial(arm, 0, [0.2, 0.3, level / 2], config=config, **screening, **size)
            for seed in (1, 2):
                final = level + more + 0.004 * (seed - 1.5)
                sweep.trial(arm, seed, [0.3, 0.5, final], config=config, **size)
    for row in sweep.rows["trials"]:
        row["last_val_accuracy"] = row["best_val_accuracy"] = _curve(sweep, row["trial_id"], 0, 3)[-1]
    return sweep


def _trial(sweep: Sweep, arm: str, seed: int, curve: list[float], outcome: str = "completed", **more: object) -> None:
    sweep.trial(arm, seed, curve, outcome, **more)


def _curve(sweep: Sweep, trial_id: str, attempt: int, epochs: int) -> list[float]:
    ids = {"trial_id": trial_id, "attempt": attempt}
    rows = [row for row in sweep.rows["epochs"] if ids.items() <= row.items() and row["epoch"] <= epochs]
    return [row["val_accuracy"] for row in rows]


def _class(sweep: Sweep, trial_id: str, set_name: str, index: int, recall: float) -> None:
    others = round(1000 * (1 - recall) / (CLASSES - 1))
    predicted = [others] * CLASSES
    predicted[index] = 1000 - others * (CLASSES - 1)
    ids = {"trial_id": trial_id, "attempt": 0, "epoch": 3, "set_name": set_name, "class_index": index}
    values = {"precision": recall, "recall": recall, "f1": recall, "support": 1000, "predicted": predicted}
    sweep.add("classes", ids | {"class_name": f"class {index}"} | values)

"""Trials that do nothing, with Ray Tune alone: actors are reused, loggers are off. Writes the times of all results."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from layersweep.tuning.runtime import environment
from layersweep.tuning.runtime.private_folder import command_folder
from layersweep.tuning.runtime.ray_runtime import started_ray

environment.set_defaults()

from ray import tune  # noqa: E402 (Ray reads its environment when it is imported)
from ray.tune.experiment import Trial  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    out: Path
    """The JSON file to write."""
    trials: int = 1000
    """Trials."""
    epochs: int = 1
    """Results of each."""
    slots: int = 2
    """Trials at once."""


class NoOp(tune.Trainable):
    """Reports the number of results in its config."""

    def setup(self, config: dict[str, Any]) -> None:
        """Takes the first trial."""
        self._epochs, self._epoch = int(config["epochs"]), 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One result, with the same scalars as a slot of ours."""
        self._epoch += 1
        is_last = self._epoch >= self._epochs
        return {"epoch": self._epoch, "val_accuracy": 0.5, "val_loss": 1 / self._epoch, "done": is_last}


class Times(tune.Callback):
    """Notes the times of results and of trials' ends."""

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.trials: list[float] = []

    def __getstate__(self) -> dict[str, object]:
        """An empty state, because Tune pickles its callbacks."""
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A result."""
        self.epochs.append(time.time())

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """An end."""
        self.trials.append(time.time())


def main(options: Options) -> None:
    """Runs the trials."""
    times = Times()
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(options.slots)
    with command_folder() as folder, started_ray(options.slots, folder):
        tune.Tuner(
            tune.with_resources(NoOp, {"cpu": 1}),
            param_space={"number": tune.grid_search(list(range(options.trials))), "epochs": options.epochs},
            tune_config=tune.TuneConfig(max_concurrent_trials=options.slots, reuse_actors=True),
            run_config=tune.RunConfig(
                name="no_op",
                storage_path=str(folder),
                callbacks=[times],
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()
    options.out.write_text(json.dumps({"trials": times.trials, "epochs": times.epochs}))


if __name__ == "__main__":
    main(tyro.cli(Options))

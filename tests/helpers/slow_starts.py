"""A sweep of short trials on two slots, the second of which takes long to start; prints what became of them as JSON.

`python slow_starts.py FOLDER`: every actor writes a line there when it starts.
"""

import json
import os
import sys
import time
from pathlib import Path

from layersweep.tuning.runtime import environment

environment.set_defaults()  # what Ray reads when it is imported

import ray  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from layersweep.tuning.driver.early_stopping import Asha  # noqa: E402
from layersweep.tuning.driver.tune_scheduler import TuneScheduler  # noqa: E402
from layersweep.tuning.experiment.asha_settings import AshaSettings  # noqa: E402

TRIALS, TRIAL_SECONDS, START_SECONDS = 60, 0.2, 4.0


class Slow(tune.Trainable):
    """A trial of one step; the first actor of all is there at once, others are not."""

    def setup(self, config):
        path = Path(config["folder"]) / "starts"
        with path.open("a") as starts:
            starts.write(f"{os.getpid()}\n")
        if len(path.read_text().splitlines()) > 1:
            time.sleep(START_SECONDS)

    def step(self):
        time.sleep(TRIAL_SECONDS)
        return {"done": True, "actor": os.getpid(), "metric": 0.0}

    def reset_config(self, new_config):
        return True


class Two(Searcher):
    """Suggests a trial whenever less than two run."""

    def __init__(self, folder):
        super().__init__(metric="metric", mode="max")
        self._folder, self._left, self._live = folder, TRIALS, set()

    def suggest(self, trial_id):
        if not self._left:
            return Searcher.FINISHED
        if len(self._live) == 2:
            return None
        self._left -= 1
        self._live.add(trial_id)
        return {"folder": self._folder}

    def on_trial_complete(self, trial_id, result=None, error=False):
        self._live.discard(trial_id)


class Undecided(TuneScheduler):
    """Starts trials as ours does; decides nothing."""

    def on_trial_result(self, tune_controller, trial, result):
        return TuneScheduler.CONTINUE


def main(folder):
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    asha = Asha(AshaSettings(metric="metric", mode="max", epochs=1, grace=1, reduction=2))
    config = tune.TuneConfig(num_samples=-1, search_alg=Two(folder), scheduler=Undecided(asha, None), reuse_actors=True)
    none = tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False)
    run_config = tune.RunConfig(storage_path=folder, verbose=0, checkpoint_config=none)
    found = tune.Tuner(tune.with_resources(Slow, {"cpu": 1}), tune_config=config, run_config=run_config).fit()
    ray.shutdown()
    starts = len((Path(folder) / "starts").read_text().splitlines())
    print(json.dumps({"starts": starts, "actors": [result.metrics["actor"] for result in found]}))


if __name__ == "__main__":
    main(sys.argv[1])

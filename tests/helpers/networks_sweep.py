"""Searches among AutoKeras' networks whose trainings are made up, as a script like those in sweeps/."""

import made_up
import networks

from layersweep import Sweep, main

SWEEP = Sweep(
    name="networks",
    train=networks.train,
    spaces=[{"block": ["vanilla"], "choices": ["{}"]}],
    tuned=[{"oracle": ["random", "greedy"], "block": ["vanilla"]}],
    search="oracle",
    in_turn=True,
    epochs=3,
    seeds=1,
    warm_up=made_up.WARM_UP,
)

if __name__ == "__main__":
    main(SWEEP)

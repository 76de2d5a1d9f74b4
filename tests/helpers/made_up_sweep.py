"""A sweep of made-up trainings, as a script like those in sweeps/: trials cost milliseconds."""

import made_up

from layersweep import Sweep, main

SWEEP = Sweep(
    name="made_up",
    train=made_up.train,
    spaces=[{"quality": [0.2, 0.4, 0.6, 0.8]}],
    epochs=4,
    seeds=2,
    control="0.2",
    warm_up=made_up.WARM_UP,
)

if __name__ == "__main__":
    main(SWEEP)

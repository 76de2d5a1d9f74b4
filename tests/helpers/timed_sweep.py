"""A sweep of made-up searches that time bounds, as a script like those in sweeps/."""

import honest
import made_up

from layersweep import Sweep, main
from search_spaces.ranges import Range

SWEEP = Sweep(
    name="timed",
    train=honest.train,
    spaces=[{"quality": [0.2], "seconds": [0.25]}],
    tuned=[{"batch_size": [size], "seconds": [0.25], "quality": Range(0.1, 0.9)} for size in (32, 64)],
    timed_searches=True,
    search="random",
    epochs=6,
    seeds=1,
    warm_up=made_up.WARM_UP,
)

if __name__ == "__main__":
    main(SWEEP)

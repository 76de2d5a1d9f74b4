"""The states of layers that draw random numbers, computed from the seed and the epoch."""

import keras
import numpy as np


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Sets the random layers' states from (seed, epoch, index), so that an epoch does not depend on earlier ones.

    A saved model does not contain these states: without this, a training continued from a file would drop other units.
    """
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, epoch, index]).generate_state(2, np.uint32))

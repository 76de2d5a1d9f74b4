"""The states of layers that draw random numbers, as functions of where a training is."""

import keras
import numpy as np


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Sets the random layers' states from (seed, epoch, index), so that an epoch does not depend on those before it.

    Their state is not in a saved model: without this, training continued from a file would drop other units.
    """
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, epoch, index]).generate_state(2, np.uint32))

"""A network as a graph of layers, whatever its family's `build` returns."""

from typing import Any

import keras


def functional(network: Any) -> Any:
    """A `keras.Sequential` with an input as a functional network of the same layers; anything else as it is."""
    if not isinstance(network, keras.Sequential) or not network.built:
        return network
    return keras.Model(network.inputs, network.outputs, name=network.name)

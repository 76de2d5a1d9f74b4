"""Copies the weights of a layer or a network into an equal one."""

from typing import TYPE_CHECKING

from keras import layers as kinds

if TYPE_CHECKING:
    import keras


def copy_weights(target: "keras.Layer", source: "keras.Layer") -> None:
    """Copies all weights. A network is a layer, too.

    An adapted `Normalization` computes with tensors that it makes of its weights, and `set_weights` alone leaves them
    as they were.
    """
    target.set_weights(source.get_weights())
    finalize(target)


def finalize(target: "keras.Layer") -> None:
    """Makes each `Normalization` of a layer or network compute with its present weights."""
    for layer in target._flatten_layers():
        if isinstance(layer, kinds.Normalization):
            layer.finalize_state()

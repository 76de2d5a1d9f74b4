"""Selects the layers of a pretrained base that are trained again, and how its frozen batch normalisation behaves."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import keras

from trainables.errors import WeightsError, unknown_layer
from trainables.layers.batch_normalization import BatchNormalization
from trainables.layers.weight_copies import copy_weights

ALL: Final = "all"
NONE: Final = "none"
TRAINING: Final = "training"


def thaw(base: Sequence[keras.layers.Layer], selection: str) -> None:
    """Makes the selected layers of a base trainable, and freezes the others.

    Args:
        base: the base's layers, from the first to the last.
        selection: `all`, `none`, the number of last layers, or the name of the first layer to train.

    Raises:
        WeightsError: if there is no such layer; the message lists similar names.
    """
    first = first_trained([layer.name for layer in base], selection)
    for place, layer in enumerate(base):
        layer.trainable = place >= first


def by_batches(model: keras.Model, base: Collection[str]) -> keras.Model:
    """A copy of a model in which frozen batch normalisation among these layers uses each batch's mean and variance.

    Keras' frozen layers use their moving averages, as they should. This copy shows what happens if they do not.
    """

    def copy_layer(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in base and not layer.trainable and isinstance(layer, keras.layers.BatchNormalization):
            return BatchNormalization.from_config({**config, "by_batch": True})
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=copy_layer)
    copy_weights(copy, model)
    return copy


def first_trained(names: Sequence[str], selection: str) -> int:
    """The index of the first layer that is trained, or the number of layers if none is.

    Raises:
        WeightsError: if there is no such layer.
    """
    if selection == ALL:
        return 0
    if selection == NONE:
        return len(names)
    if selection.isdecimal():
        return max(0, len(names) - int(selection))
    if selection in names:
        return names.index(selection)
    raise WeightsError(unknown_layer("trained", selection, "the base", names, "all, none, a number of last layers"))

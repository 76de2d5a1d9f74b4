"""Which layers of a base that was trained before are trained again, and how its frozen normalisation behaves."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import keras

from trainables.errors import WeightsError, unknown_layer
from trainables.layers.batch_normalization import BatchNormalization

ALL: Final = "all"
NONE: Final = "none"
TRAINING: Final = "training"


def thaw(base: Sequence[keras.layers.Layer], trained: str) -> None:
    """Trains the layers of a base that are asked for, and freezes the others.

    Args:
        base: its layers, from the first to the last.
        trained: `all`, `none`, how many of the last ones, or the name of the layer from which on.

    Raises:
        WeightsError: if there is no such layer; names those near it.
    """
    first = first_trained([layer.name for layer in base], trained)
    for place, layer in enumerate(base):
        layer.trainable = place >= first


def by_batches(model: keras.Model, base: Collection[str]) -> keras.Model:
    """A copy of a model in which frozen batch normalisation of these layers goes by each batch in training.

    Frozen, Keras' layers go by their averages, as they should; this shows what it does if they do not.
    """

    def copied(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in base and not layer.trainable and isinstance(layer, keras.layers.BatchNormalization):
            return BatchNormalization.from_config({**config, "by_batch": True})
        return type(layer).from_config(config)

    made = keras.models.clone_model(model, clone_function=copied)
    made.set_weights(model.get_weights())
    return made


def first_trained(names: Sequence[str], trained: str) -> int:
    """The place of the first layer that is trained; behind the last, if none is.

    Raises:
        WeightsError: if there is no such layer.
    """
    if trained == ALL:
        return 0
    if trained == NONE:
        return len(names)
    if trained.isdecimal():
        return max(0, len(names) - int(trained))
    if trained in names:
        return names.index(trained)
    raise WeightsError(unknown_layer("trained", trained, "the base", names, "all, none, a number of last layers"))

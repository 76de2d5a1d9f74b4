"""A sheet of pictures of each class: the arrays that a model is given, with and without augmentation."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layersweep.data_check.collection import TRAIN, Collection
from layersweep.data_check.thumbnails import Bytes
from trainables.data.pictures.picture_list import Fitting
from trainables.hardware import without_stderr
from trainables.keys import Keys

_MOST_A_CLASS: Final = 6
_MOST_PICTURES: Final = 120
_MOST_CLASSES: Final = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class SheetRow:
    """Some pictures of a class.

    Attributes:
        label: the index of the class.
        indices: of the pictures.
        plain: as validation reads them, (k, height, width, channels).
        augmented: as training may read them; None without augmentation.
    """

    label: int
    indices: Sequence[int]
    plain: Bytes
    augmented: Bytes | None


def sheet(pictures: Collection, config: Keys) -> list[SheetRow]:
    """A row for each class, with fewer pictures where there are many classes; the first classes if there are very many.

    Raises:
        OSError: if a picture cannot be read any more.
    """
    labels = range(min(len(pictures.classes), _MOST_CLASSES))
    number = max(1, min(_MOST_A_CLASS, _MOST_PICTURES // len(labels)))
    fitting = Fitting(image_size=config.image_size, fit=config.fit, resizing=config.resizing)
    rows, network = [], None
    for label in labels:
        indices = _spread(np.flatnonzero((pictures.labels == label) & (pictures.parts == TRAIN)).tolist(), number)
        if not indices:
            continue
        stored = pictures.images(indices, fitting)
        shape = stored.shape[1:]
        if config.augmented or config.shape(shape) != shape:
            network = network or _network(config, shape)
            plain, augmented = (_pixels(network(stored, training=training)) for training in (False, True))
            rows.append(
                SheetRow(label=label, indices=indices, plain=plain, augmented=augmented if config.augmented else None)
            )
        else:
            rows.append(SheetRow(label=label, indices=indices, plain=stored, augmented=None))
    return rows


def _spread(indices: Sequence[int], number: int) -> list[int]:
    """At most so many of the indices, evenly spread."""
    if len(indices) <= number:
        return list(indices)
    return [indices[k * len(indices) // number] for k in range(number)]


def _network(config: Keys, shape: tuple[int, int, int]) -> Any:
    """The layers in front of every model."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with without_stderr():
        import keras

        from trainables.layers.preprocessing import pictures

        keras.utils.set_random_seed(0)
        return keras.Model(*pictures(config, shape))


def _pixels(values: Any) -> Bytes:
    return np.asarray(np.clip(np.asarray(values).round(), 0, 255), dtype=np.uint8)

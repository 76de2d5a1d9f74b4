"""What a model is trained and read on: images, or their features where a part of it is frozen, computed once."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainables.data.arrays import Images, ImageSet, Sets
from trainables.data.dataset import Data
from trainables.errors import DataError
from trainables.features.feature_cache import Augmented, Base, Features, refused
from trainables.measures import model_measures
from trainables.training.random_states import reseed
from trainables.training.traced_models import Traced


@dataclass(frozen=True, kw_only=True)
class Fed:
    """Three sets, as images or as features.

    Attributes:
        trained: training sets that epochs go round: one, or a view of augmented images each.
        validation: the validation set.
        test: the test set.
    """

    trained: Sequence[ImageSet]
    validation: ImageSet
    test: ImageSet

    def of_epoch(self, epoch: int) -> ImageSet:
        """The training set of an epoch; epochs count from 1."""
        return self.trained[(epoch - 1) % len(self.trained)]


def fed(model: Traced, data: Data, sets: Sets, *, views: int, precision: str) -> Fed:
    """The sets as a model takes them: features of what is frozen, computed where they are not there yet.

    A model whose features are not worth their space, or have none, is run through on the images themselves.

    Raises:
        DataError: if the features of views are asked for and cannot be kept, or the cache cannot be written.
    """
    problem = refused(len(sets.train.labels) * max(1, views), model.frozen.shape) if model.frozen else None
    if views and (problem or not model.frozen):
        why = problem or "the model has no frozen part whose features are worth storing"
        raise DataError(f"augmented_views={views} is not valid: {why}; valid: 0")
    if problem:
        sys.stdout.write(f"{problem}\n")  # into the trial's log
        sys.stdout.flush()
        model.run_through()
    if not model.frozen:
        return Fed(trained=[sets.train], validation=sets.validation, test=sets.test)
    found = Features.of(data, model.frozen.digest, model.frozen.shape, precision=precision)
    seen = found.sets(sets, numbers(model.frozen.base), training=not views)
    trained = found.views(sets.train, _augmented(model.frozen.base), views) if views else [seen.train]
    return Fed(trained=trained, validation=seen.validation, test=seen.test)


def numbers(base: keras.Model) -> Base:
    """A base as it is needed to keep its features."""
    forward = model_measures.forward(base)
    return lambda images: forward(tf.constant(images)).numpy().astype(np.float32)


def _augmented(base: keras.Model) -> Augmented:
    """A base behind its random layers, whose draws belong to the view and the batch."""
    forward = model_measures.forward(base, training=True)

    def features(images: Images, view: int, batch: int) -> npt.NDArray[np.float32]:
        reseed(base, view, batch)
        return np.asarray(forward(tf.constant(images)), dtype=np.float32)

    return features

"""The inputs of a training: images, or their features if a part of the model is frozen; features are computed once."""

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
from trainables.features.feature_cache import AugmentedBase, Base, Features, space_problem
from trainables.measures import model_measures
from trainables.training.random_states import reseed
from trainables.training.traced_models import TracedModel


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The three sets, as images or as features.

    Attributes:
        train_sets: the training sets, which epochs use in turn: one, or one for each view of augmented images.
        validation: the validation set.
        test: the test set.
    """

    train_sets: Sequence[ImageSet]
    validation: ImageSet
    test: ImageSet

    def of_epoch(self, epoch: int) -> ImageSet:
        """The training set of an epoch; epochs count from 1."""
        return self.train_sets[(epoch - 1) % len(self.train_sets)]


def prepare_inputs(model: TracedModel, data: Data, sets: Sets, *, views: int, precision: str) -> Inputs:
    """The inputs of a model: features if it has a frozen part; features that are missing are computed.

    Without a frozen part, or without space for its features, the inputs are the images themselves.

    Raises:
        DataError: if `views` needs features that cannot be stored, or the cache cannot be written.
    """
    problem = space_problem(len(sets.train.labels) * max(1, views), model.split.shape) if model.split else None
    if views and (problem or not model.split):
        reason = problem or "the model has no frozen part whose features are worth storing"
        raise DataError(f"augmented_views={views} is not valid: {reason}; valid: 0")
    if problem:
        sys.stdout.write(f"{problem}\n")  # goes to the trial's log
        sys.stdout.flush()
        model.ignore_frozen_part()
    if not model.split:
        return Inputs(train_sets=[sets.train], validation=sets.validation, test=sets.test)
    features = Features.of(data, model.split.digest, model.split.shape, precision=precision)
    feature_sets = features.sets(sets, base_function(model.split.base), training=not views)
    train_sets = (
        features.views(sets.train, _augmented_base_function(model.split.base), views) if views else [feature_sets.train]
    )
    return Inputs(train_sets=train_sets, validation=feature_sets.validation, test=feature_sets.test)


def base_function(base: keras.Model) -> Base:
    """A function that computes the features of images by a frozen base."""
    forward = model_measures.forward(base)
    return lambda images: forward(tf.constant(images)).numpy().astype(np.float32)


def _augmented_base_function(base: keras.Model) -> AugmentedBase:
    """The same after the base's random layers, whose draws depend on the view and the batch alone."""
    forward = model_measures.forward(base, training=True)

    def compute(images: Images, view: int, batch: int) -> npt.NDArray[np.float32]:
        reseed(base, view, batch)
        return np.asarray(forward(tf.constant(images)), dtype=np.float32)

    return compute

"""What the arms of a command need of the data: the sizes of pictures, and the classes by their indices."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.tuned_arms import TunedArm
from search_spaces.ranges import Range
from trainables import config as domains
from trainables.data.class_names import index_text
from trainables.data.dataset import Data
from trainables.data.pictures.picture_list import Fitting
from trainables.errors import DataError
from trainables.keys import Keys

_CLASSES: Final = "classes"
_FITTING: Final = ("image_size", "fit", "resizing")
"""The keys that say which pictures a trial gets."""


def fittings(arms: Sequence[Arm], tuned_arms: Sequence[TunedArm]) -> Iterator[Fitting]:
    """The sizes of pictures that the trials of these arms may need.

    Raises:
        UsageError: if a search draws the size from a range: pictures are stored at each size.
    """
    for arm in arms:
        yield _fitting(arm.config)
    for tuned in tuned_arms:
        spaces = []
        for key in _FITTING:
            values = tuned.search_space.get(key)
            if isinstance(values, Range):
                raise UsageError(
                    f"arm {tuned.name}: {key} is searched from {values.low:g} to {values.high:g}, but pictures are "
                    f"stored at each size; valid: some sizes, such as --set {key}=32,64,96"
                )
            spaces.append([{key: value} for value in values] if values else [{}])
        for choice in itertools.product(*spaces):
            searched_values = {key: value for values in choice for key, value in values.items()}
            yield _fitting(domains.make(tuned.config_type, {**tuned.fixed_values, **searched_values}))


def _fitting(config: domains.Dataclass) -> Fitting:
    return Fitting(**{key: getattr(config, key) for key in _FITTING}) if isinstance(config, Keys) else Fitting()


def class_text(arm: str, classes: str, data: Data) -> str:
    """The classes of an arm as indices: what its configuration and its trials' ids hold.

    Raises:
        UsageError: if there is no such class.
    """
    try:
        # What was recorded of other data sets has indices as they were given. Those of people's pictures are new.
        return index_text(classes, data.classes, data.name, literal=data.native is None)
    except DataError as error:
        raise UsageError(f"arm {arm}: {error}") from error


def with_class_indices(arm: TunedArm, data: Data) -> TunedArm:
    """A tuned arm with the names of classes as indices.

    Raises:
        UsageError: if there is no such class.
    """
    fixed_values, search_space = dict(arm.fixed_values), dict(arm.search_space)
    if _CLASSES in fixed_values:
        fixed_values[_CLASSES] = class_text(arm.name, str(fixed_values[_CLASSES]), data)
    choices = search_space.get(_CLASSES)
    if choices is not None and not isinstance(choices, Range):
        search_space[_CLASSES] = [*dict.fromkeys(class_text(arm.name, str(value), data) for value in choices)]
    return replace(arm, fixed_values=fixed_values, search_space=search_space)

"""The hyperparameter keys that every family has: how images are prepared, and how the model is trained."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final

from trainables.config import Value, between, check, one_of, text
from trainables.errors import ConfigError, DataError
from trainables.optimizers import LEARNING_RATES

GREY: Final = 1
COLOUR: Final = 3
EVERY_LAYER: Final = "all"
EVERY_CLASS: Final = "all"
UNWEIGHTED: Final = "none"
WITH_MOMENTUM: Final = ("sgd", "rmsprop")

IMAGE: Final = "image"
"""The name of a network's input."""
NUMBERS: Final = "numbers"
COLOURED: Final = "colour"
PICTURE_LAYERS: Final = frozenset(
    {NUMBERS, "random_flip", "random_shift", "random_rotate", "random_zoom", "random_contrast", "resizing", COLOURED}
)
"""The names of the layers that prepare its images (`trainables.layers.preprocessing`)."""

_CLASSES: Final = r"\S(.*\S)?"
_INDICES: Final = r"\d+(-\d+)?(\+\d+(-\d+)?)*"
_LARGEST_DENOMINATOR: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The base class of a family's Config. An optional key counts as part of a trial only if it is set.

    Attributes:
        minimum_size: the smallest height and width, in pixels, that the family's layers can process.
        colour: whether the family needs colour images; grey images then get three equal channels.
    """

    minimum_size: ClassVar[int] = 1
    colour: ClassVar[bool] = False

    image_size: int = between(0, 0, 1024, "height and width of resized images, pixels; 0: not resized", optional=True)
    resizing: str = one_of("bilinear", ("bilinear", "nearest"), "how images are resized", optional=True)
    fit: str = one_of(
        "stretch", ("stretch", "crop", "pad"), "how images of other proportions are resized: their proportions change, "
        "the edges are cut off, or black bars are added", optional=True,
    )  # fmt: skip
    channels: int = one_of(
        0, (0, GREY, COLOUR), "1 makes images grey, 3 makes them coloured; 0: unchanged", optional=True
    )
    flip: str = one_of(
        "none", ("none", "horizontal", "vertical", "both"), "how training images are mirrored at random", optional=True
    )
    shift: float = between(0.0, 0, 0.5, "largest random shift, share of height and width", optional=True)
    rotate: float = between(0.0, 0, 180, "largest random rotation, degrees", optional=True)
    zoom: float = between(0.0, 0, 0.9, "largest random zoom in and out, share of the size", optional=True)
    contrast: float = between(0.0, 0, 1, "largest random change of contrast, as a share", optional=True)
    augmented_views: int = between(
        0, 0, 1000, "augmented versions of each image that a frozen base computes once; 0: new ones in each epoch",
        optional=True,
    )  # fmt: skip
    classes: str = text(
        EVERY_CLASS,
        _CLASSES,
        "all; names or indices such as cats+dogs, 0-4 or 0+2+5-7; or all but these, such as without:cats",
        "classes that the network learns",
        optional=True,
    )
    class_weight: str = one_of(
        UNWEIGHTED,
        (UNWEIGHTED, "balanced"),
        "weights of the training loss; balanced: all classes count equally",
        optional=True,
    )
    oversample: bool = one_of(
        False, (False, True), "whether an epoch shows all classes equally often, rare images repeatedly", optional=True
    )
    train_share: float = between(
        1.0, 0, 1, "share of the training images; a smaller one is part of a larger", above=True, optional=True
    )
    validation_share: float = between(
        0.0, 0, 0.9, "share of the training file for validation; 0: one sixth", optional=True
    )
    optimizer: str = one_of("adam", tuple(LEARNING_RATES), "Keras optimizer")
    learning_rate: float | None = between(
        None, 0, 100, "learning rate; None: the optimizer's default in Keras", above=True, scale="log"
    )
    momentum: float = between(0.0, 0, 0.9999, "momentum of sgd and rmsprop; 0: none", optional=True)
    batch_size: int = between(32, 1, 1_000_000, "images per training step", scale="log", step=2)
    normalization_momentum: float = between(
        0.0, 0, 0.9999, "momentum of batch normalisation's averages; 0: the network's own, 0.99 or 0.999, with which "
        "validation lags behind training for hundreds of steps", optional=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Fills in the learning rate and checks every value."""
        if self.learning_rate is None and isinstance(self.optimizer, str) and self.optimizer in LEARNING_RATES:
            object.__setattr__(self, "learning_rate", LEARNING_RATES[self.optimizer])
        check(self)
        if self.momentum and self.optimizer not in WITH_MOMENTUM:
            raise ConfigError(
                f"momentum={self.momentum:g} is not valid with optimizer={self.optimizer}; valid: 0, or with "
                f"{' or '.join(WITH_MOMENTUM)}"
            )

    @classmethod
    def inactive(cls, values: Mapping[str, Value | None]) -> frozenset[str]:
        """The keys that do nothing beside the values of the others, such as `momentum` with `optimizer=adam`.

        `values` are those of all keys. In a grid or a search an inactive key has its default, so that configurations
        that differ only in it are one. A Config that overrides this adds its keys to those of `super()`. An answer must
        not depend on the value of an inactive key.
        """
        return frozenset() if values["optimizer"] in WITH_MOMENTUM else frozenset({"momentum"})

    @property
    def augmented(self) -> bool:
        """Whether training images are changed at random."""
        return self.flip != "none" or any((self.shift, self.rotate, self.zoom, self.contrast))

    @property
    def uncached(self) -> bool:
        """Whether a frozen base runs in each epoch, because each epoch augments the images anew."""
        freezes = getattr(self, "trained", EVERY_LAYER) != EVERY_LAYER and getattr(self, "begin", "") != "scratch"
        return freezes and self.augmented and not self.augmented_views

    @property
    def enlarged(self) -> int:
        """The factor by which the family itself enlarges images before its first layer."""
        return 1

    def shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Height, width and channels of the family's input for images of this shape."""
        height, width, channels = image_shape
        size = (self.image_size, self.image_size) if self.image_size else (height, width)
        return *size, self.channels or (COLOUR if self.colour else channels)

    def changes_channels(self, image_shape: tuple[int, int, int]) -> bool:
        """Whether the family changes the images' channels although `channels` is not set."""
        return not self.channels and self.shape(image_shape)[-1] != image_shape[-1]

    def check_shape(self, image_shape: tuple[int, int, int], family: str) -> None:
        """Refuses images that the family cannot process.

        Raises:
            ConfigError: names the family, what it needs, and the key to set.
        """
        height, width, channels = self.shape(image_shape)
        minimum = -(-self.minimum_size // self.enlarged)
        if min(height, width) < minimum:
            raise ConfigError(
                f"{family} needs images of {minimum}x{minimum} pixels or more, but these have {height}x{width}; valid: "
                f"image_size={minimum} or more"
            )
        if self.colour and channels != COLOUR:
            raise ConfigError(f"{family} needs images of 3 channels, but these have {channels}; valid: channels=3")

    def class_indices(self, classes: int) -> tuple[int, ...]:
        """The indices of the classes that the network learns, out of this number of classes.

        Names of classes must have been replaced by their indices (`trainables.data.class_names`).

        Raises:
            DataError: if it has names, an index is too large, or there are fewer than two classes.
        """
        if self.classes == EVERY_CLASS:
            return tuple(range(classes))
        if not re.fullmatch(_INDICES, self.classes):
            raise DataError(f"classes={self.classes} is not valid; valid: at least two of 0 to {classes - 1}")
        spans = [[int(end) for end in span.split("-")] for span in self.classes.split("+")]
        indices = sorted({index for span in spans for index in range(span[0], span[-1] + 1)})
        if len(indices) < 2 or indices[-1] >= classes:  # noqa: PLR2004 (a classifier needs two classes)
            raise DataError(f"classes={self.classes} is not valid; valid: at least two of 0 to {classes - 1}")
        return tuple(indices)

    @property
    def first_phase(self) -> tuple["Keys", int] | None:
        """The configuration and epochs of a first training whose weights this one starts from; None without one."""
        return None

    @property
    def holdout(self) -> Fraction | None:
        """The share of the training file for validation; None for the data set's own share."""
        share = Fraction(self.validation_share).limit_denominator(_LARGEST_DENOMINATOR)
        return max(share, Fraction(1, _LARGEST_DENOMINATOR)) if self.validation_share else None

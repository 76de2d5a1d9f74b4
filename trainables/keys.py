"""The keys that every family has: how images reach the model, and how it is trained."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final

from trainables.config import between, check, one_of, text
from trainables.errors import ConfigError, DataError
from trainables.keras_names import LEARNING_RATES

GREY: Final = 1
COLOUR: Final = 3
EVERY_LAYER: Final = "all"
EVERY_CLASS: Final = "all"
WITH_MOMENTUM: Final = ("sgd", "rmsprop")

_CLASSES: Final = r"all|\d+(-\d+)?(\+\d+(-\d+)?)*"
_FINEST: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What a family's Config inherits; one whose default is "as it is" belongs to a trial only where it is set.

    Attributes:
        minimum_size: the least height and width, pixels, that the family's layers leave something of.
        colour: whether the family takes colour images alone: grey ones are then given three equal channels.
    """

    minimum_size: ClassVar[int] = 1
    colour: ClassVar[bool] = False

    image_size: int = between(0, 0, 1024, "height and width that images are resized to, pixels; 0: none", optional=True)
    resizing: str = one_of("bilinear", ("bilinear", "nearest"), "how images are resized", optional=True)
    channels: int = one_of(0, (0, GREY, COLOUR), "1 makes images grey, 3 coloured; 0: as they are", optional=True)
    flip: str = one_of(
        "none", ("none", "horizontal", "vertical", "both"), "training images are mirrored at random", optional=True
    )
    shift: float = between(0.0, 0, 0.5, "largest random shift, share of height and width", optional=True)
    rotate: float = between(0.0, 0, 180, "largest random rotation, degrees", optional=True)
    zoom: float = between(0.0, 0, 0.9, "largest random zoom in and out, share of the size", optional=True)
    contrast: float = between(0.0, 0, 1, "largest random change of contrast, as a share", optional=True)
    augmented_views: int = between(
        0, 0, 1000, "ways in which a frozen base sees each augmented image, computed once; 0: new ones each epoch",
        optional=True,
    )  # fmt: skip
    classes: str = text(
        EVERY_CLASS, _CLASSES, "all, or indices such as 3, 0-4 or 0+2+5-7", "classes that are told apart", optional=True
    )
    train_share: float = between(
        1.0, 0, 1, "share of the training images; a smaller one is part of a larger", above=True, optional=True
    )
    validation_share: float = between(
        0.0, 0, 0.9, "share of the training file that validates; 0: a sixth", optional=True
    )
    optimizer: str = one_of("adam", tuple(LEARNING_RATES), "Keras optimizer")
    learning_rate: float | None = between(None, 0, 100, "step size; None: the optimizer's own in Keras", above=True)
    momentum: float = between(0.0, 0, 0.9999, "of sgd and rmsprop; 0: none", optional=True)
    batch_size: int = between(32, 1, 1_000_000, "images a training step")
    normalization_momentum: float = between(
        0.0, 0, 0.9999, "momentum of batch normalisation's averages; 0: the network's own, .99 or .999, with which "
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

    @property
    def augmented(self) -> bool:
        """Whether training images are changed at random."""
        return self.flip != "none" or any((self.shift, self.rotate, self.zoom, self.contrast))

    @property
    def uncached(self) -> bool:
        """Whether a frozen base is run in each epoch, since images are augmented anew each time."""
        freezes = getattr(self, "trained", EVERY_LAYER) != EVERY_LAYER and getattr(self, "begin", "") != "scratch"
        return freezes and self.augmented and not self.augmented_views

    @property
    def enlarged(self) -> int:
        """By which factor the family itself enlarges images before its first layer."""
        return 1

    def shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Height, width and channels that the family sees of images of this shape."""
        height, width, channels = image_shape
        size = (self.image_size, self.image_size) if self.image_size else (height, width)
        return *size, self.channels or (COLOUR if self.colour else channels)

    def recoloured(self, image_shape: tuple[int, int, int]) -> bool:
        """Whether the family gives images other channels without being asked."""
        return not self.channels and self.shape(image_shape)[-1] != image_shape[-1]

    def check_shape(self, image_shape: tuple[int, int, int], family: str) -> None:
        """Refuses images that the family cannot take.

        Raises:
            ConfigError: naming the family, what it needs, and the key that gives it.
        """
        height, width, channels = self.shape(image_shape)
        least = -(-self.minimum_size // self.enlarged)
        if min(height, width) < least:
            raise ConfigError(
                f"{family} needs images of {least}x{least} pixels or more, but these have {height}x{width}; valid: "
                f"image_size={least} or more"
            )
        if self.colour and channels != COLOUR:
            raise ConfigError(f"{family} needs images of 3 channels, but these have {channels}; valid: channels=3")

    def chosen(self, classes: int) -> tuple[int, ...]:
        """The indices of the classes that are told apart, of so many.

        Raises:
            DataError: for an index that there is not, or fewer than two classes.
        """
        if self.classes == EVERY_CLASS:
            return tuple(range(classes))
        spans = [[int(end) for end in span.split("-")] for span in self.classes.split("+")]
        found = sorted({index for span in spans for index in range(span[0], span[-1] + 1)})
        if len(found) < 2 or found[-1] >= classes:  # noqa: PLR2004 (two classes are the fewest to tell apart)
            raise DataError(f"classes={self.classes} is not valid; valid: at least two of 0 to {classes - 1}")
        return tuple(found)

    @property
    def first_phase(self) -> tuple["Keys", int] | None:
        """The configuration and epochs of a training that comes before this one, which goes on from its weights."""
        return None

    @property
    def validating(self) -> Fraction | None:
        """The share of the training file that validates; None for what the data set says."""
        share = Fraction(self.validation_share).limit_denominator(_FINEST)
        return max(share, Fraction(1, _FINEST)) if self.validation_share else None

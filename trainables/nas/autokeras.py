"""The family of AutoKeras' networks; trainables/nas/configuration.py has its `Config`."""

from typing import TYPE_CHECKING

from trainables import hardware
from trainables.families.family import trains
from trainables.nas.configuration import Config
from trainables.worker import warm_up

if TYPE_CHECKING:
    import keras

__all__ = ["Config", "build", "imports", "train"]


def imports() -> None:
    """Imports the packages that AutoKeras' networks need, for a training on one thread."""
    warm_up.imports()
    with hardware.without_packages("pandas", "matplotlib"):
        import trainables.nas.blocks  # noqa: F401


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: takes uint8 images (batch, *image_shape), returns probabilities (batch, classes)."""
    from trainables.nas.blocks import build_model, with_values

    return build_model(config, with_values(config.values), image_shape, classes)


train = trains(build)

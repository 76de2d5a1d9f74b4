"""The family of AutoKeras' networks: `Config` says which one (see trainables/nas/configuration.py)."""

from typing import TYPE_CHECKING

from trainables import hardware
from trainables.families.family import trains
from trainables.nas.configuration import Config
from trainables.worker import warm_up

if TYPE_CHECKING:
    import keras

__all__ = ["Config", "build", "imports", "train"]


def imports() -> None:
    """Imports what networks of AutoKeras need, for a slot of one thread."""
    warm_up.imports()
    with hardware.left_out("pandas", "matplotlib"):
        import trainables.nas.blocks  # noqa: F401


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out."""
    from trainables.nas.blocks import built, of_values

    return built(config, of_values(config.values), image_shape, classes)


train = trains(build)

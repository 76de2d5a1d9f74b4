"""What makes a family of its Config and its layers: `classifier`, `trains`, and how a `train` is named."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from layersweep.records.values import Built, Epoch
from trainables.data.dataset import Data

if TYPE_CHECKING:
    import keras

    from trainables.training.loop import Build

Train = Callable[..., Iterator[Built | Epoch]]

Tensor = Any
"""A `keras.KerasTensor`: Keras has no types."""


def classifier(layers: Callable[[Any, Tensor], Tensor]) -> "Build":
    """The `build` of a family that adds its layers to images of 0 to 1, and classifies what comes out by softmax.

    Args:
        layers: adds them: `layers(config, x)`, the first annotated with a Config. The model is named after its module.
    """
    name = layers.__module__.rpartition(".")[2]

    def build(config: Any, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
        """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out."""
        import keras

        from trainables.layers.preprocessing import pictures

        image, x = pictures(config, image_shape)
        x = layers(config, keras.layers.Rescaling(1 / 255)(x))
        return keras.Model(image, keras.layers.Dense(classes, activation="softmax", dtype="float32")(x), name=name)

    build.__module__ = layers.__module__
    build.__annotations__["config"] = layers.__annotations__["config"]
    return build


def trains(build: "Build") -> Train:
    """The `train` of a family, which belongs to the module of its `build`: Keras is imported when it is called.

    Args:
        build: makes the model, not compiled: `build(config, image_shape, classes)`, the first annotated with a Config.
    """

    def train(config: Any, data: Data, **options: Any) -> Iterator[Built | Epoch]:
        """Trains the family: `trainables.training.loop.run` says with which options, and what is yielded."""
        from trainables.training.loop import run

        return run(build, config, data, **options)

    train.__module__, train.__qualname__ = build.__module__, "train"
    train.__annotations__["config"] = build.__annotations__["config"]
    return train


def name_of(train: Train) -> str:
    """The name of the family that a `train` belongs to: of a row of a table, or else of a module."""
    owner = train.__qualname__.rpartition(".")[0]
    return owner if owner.isidentifier() else train.__module__.rpartition(".")[2]

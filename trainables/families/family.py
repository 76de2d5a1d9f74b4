"""Makes a family from its Config and its layers: `classifier`, `trains`; and the name of a family, `name_of`."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from layersweep.records.values import Epoch, NetworkSummary
from trainables.data.dataset import Data

if TYPE_CHECKING:
    import keras

    from trainables.training.loop import Build

Train = Callable[..., Iterator[NetworkSummary | Epoch]]

Tensor = Any
"""A `keras.KerasTensor`: Keras has no types."""


def classifier(layers: Callable[[Any, Tensor], Tensor]) -> "Build":
    """The `build` of a family whose layers stand between images scaled to 0 to 1 and a softmax over the classes.

    Args:
        layers: adds the layers: `layers(config, x)`, with `config` annotated as a Config. The model is named after the
            module of this function.
    """
    name = layers.__module__.rpartition(".")[2]

    def build(config: Any, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
        """The model, not compiled: takes uint8 images (batch, *image_shape), returns probabilities (batch, classes)."""
        import keras

        from trainables.layers.preprocessing import pictures

        image, x = pictures(config, image_shape)
        x = layers(config, keras.layers.Rescaling(1 / 255)(x))
        return keras.Model(image, keras.layers.Dense(classes, activation="softmax", dtype="float32")(x), name=name)

    build.__module__ = layers.__module__
    build.__annotations__["config"] = layers.__annotations__["config"]
    return build


def trains(build: "Build") -> Train:
    """The `train` of a family; it counts as a function of the module of `build`, and imports Keras when it is called.

    Args:
        build: makes the model, not compiled: `build(config, image_shape, classes)`; `config` is annotated as a Config.
    """

    def train(config: Any, data: Data, **options: Any) -> Iterator[NetworkSummary | Epoch]:
        """Trains the family; the options are the fields of `trainables.training.loop.TrainingOptions`."""
        from trainables.training.loop import TrainingOptions, run

        return run(build, config, data, TrainingOptions(**options))

    train.__module__, train.__qualname__ = build.__module__, "train"
    train.__annotations__["config"] = build.__annotations__["config"]
    return train


def name_of(train: Train) -> str:
    """The name of the family of a `train`: its row in the table of keras.applications, or else its module."""
    row = train.__qualname__.rpartition(".")[0]
    return row if row.isidentifier() else train.__module__.rpartition(".")[2]

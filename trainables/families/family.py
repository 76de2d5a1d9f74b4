"""What makes a family of its Config and its `build`: `train = trains(build)`."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from layersweep.records.values import Built, Epoch
from trainables.data.dataset import Data

if TYPE_CHECKING:
    from trainables.training.loop import Build

Train = Callable[..., Iterator[Built | Epoch]]


def trains(build: "Build[Any]") -> Train:
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

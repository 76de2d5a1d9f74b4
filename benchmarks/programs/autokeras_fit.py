"""AutoKeras' own search: its AutoModel with the greedy tuner, one JSON line per epoch, until the budget is spent.

Everything has AutoKeras' defaults (its training loop and callbacks, batch size 32, TensorFlow's number of threads),
with two exceptions: changes that it needs to run on Keras 3.15, and a space equal to that of
`sweeps/nas_candidates.py`: plain and residual networks with random weights at the images' own size. AutoKeras has had
no time limit since 1.0, so a callback ends the search.
"""

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

import tyro

from trainables.data.dataset import Data, prepare
from trainables.nas.configuration import Config

_START: Final = time.time()
"""When this process began, without the tenths of a second that Python's start takes; Keras is imported later."""

_CANDIDATES: Final = 1_000_000
"""A number of candidates that no budget reaches."""

SPACE: Final = Config(block="vanilla+resnet")
"""The same space as a configuration of the sweep."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What to search, and for how long."""

    out: Path
    """The file of JSON lines to write."""
    seconds: float
    """The time limit of the whole process."""
    images: int = 2_000
    """Training images; the validation set shrinks in proportion."""
    epochs: int = 3
    """Epochs of a candidate."""
    seed: int = 1
    """AutoKeras' seed."""
    data_seed: int = 1
    """The seed that draws the validation images."""
    start_time: Annotated[float | None, tyro.conf.arg(name="began")] = None
    """When the process was started, seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One epoch: seconds since the process began, the candidate (counted from 1), the epoch, and its results."""

    seconds: float
    candidate: int
    epoch: int
    val_accuracy: float
    parameters: int


def read_lines(path: Path) -> list[Line]:
    """The lines that the program wrote."""
    return [Line(**json.loads(line)) for line in path.read_text().splitlines()]


def auto_model(seed: int, folder: Path) -> Any:
    """AutoKeras' AutoModel of the space, not fitted; its files go to `folder`."""
    import autokeras
    from keras_tuner import Objective

    from trainables.nas.blocks import first_candidates

    images = autokeras.ImageInput()
    return autokeras.AutoModel(
        inputs=images,
        outputs=_head()(_image_block()(images)),
        objective=Objective("val_accuracy", "max"),
        tuner="greedy",
        max_trials=_CANDIDATES,
        initial_hps=first_candidates(SPACE),
        directory=folder,
        overwrite=True,
        seed=seed,
    )


def _image_block() -> Any:
    """AutoKeras' image block of the space: plain and residual networks at the images' own size."""
    import autokeras
    from autokeras.blocks import basic, preprocessing

    class OwnSize(autokeras.ResNetBlock):
        """A residual network that never enlarges images to 224 pixels."""

        def build(self, hp: Any, inputs: Any = None) -> Any:
            hp.Fixed("imagenet_size", False)
            return super().build(hp, inputs)

    class TwoKinds(autokeras.ImageBlock):
        """AutoKeras' image block with a choice of normalisation, of augmentation, and of two kinds of networks."""

        def build(self, hp: Any, inputs: Any = None) -> Any:
            (x,) = inputs
            if hp.Boolean("normalize"):
                with hp.conditional_scope("normalize", [True]):
                    x = preprocessing.Normalization().build(hp, x)
            if hp.Boolean("augment"):
                with hp.conditional_scope("augment", [True]):
                    x = preprocessing.ImageAugmentation().build(hp, x)
            kind = hp.Choice("block_type", ["resnet", "vanilla"])
            with hp.conditional_scope("block_type", [kind]):
                if kind == "resnet":
                    return OwnSize(pretrained=False, name="res_net_block_1").build(hp, x)
                return basic.ConvBlock().build(hp, x)

    return TwoKinds(name="image_block_1")


def _head() -> Any:
    """AutoKeras' classification head, made to work with Keras 3.15."""
    import autokeras

    class Head(autokeras.ClassificationHead):
        """A head whose number of classes is a Python int: Keras 3.15 refuses NumPy's integers as units."""

        def build(self, hp: Any, inputs: Any = None) -> Any:
            self.shape = (int(self.num_classes),)
            return super().build(hp, inputs)

    return Head(name="classification_head_1")


def search(arguments: Arguments, data: Data) -> None:
    """Searches until the budget is spent."""
    import keras
    import keras_tuner
    import numpy as np

    class OutOfTime(keras_tuner.errors.FatalError):
        """The budget is spent; after any other error KerasTuner would continue with the next candidate."""

    class Lines(keras.callbacks.Callback):
        """Writes a line per epoch, and ends the search between two steps."""

        def __init__(self) -> None:
            super().__init__()
            self.candidate = 0

        def __deepcopy__(self, memo: object) -> Self:
            """The same object: KerasTuner copies callbacks for each candidate, and this one counts candidates."""
            return self

        def set_model(self, model: Any) -> None:
            super().set_model(model)
            self.candidate += 1

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            if _elapsed(arguments) >= arguments.seconds:
                raise OutOfTime("the budget is spent")

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            assert logs is not None
            line = Line(
                seconds=_elapsed(arguments),
                candidate=self.candidate,
                epoch=epoch + 1,
                val_accuracy=float(logs["val_accuracy"]),
                parameters=self.model.count_params(),
            )
            with arguments.out.open("a") as file:
                file.write(json.dumps(asdict(line)) + "\n")

    sets = data.split(arguments.data_seed)
    arrays = [np.asarray(array[:]) for one in (sets.train, sets.validation) for array in (one.images, one.labels)]
    arguments.out.write_text("")
    with tempfile.TemporaryDirectory(prefix="autokeras-") as folder:
        try:
            auto_model(arguments.seed, Path(folder)).fit(
                *arrays[:2], validation_data=tuple(arrays[2:]), epochs=arguments.epochs, callbacks=[Lines()], verbose=2
            )
        except OutOfTime as end:
            sys.stdout.write(f"{end}\n")


def _elapsed(arguments: Arguments) -> float:
    """The seconds since the process began."""
    return time.time() - (_START if arguments.start_time is None else arguments.start_time)


if __name__ == "__main__":
    arguments = tyro.cli(Arguments, description=__doc__)
    search(arguments, prepare("fashion_mnist", images=arguments.images))

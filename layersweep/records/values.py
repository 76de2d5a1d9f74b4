"""The values that a training yields: one `Built`, then one `Epoch` after each epoch.

Everything that is recorded about a trial is in one of them, so that a training may be stopped after any of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What is known of a layer once the model is built.

    `filters` counts the filters of a convolution or the units of a dense layer; `kernel`, `stride` and
    `output_shape` are written as `5x5`, `1x1` and `28x28x32` (without the batch).
    """

    index: int
    name: str
    kind: str
    activation: str | None
    filters: int | None
    kernel: str | None
    stride: str | None
    parameters: int
    trainable: bool
    output_shape: str


@dataclass(frozen=True, kw_only=True)
class LayerStatistics:
    """How a layer behaves on the probe batch after an epoch.

    `activation_mean` and `activation_deviation` are over all outputs of the layer; `dead_share` is the share (0 to 1)
    of its units or channels that answer every image and position alike, so that they carry nothing: dead or saturated.
    The norms are Euclidean, of the layer's trainable weights and of the loss' gradient by them; None without weights.
    """

    index: int
    activation_mean: float
    activation_deviation: float
    dead_share: float
    weight_norm: float | None
    gradient_norm: float | None


@dataclass(frozen=True, kw_only=True)
class Built:
    """A model that is ready to train: its size and layers, and what building cost."""

    parameters: int
    trainable_parameters: int
    flops: int
    size_bytes: int
    layers: tuple[Layer, ...]
    seconds_build: float


@dataclass(frozen=True, kw_only=True)
class Test:
    """One reading of the test set."""

    __test__ = False  # pytest: not a test class

    loss: float
    accuracy: float
    images: int


@dataclass(frozen=True, kw_only=True)
class ClassReport:
    """How one class fares: `predicted[k]` counts its images that were taken for class k (a row of the confusion)."""

    set_name: str
    class_index: int
    class_name: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds for one image, warm, batch of 1, on one thread: least, median and 95th percentile of `n` calls.

    What else the machine does makes calls slower, so two runs agree on none of these. They agree on `ratio`, the median
    over the calls of each one's time to that of a fixed computation right behind it, whose least is `reference_ms`.
    """

    min_ms: float
    median_ms: float
    p95_ms: float
    n: int
    ratio: float
    reference_ms: float


@dataclass(frozen=True, kw_only=True)
class Export:
    """A network converted to another form: its file's size, how it does on the validation set, its latency.

    Milliseconds, ratio and reference are as in `Latency`, with a reference of their own. What could not be converted
    has a `problem`, and no numbers.
    """

    form: str
    problem: str | None = None
    size_bytes: int | None = None
    accuracy: float | None = None
    images: int | None = None
    min_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    n: int | None = None
    ratio: float | None = None
    reference_ms: float | None = None


def cannot_save(path: Path) -> None:
    """Stands for `Epoch.save` where the model is out of reach.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(f"this epoch came through a pipe or a file and holds no model to save to {path}")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One finished epoch of a training.

    `loss` and `accuracy` are means over the training images, each as seen before its step; `val_*` are read after the
    epoch. `seconds_build` is what tracing and compiling cost in the first epoch, `seconds_features` what computing
    features of the images cost before it, where the model has a frozen part. Only the last epoch carries test, classes,
    latency and what the network was converted to.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds_build: float
    seconds_train: float
    seconds_validate: float
    seconds_test: float
    seconds_measure: float
    seconds_features: float = 0.0
    statistics: tuple[LayerStatistics, ...] = ()
    test: Test | None = None
    classes: tuple[ClassReport, ...] = ()
    latency: Latency | None = None
    exports: tuple[Export, ...] = ()
    save: Callable[[Path], None] = field(default=cannot_save, compare=False, repr=False)

    @property
    def diverged(self) -> bool:
        """Whether a loss is NaN or infinite."""
        return not (math.isfinite(self.loss) and math.isfinite(self.val_loss))

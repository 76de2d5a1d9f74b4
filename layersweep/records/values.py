"""The values that a training yields: one `NetworkSummary`, then one `Epoch` after each epoch.

They contain everything that is recorded about a trial, so a training can be stopped after any of them.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of a model after it was built.

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


def structure_fingerprint(layers: Iterable[tuple[str, str, int]]) -> str:
    """16 hexadecimal digits that stand for the kinds, output shapes and parameters of layers, without their names."""
    return hashlib.sha256(json.dumps([*layers]).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class LayerStatistics:
    """Measurements of a layer on a fixed batch of images after an epoch.

    `activation_mean` and `activation_deviation` are over all outputs of the layer. `dead_share` is the share (0 to 1)
    of its units or channels that have the same output for every image and position: they are dead or saturated. The
    norms are Euclidean: of the layer's trainable weights, and of the gradient of the loss with respect to them; None
    without weights.
    """

    index: int
    activation_mean: float
    activation_deviation: float
    dead_share: float
    weight_norm: float | None
    gradient_norm: float | None


@dataclass(frozen=True, kw_only=True)
class NetworkSummary:
    """A model that is ready to train: its size, its layers, and the seconds that building it took.

    `fingerprint` stands for what it computes (see `trainables.measures.network_fingerprint`); None if it is no Keras
    model. `normalization_momentum` is the largest momentum of batch normalisation whose averages follow the training;
    None without any.
    """

    parameters: int
    trainable_parameters: int
    flops: int
    size_bytes: int
    layers: tuple[Layer, ...]
    seconds_build: float
    fingerprint: str | None = None
    normalization_momentum: float | None = None


@dataclass(frozen=True, kw_only=True)
class Test:
    """The results of one evaluation on the test set; balanced accuracy and macro F1 as in `Epoch`."""

    __test__ = False  # pytest: not a test class

    loss: float
    accuracy: float
    images: int
    balanced_accuracy: float | None = None
    macro_f1: float | None = None


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """How a set was classified: for each class the number of its images, of its predictions, and of right ones."""

    images: tuple[int, ...]
    predicted: tuple[int, ...]
    hits: tuple[int, ...]

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that occur."""
        return fmean(hits / images for hits, images in zip(self.hits, self.images, strict=True) if images)

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that occur."""
        classes = zip(self.hits, self.images, self.predicted, strict=True)
        return fmean(2 * hits / (images + predicted) for hits, images, predicted in classes if images)


@dataclass(frozen=True, kw_only=True)
class ClassReport:
    """The results of one class; `predicted[k]` counts its images that were classified as class k."""

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
    """Milliseconds for one image (batch of 1, one thread, after warm-up): minimum, median and 95th percentile of `n`
    calls.

    Other work on the machine slows calls down, so these times differ between runs. `ratio` is comparable between runs:
    after each call, a fixed computation is timed, and `ratio` is the median of call time / time of that computation.
    `reference_ms` is the shortest time of the fixed computation.
    """

    min_ms: float
    median_ms: float
    p95_ms: float
    n: int
    ratio: float
    reference_ms: float


@dataclass(frozen=True, kw_only=True)
class Export:
    """A network converted to another form: size of its file, accuracy on the validation set, latency.

    Milliseconds, ratio and reference are as in `Latency`, with their own reference. If the conversion failed, `problem`
    is set and there are no numbers.
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
    """The `Epoch.save` of an epoch without its model.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError(f"this epoch came from a pipe or a file and holds no model to save to {path}")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One finished epoch of a training.

    `loss` and `accuracy` are means over the training images as often as the epoch shows them, each measured before its
    step; with class weights, `loss` is weighted. `val_*` are measured after the epoch. `val_balanced_accuracy` is the
    mean recall of the classes that occur in the validation set, `val_macro_f1` the mean of their F1: both count a rare
    class as much as a frequent one. `train_counts` (each image when it is first shown) and `val_counts` tell whether
    the training learns; they are not recorded, since what is decided of an epoch is. `seconds_build` are the seconds
    for tracing and compiling in the first epoch; `seconds_features` those for computing the features of the images
    before it, if a part of the model is frozen. Only the last epoch has `test`, `classes`, `latency` and `exports`.
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
    val_balanced_accuracy: float | None = None
    val_macro_f1: float | None = None
    train_counts: ClassCounts | None = None
    val_counts: ClassCounts | None = None
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

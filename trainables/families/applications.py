"""The families from keras.applications, in one table: a base as published, its own preprocessing, weights, and a head.

All layers are those of one flat model: each is counted, measured, and may be cut at. `mobilenet_v2`, whose base may be
changed, is a file of its own.
"""

import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from trainables.config import between, one_of, text
from trainables.errors import WeightsError
from trainables.families.family import Tensor, Train, trains
from trainables.keys import Keys

if TYPE_CHECKING:
    import keras

NONE: Final = "none"
IMAGENET: Final = "imagenet"

Layers = Callable[[Tensor], Tensor]
"""Adds layers behind a tensor."""


@dataclass(frozen=True, kw_only=True)
class Application(Keys):
    """Weights, and the head: global average pooling, Dense relu if asked for, Dropout, Dense softmax."""

    colour: ClassVar[bool] = True
    minimum_size: ClassVar[int] = 32

    weights: str = text(
        NONE, r"\S.*", "none, imagenet, or a file's path", "where the base's weights come from", optional=True
    )
    trained: str = text(
        "all", r"\w+", "all, none, a number, or a layer's name", "layers of the base that are trained: so many last "
        "ones, or from one on", optional=True,
    )  # fmt: skip
    normalization: str = one_of(
        "inference", ("inference", "training"), "how frozen batch normalisation behaves", optional=True
    )
    input_range: str = one_of(
        "own", ("own", "raw"), "what the base gets: its own preprocessing, or 0 to 255 as it is", optional=True
    )
    dense_layers: int = between(
        1, 1, 4, "how many dense layers there are, if any, each with its dropout", optional=True
    )
    dense_units: int = between(0, 0, 65536, "units of a dense relu layer before the last one; 0: no such layer")
    dropout: float = between(0.2, 0, 0.95, "share of outputs dropped before the last layer")


@dataclass(frozen=True, kw_only=True)
class Scaled(Application):
    """The width as well."""

    alpha: float = between(1.0, 0.05, 2, "filters of each layer, as a share of the paper's")


@dataclass(frozen=True, kw_only=True)
class From71(Application):
    """On images of 71 pixels or more."""

    minimum_size: ClassVar[int] = 71


@dataclass(frozen=True, kw_only=True)
class From75(Application):
    """On images of 75 pixels or more."""

    minimum_size: ClassVar[int] = 75


def minus_one_to_one(x: Tensor) -> Tensor:
    """Images of 0 to 255 as numbers of -1 to 1, as MobileNet, Xception and Inception want them."""
    from keras import layers

    return layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="preprocessing")(x)


def as_it_is(x: Tensor) -> Tensor:
    """Images of 0 to 255 in float32, where a base is to have no preprocessing."""
    from keras import layers

    return layers.Rescaling(1.0, dtype="float32", name="preprocessing")(x)


def bgr_around_zero(x: Tensor) -> Tensor:
    """Blue, green and red less ImageNet's means, as VGG and ResNet want them."""
    import keras
    from keras import layers

    means = layers.Normalization(
        mean=(103.939, 116.779, 123.68), variance=(1.0, 1.0, 1.0), dtype="float32", name="preprocessing"
    )
    return means(keras.ops.flip(keras.ops.cast(x, "float32"), axis=-1))


def _headed(config: Application, x: Tensor, classes: int) -> Tensor:
    """Adds the head behind a base's output, (batch, height, width, channels)."""
    from keras import layers

    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    for k in range(config.dense_layers - 1 if config.dense_units else 0):
        x = layers.Dense(config.dense_units, activation="relu", name=f"dense_{k + 1}")(x)
        x = layers.Dropout(config.dropout, name=f"dropout_{k + 1}")(x)
    if config.dense_units:
        x = layers.Dense(config.dense_units, activation="relu", name="dense")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(x)


def _take_over(variables: list[Any], source: str, base: Callable[..., "keras.Model"]) -> None:
    """Gives a base's variables the values of an equal one: ImageNet's, or those in a file.

    Raises:
        WeightsError: naming the file and the first variable that does not fit.
    """
    theirs = _loaded(source, base).weights
    if len(variables) != len(theirs):
        raise WeightsError(
            f"weights {source} do not fit: they have {len(theirs)} variables, but the model has {len(variables)}"
        )
    for mine, other in zip(variables, theirs, strict=True):
        if mine.shape != other.shape:
            raise WeightsError(
                f"weights {source} do not fit: {other.path} has the shape {tuple(other.shape)}, "
                f"but the model's {mine.path} has the shape {tuple(mine.shape)}"
            )
        mine.assign(other)


def _loaded(source: str, base: Callable[..., "keras.Model"]) -> "keras.Model":
    """A model with the weights of the source; a whole model in a .keras file is read without running its code."""
    if source == IMAGENET:
        try:
            return base(weights=IMAGENET)
        except ValueError as error:
            raise WeightsError(f"weights imagenet do not fit: {' '.join(str(error).split())}") from error
    path = Path(source)
    if not path.is_file():
        raise WeightsError(f"weights {source}: there is no such file; valid: none, imagenet, or a file's path")
    try:
        with warnings.catch_warnings(action="error", category=UserWarning):  # of layers left as they were
            return _read(path, base)
    except (UserWarning, ValueError, OSError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split())
        raise WeightsError(f"weights {source} do not fit, or are damaged: {said}") from error


def _read(path: Path, base: Callable[..., "keras.Model"]) -> "keras.Model":
    import keras

    if path.suffix == ".keras":
        return keras.saving.load_model(path, safe_mode=True, compile=False)
    model = base(weights=None)
    model.load_weights(path)
    return model


@dataclass(frozen=True, eq=False)
class Published:
    """A family whose base is what a function of keras.applications makes.

    Attributes:
        name: the family's; in this module, too.
        paper: where its base is from.
        base: the function.
        preprocess: brings images of 0 to 255 to what the base wants.
        Config: its keys.
        options: of the function.
    """

    name: str
    paper: str
    base: str
    preprocess: Layers
    Config: type[Application] = Application
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(
        self,
        config: Application,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        enlarge: Layers | None = None,
        cut: "Callable[[keras.Model], Tensor] | None" = None,
    ) -> "keras.Model":
        """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out.

        Args:
            config: the configuration.
            image_shape: height, width and channels of the data set's images.
            classes: how many there are.
            enlarge: layers of the family's own between preprocessing and base.
            cut: what the head stands on, (batch, height, width, channels), given the base; its output, if None.

        Raises:
            WeightsError: if the weights are not found, or do not fit.
        """
        import keras

        from trainables.layers.freezing import TRAINING, by_batches, thaw
        from trainables.layers.preprocessing import pictures

        width = {"alpha": config.alpha} if isinstance(config, Scaled) else {}
        base = partial(getattr(keras.applications, self.base), include_top=False, **self.options, **width)
        image, x = pictures(config, image_shape)
        x = (as_it_is if config.input_range == "raw" else self.preprocess)(x)
        x = enlarge(x) if enlarge else x
        before = {id(layer) for layer in keras.Model(image, x).layers}
        flat = base(weights=None, input_tensor=x)
        mine = [layer for layer in flat.layers if id(layer) not in before]
        thaw(mine, config.trained)
        if config.weights != NONE:
            own = [variable for layer in mine for variable in layer.weights]
            _take_over(own, config.weights, partial(base, input_shape=tuple(x.shape[1:])))
        outputs = _headed(config, cut(flat) if cut else flat.output, classes)
        model = keras.Model(image, outputs, name=self.name)
        return model if config.normalization != TRAINING else by_batches(model, {layer.name for layer in mine})

    @cached_property
    def train(self) -> Train:
        """The family's `train`, which other processes find by the name of its family in this module."""
        train = trains(self.build)
        train.__qualname__ = f"{self.name}.train"
        train.__annotations__["config"] = self.Config
        return train


inception_v3 = Published(
    "inception_v3", "Szegedy et al. 2016, https://arxiv.org/abs/1512.00567", "InceptionV3", minus_one_to_one, From75
)
mobilenet = Published(
    "mobilenet", "Howard et al. 2017, https://arxiv.org/abs/1704.04861", "MobileNet", minus_one_to_one, Scaled
)
mobilenet_v3_small = Published(
    "mobilenet_v3_small",
    "Howard et al. 2019, https://arxiv.org/abs/1905.02244",
    "MobileNetV3Small",
    minus_one_to_one,
    Scaled,
    {"include_preprocessing": False},
)
resnet50 = Published(
    "resnet50", "He, Zhang, Ren & Sun 2016, https://arxiv.org/abs/1512.03385", "ResNet50", bgr_around_zero
)
vgg16 = Published("vgg16", "Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556", "VGG16", bgr_around_zero)
xception = Published("xception", "Chollet 2017, https://arxiv.org/abs/1610.02357", "Xception", minus_one_to_one, From71)

PUBLISHED: Final = (inception_v3, mobilenet, mobilenet_v3_small, resnet50, vgg16, xception)

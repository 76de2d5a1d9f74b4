"""The families of keras.applications: a base as published, its preprocessing, its weights, and a head.

Those that the project's own sweeps compare are listed here, the others in `application_table`. The model is flat: each
layer is counted and measured, and the model can be cut at each. `mobilenet_v2` has its own file, because its base can
be changed.
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
from trainables.families.application_table import OWN, ROWS
from trainables.families.family import Tensor, Train, trains
from trainables.keys import Keys

if TYPE_CHECKING:
    import keras

NONE: Final = "none"
IMAGENET: Final = "imagenet"

Layers = Callable[[Tensor], Tensor]
"""Adds layers after a tensor."""


@dataclass(frozen=True, kw_only=True)
class Application(Keys):
    """Weights, and the head: global average pooling, Dense relu if `dense_units` is set, Dropout, Dense softmax."""

    colour: ClassVar[bool] = True
    minimum_size: ClassVar[int] = 32

    weights: str = text(
        NONE, r"\S.*", "none, imagenet, or a file's path", "where the base's weights come from", optional=True
    )
    trained: str = text(
        "all", r"\w+", "all, none, a number, or a layer's name", "layers of the base that are trained: this number of "
        "last layers, or this layer and all later ones", optional=True,
    )  # fmt: skip
    normalization: str = one_of(
        "inference", ("inference", "training"), "how frozen batch normalisation behaves", optional=True
    )
    input_range: str = one_of(
        "own", ("own", "raw"), "the base's input: its own preprocessing, or raw numbers of 0 to 255", optional=True
    )
    dense_layers: int = between(
        1, 1, 4, "number of dense layers, each with its dropout, if dense_units is not 0", optional=True
    )
    dense_units: int = between(0, 0, 65536, "units of each dense relu layer before the last layer; 0: no such layer")
    dropout: float = between(0.2, 0, 0.95, "share of outputs dropped before the last layer")


@dataclass(frozen=True, kw_only=True)
class Scaled(Application):
    """A family whose width can be scaled."""

    alpha: float = between(1.0, 0.05, 2, "filters of each layer, as a share of the paper's")


@dataclass(frozen=True, kw_only=True)
class From71(Application):
    """A family for images of 71 pixels or more."""

    minimum_size: ClassVar[int] = 71


@dataclass(frozen=True, kw_only=True)
class From75(Application):
    """A family for images of 75 pixels or more."""

    minimum_size: ClassVar[int] = 75


def minus_one_to_one(x: Tensor) -> Tensor:
    """Scales images of 0 to 255 to -1 to 1, the input of MobileNet, Xception and Inception."""
    from keras import layers

    return layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="preprocessing")(x)


def as_it_is(x: Tensor) -> Tensor:
    """Images of 0 to 255 in float32, for a base without preprocessing."""
    from keras import layers

    return layers.Rescaling(1.0, dtype="float32", name="preprocessing")(x)


def by_deviation(x: Tensor) -> Tensor:
    """Images of 0 to 255 less ImageNet's means, divided by its deviations, the input of DenseNet."""
    from keras import layers

    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return layers.Normalization(
        mean=[255 * mean for mean in means],
        variance=[(255 * deviation) ** 2 for deviation in deviations],
        dtype="float32",
        name="preprocessing",
    )(x)


def bgr_around_zero(x: Tensor) -> Tensor:
    """Blue, green and red minus ImageNet's means, the input of VGG and ResNet."""
    import keras
    from keras import layers

    means = layers.Normalization(
        mean=(103.939, 116.779, 123.68), variance=(1.0, 1.0, 1.0), dtype="float32", name="preprocessing"
    )
    return means(keras.ops.flip(keras.ops.cast(x, "float32"), axis=-1))


def _add_head(config: Application, x: Tensor, classes: int) -> Tensor:
    """Adds the head after a base's output, (batch, height, width, channels)."""
    from keras import layers

    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    for k in range(config.dense_layers - 1 if config.dense_units else 0):
        x = layers.Dense(config.dense_units, activation="relu", name=f"dense_{k + 1}")(x)
        x = layers.Dropout(config.dropout, name=f"dropout_{k + 1}")(x)
    if config.dense_units:
        x = layers.Dense(config.dense_units, activation="relu", name="dense")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(x)


def _copy_weights(variables: list[Any], source: str, source_variables: list[Any]) -> None:
    """Copies the weights of an equal base, from ImageNet or a file, into a base's variables.

    Raises:
        WeightsError: names the source and the first variable that does not fit.
    """
    if len(variables) != len(source_variables):
        raise WeightsError(
            f"weights {source} do not fit: they have {len(source_variables)} variables, but the model has "
            f"{len(variables)}"
        )
    for variable, source_variable in zip(variables, source_variables, strict=True):
        if variable.shape != source_variable.shape:
            raise WeightsError(
                f"weights {source} do not fit: {source_variable.path} has the shape {tuple(source_variable.shape)}, "
                f"but the model's {variable.path} has the shape {tuple(variable.shape)}"
            )
        variable.assign(source_variable)


def _model_with_weights(source: str, base: Callable[..., "keras.Model"]) -> "keras.Model":
    """A model with the weights of the source; code in a .keras file is not run."""
    if source == IMAGENET:
        try:
            return base(weights=IMAGENET)
        except ValueError as error:
            raise WeightsError(f"weights imagenet do not fit: {' '.join(str(error).split())}") from error
    path = Path(source)
    if not path.is_file():
        raise WeightsError(f"weights {source}: there is no such file; valid: none, imagenet, or a file's path")
    try:
        with warnings.catch_warnings(
            action="error", category=UserWarning
        ):  # Keras warns of layers without weights in the file
            return _load_file(path, base)
    except (UserWarning, ValueError, OSError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        message = " ".join(str(error).split())
        raise WeightsError(f"weights {source} do not fit, or are damaged: {message}") from error


def _load_file(path: Path, base: Callable[..., "keras.Model"]) -> "keras.Model":
    import keras

    if path.suffix == ".keras":
        return keras.saving.load_model(path, safe_mode=True, compile=False)
    model = base(weights=None)
    model.load_weights(path)
    return model


def _with_own_preprocessing(
    base: Callable[..., "keras.Model"], x: Tensor, config: Application
) -> "tuple[list[keras.Layer], Tensor]":
    """Adds a base that begins with its preprocessing, which computes in float32 here, whatever the precision.

    With ImageNet's weights a base may begin otherwise than without (EfficientNet's then divides once more).

    Returns:
        The layers after the preprocessing, and the base's output.
    """
    from trainables.features.layer_copies import calls_between, copy_calls, flat, layers_of
    from trainables.layers.weight_copies import finalize

    plain_base = source = flat(base(weights=None, input_shape=tuple(x.shape[1:])))
    if config.weights != NONE:
        source = flat(_model_with_weights(config.weights, partial(base, input_shape=tuple(x.shape[1:]))))
    own_layers, begin = _own_preprocessing(plain_base)
    x = as_it_is(x)
    preprocessing = []
    for layer in [] if config.input_range == "raw" else _own_preprocessing(source)[0]:
        preprocessing.append(type(layer).from_config({**layer.get_config(), "dtype": "float32"}))
        x = preprocessing[-1](x)
    calls = calls_between(plain_base, begin, plain_base.output)
    assert calls is not None  # the network is a chain up to `begin`
    copies, output = copy_calls(
        calls, begin, plain_base.output, x, lambda layer: type(layer).from_config(layer.get_config())
    )
    base_layers = [copy for _, copy in copies]
    if config.weights != NONE:
        layers = [*(preprocessing or own_layers), *base_layers]
        source_variables = [variable for layer in layers_of(source) for variable in layer.weights]
        _copy_weights([v for layer in layers for v in layer.weights], config.weights, source_variables)
        for layer in layers:
            finalize(layer)
    return base_layers, output


def _own_preprocessing(base: "keras.Model") -> "tuple[list[keras.Layer], Tensor]":
    """The layers with which a base scales its images, and the output of the last one."""
    from keras import layers as kinds

    from trainables.features.frozen_part import nodes

    layers: list[Any] = []
    tensor = base.inputs[0]
    for node in nodes(base):
        if node.is_input:
            continue
        if not isinstance(node.operation, kinds.Rescaling | kinds.Normalization):
            break
        layers.append(node.operation)
        tensor = node.outputs[0]
    return layers, tensor


@dataclass(frozen=True, eq=False)
class Published:
    """A family whose base is made by a function of keras.applications.

    Attributes:
        name: the family's name, also in this module.
        paper: the paper of its base.
        base: the name of the function.
        preprocess: scales images of 0 to 255 to the base's input; None if the base itself begins with that.
        Config: the class of its configurations.
        options: further arguments of the function.
    """

    name: str
    paper: str
    base: str
    preprocess: Layers | None
    Config: type[Application] = Application
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(
        self,
        config: Application,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        enlarge: Layers | None = None,
        head_input: "Callable[[keras.Model], Tensor] | None" = None,
    ) -> "keras.Model":
        """The model, not compiled: takes uint8 images (batch, *image_shape), returns probabilities (batch, classes).

        Args:
            config: the configuration.
            image_shape: height, width and channels of the data set's images.
            classes: the number of classes.
            enlarge: adds the family's own layers between preprocessing and base.
            head_input: the head's input, (batch, height, width, channels), for a base; if None, the base's output.

        Raises:
            WeightsError: if the weights are not found, or do not fit.
        """
        import keras

        from trainables.layers.freezing import TRAINING, by_batches, thaw
        from trainables.layers.preprocessing import pictures

        width = {"alpha": config.alpha} if isinstance(config, Scaled) else {}
        base = partial(getattr(keras.applications, self.base), include_top=False, **self.options, **width)
        image, x = pictures(config, image_shape)
        if self.preprocess is None:
            base_layers, output = _with_own_preprocessing(base, x, config)
        else:
            x = (as_it_is if config.input_range == "raw" else self.preprocess)(x)
            x = enlarge(x) if enlarge else x
            earlier_layers = {id(layer) for layer in keras.Model(image, x).layers}
            base_model = base(weights=None, input_tensor=x)
            output = head_input(base_model) if head_input else base_model.output
            base_layers = [layer for layer in base_model.layers if id(layer) not in earlier_layers]
            if config.weights != NONE:
                variables = [variable for layer in base_layers for variable in layer.weights]
                equal_base = partial(base, input_shape=tuple(x.shape[1:]))
                _copy_weights(variables, config.weights, _model_with_weights(config.weights, equal_base).weights)
        thaw(base_layers, config.trained)
        outputs = _add_head(config, output, classes)
        model = keras.Model(image, outputs, name=self.name)
        return model if config.normalization != TRAINING else by_batches(model, {layer.name for layer in base_layers})

    @cached_property
    def train(self) -> Train:
        """The family's `train`; other processes unpickle it by the family's name in this module."""
        train = trains(self.build, self.Config)
        train.__qualname__ = f"{self.name}.train"
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

_MINIMUM_SIZES: Final[Mapping[int, type[Application]]] = {32: Application, 71: From71, 75: From75}
_PREPROCESSING: Final[Mapping[str, Layers | None]] = {
    OWN: None,
    "minus_one_to_one": minus_one_to_one,
    "bgr_around_zero": bgr_around_zero,
    "by_deviation": by_deviation,
}
_FROM_TABLE: Final = {
    row.name: Published(
        row.name,
        "https://keras.io/api/applications",
        row.function,
        _PREPROCESSING[row.preprocessing],
        Scaled if row.has_alpha else _MINIMUM_SIZES[row.minimum_size],
    )
    for row in ROWS
}

OTHERS: Final = tuple(_FROM_TABLE.values())
"""All other families of keras.applications."""


def __getattr__(name: str) -> Published:
    """A family of the table by its name: so other processes find its `train`."""
    if name not in _FROM_TABLE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _FROM_TABLE[name]

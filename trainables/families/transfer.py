"""A pretrained network, cut at a layer, with a new head: feature extraction and fine-tuning.

The source is a `.keras` file, whoever made it; in a sweep it may also be an earlier trial, by its id or as the best of
another sweep. The base is the part before the cut. It takes images as in its own training, in any size that its layers
allow. The head is that of the reports: Flatten (or global average pooling), Dense relu, Dropout, Dense softmax. In
frozen layers, dropout and augmentation are off, and batch normalisation uses its moving averages.
"""

import itertools
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trainables.config import between, one_of, text
from trainables.errors import WeightsError, unknown_layer
from trainables.families.family import trains
from trainables.keys import COLOURED, IMAGE, NUMBERS, PICTURE_LAYERS, Keys
from trainables.optimizers import LEARNING_RATES

if TYPE_CHECKING:
    import keras

SOURCELESS: Final = "none"
BEFORE_HEAD: Final = "head"
SCRATCH: Final = "scratch"

ALL: Final = "all"
INPUT_RANGE: Final = "input_range"
"""The name of the layer that scales images for a base that does not."""

_HEAD: Final = "head_"
_HEADS: Final = ("Flatten", "GlobalAveragePooling2D", "GlobalMaxPooling2D")
"""Types of layers with which a head begins."""
_RANGES: Final = ("Rescaling", "Normalization", "Standardization")
_RANDOM: Final = (
    "Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "RandomFlip", "RandomRotation",
    "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
)  # fmt: skip
"""Types of layers that are off in the frozen part: dropout and augmentation."""
_BEFORE_A_RANGE: Final = ("Resizing", "ZeroPadding2D", "CenterCrop", "Identity", "Reshape", *_RANDOM)
"""Types of layers that leave the range of the images as it is."""
_UNKNOWN_CLASS: Final = re.compile(r"Could not locate class '(\w+)'")


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Source, cut, trained layers of the base, and head."""

    weights: str = text(
        SOURCELESS, r"\S.*", "a .keras file's path, a trial's id, or best:SWEEP", "the network that is cut"
    )
    cut: str = text(BEFORE_HEAD, r"\S+", "head, or a layer's name", "the base's last layer; head: before the head")
    trained: str = text(
        "none", r"\w+", "none, all, a number, or a layer's name", "layers of the base that are trained: this number of "
        "last layers, or this layer and all later ones",
    )  # fmt: skip
    begin: str = one_of("source", ("source", SCRATCH), "the base's first weights: the source's, or new random ones")
    normalization: str = one_of(
        "inference", ("inference", "training"), "how frozen batch normalisation behaves", optional=True
    )
    input_range: str = one_of(
        "own",
        ("own", "raw", "unit", "signed"),
        "the base's input: as its own layers scale it, raw numbers of 0 to 255, 0 to 1 (unit), or -1 to 1 (signed)",
        optional=True,
    )
    pooling: str = one_of("flatten", ("flatten", "average"), "how the head pools features of (height, width, filters)")
    dense_units: int = between(512, 0, 65536, "units of the head's dense layer; 0: no such layer")
    dropout: float = between(0.5, 0, 0.95, "share of the dense layer's outputs dropped")
    head_epochs: int = between(
        0, 0, 10_000, "epochs in which only the head is trained first, in a separate trial", optional=True
    )
    head_learning_rate: float = between(
        0.0, 0, 100, "learning rate of these epochs; 0: the optimizer's default in Keras", optional=True, scale="log"
    )

    @property
    def first_phase(self) -> "tuple[Config, int] | None":
        """The same configuration with a frozen base, and its number of epochs; None without a first phase."""
        if not self.head_epochs or self.trained == "none" or self.begin == SCRATCH:
            return None
        rate = self.head_learning_rate or LEARNING_RATES[self.optimizer]
        before = replace(self, trained="none", learning_rate=rate, head_epochs=0, head_learning_rate=0.0)
        return before, self.head_epochs


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: takes uint8 images (batch, *image_shape), returns probabilities (batch, classes).

    Raises:
        WeightsError: if the source cannot be read, has no such layer, or needs other images.
    """
    import keras
    from keras import layers

    from trainables.layers.freezing import TRAINING, by_batches, thaw
    from trainables.layers.preprocessing import pictures

    source = load_source(config.weights)
    image, x = pictures(config, image_shape)
    x = _scaled(source, x, config)
    begin, end = _beginning(source), _end(source, config.cut, config.weights)
    if begin.shape[-1] != x.shape[-1]:
        raise WeightsError(
            f"weights {config.weights} need {begin.shape[-1]}-channel images, but these have {x.shape[-1]} channels; "
            f"valid: channels={begin.shape[-1]}"
        )
    base, x = _copy_base(source, begin, end, x, config)
    thaw(base, ALL if config.begin == SCRATCH else config.trained)
    if len(x.shape) > 2:  # noqa: PLR2004 (batch, height, width, filters)
        pooling = layers.Flatten if config.pooling == "flatten" else layers.GlobalAveragePooling2D
        x = pooling(name="head_pooling")(x)
    if config.dense_units:
        x = layers.Dense(config.dense_units, activation="relu", name="head_dense")(x)
    x = layers.Dropout(config.dropout, name="head_dropout")(x)
    outputs = layers.Dense(classes, activation="softmax", dtype="float32", name="head_classes")(x)
    model = keras.Model(image, outputs, name="transfer")
    return model if config.normalization != TRAINING else by_batches(model, {layer.name for layer in base})


def load_source(path: str) -> "keras.Model":
    """The network in a `.keras` file; code in the file is not run.

    Raises:
        WeightsError: if there is no such file, or its network cannot be cut.
    """
    import keras

    from trainables.features.layer_copies import flat

    if path == SOURCELESS:
        raise WeightsError(
            "weights=none: transfer needs a network; valid: a .keras file's path, a trial's id, or best:SWEEP"
        )
    file = Path(path)
    if not file.is_file():
        raise WeightsError(f"weights {path}: there is no such file")
    if file.suffix != ".keras":
        raise WeightsError(f"weights {path}: this is not a .keras file; valid: only .keras files, no pickle, no HDF5")
    try:
        model = keras.saving.load_model(file, safe_mode=True, compile=False)
    except (ValueError, OSError, KeyError, TypeError, RuntimeError, ImportError, zipfile.BadZipFile) as error:
        raise WeightsError(f"weights {path} cannot be read: {_reason(error)}") from error
    try:
        model = flat(model)
    except ValueError as error:
        raise WeightsError(f"weights {path}: {error}") from error
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:  # noqa: PLR2004 (batch, height, width, channels)
        shapes = ", ".join(str(tuple(tensor.shape[1:])) for tensor in model.inputs)
        raise WeightsError(f"weights {path} take {shapes}; valid: a network that takes images of one shape")
    return model


def _reason(error: Exception) -> str:
    message = " ".join(str(error).split())
    if match := _UNKNOWN_CLASS.search(message):
        return (
            f"it has a layer of the class {match[1]}, which is not one of Keras'; valid: networks of Keras' own layers"
        )
    return message


def _beginning(source: "keras.Model") -> Any:
    """The input of the source's own layers: its images after what a sweep's networks begin with."""
    from trainables.features.frozen_part import nodes

    calls = (node for node in nodes(source) if not node.is_input)
    first = [*itertools.takewhile(lambda node: node.operation.name in PICTURE_LAYERS, calls)]
    is_own = bool(first) and first[0].operation.name in (NUMBERS, COLOURED)  # others' layers have such names, too
    return first[-1].outputs[0] if is_own else source.inputs[0]


def _scaled(source: "keras.Model", x: Any, config: Config) -> Any:
    """The images in the range that the base takes, unless its own layers scale them.

    Raises:
        WeightsError: if they do not, and the configuration does not say which range it is.
    """
    from keras import layers

    if _scales(source) and config.input_range in ("own", "raw"):
        return x  # the copies of its layers do so, or not
    if config.input_range == "own":
        raise WeightsError(
            f"weights {config.weights}: no layer scales its images, so they were scaled outside; valid: "
            "input_range=unit (0 to 1), signed (-1 to 1), or raw (0 to 255)"
        )
    scale, offset = {"raw": (1.0, 0.0), "unit": (1 / 255, 0.0), "signed": (1 / 127.5, -1.0)}[config.input_range]
    return layers.Rescaling(scale, offset, dtype="float32", name=INPUT_RANGE)(x)


def _scales(source: "keras.Model") -> bool:
    """Whether the first layers that change the images' range scale or normalise them, or are arithmetic."""
    import keras

    from trainables.features.frozen_part import nodes

    for node in nodes(source):
        kind = type(node.operation).__name__
        if node.is_input or kind in _BEFORE_A_RANGE or node.operation.name in PICTURE_LAYERS:
            continue
        return kind in (*_RANGES, "BatchNormalization") or not isinstance(node.operation, keras.Layer)
    return False


def _end(source: "keras.Model", name: str, path: str) -> Any:
    """The output of the base's last layer."""
    from trainables.features.frozen_part import nodes

    calls = {node.operation.name: node for node in nodes(source)}
    if name == BEFORE_HEAD:
        if len(source.outputs[0].shape) == 4:  # noqa: PLR2004 (it has no head: features of height, width, filters)
            return source.outputs[0]
        heads = [node for node in calls.values() if type(node.operation).__name__ in _HEADS]
        if not heads:
            raise WeightsError(f"weights {path}: it is not clear where the head begins; valid: cut=a layer's name")
        return heads[-1].input_tensors[0]
    names = [layer.name for layer in source.layers]
    if name not in names:
        raise WeightsError(unknown_layer("cut", name, path, names, BEFORE_HEAD))
    return calls[name].outputs[0]


def _copy_base(
    source: "keras.Model", base_input: Any, base_output: Any, x: "keras.KerasTensor", config: Config
) -> "tuple[list[keras.layers.Layer], keras.KerasTensor]":
    """Copies the layers between two tensors, and applies them to `x`; unless `begin` is scratch, with their weights.

    Returns:
        The copies in their order, and the last copy's output.
    """
    import keras

    from trainables.features.layer_copies import calls_between, copy_calls
    from trainables.layers.freezing import first_trained

    calls = calls_between(source, base_input, base_output)
    if calls is None:
        raise WeightsError(
            f"cut={config.cut!r} of weights {config.weights} depends on more than the images; valid: a layer that is "
            "computed from the images alone"
        )
    called = (node.operation for node in calls if isinstance(node.operation, keras.Layer))
    layers = list({id(layer): layer for layer in called}.values())
    first_trainable = 0 if config.begin == SCRATCH else first_trained([layer.name for layer in layers], config.trained)
    frozen_names = {layer.name for layer in layers[:first_trainable]}
    copies, output = copy_calls(
        calls, base_input, base_output, x, lambda layer: _copy_layer(layer, config, off=layer.name in frozen_names)
    )
    if config.begin != SCRATCH:
        for layer, copy in copies:
            if copy.weights:
                _copy_weights(copy, layer, config)
    return [copy for _, copy in copies], output


def _copy_weights(copy: Any, layer: Any, config: Config) -> None:
    from trainables.layers.weight_copies import copy_weights

    shapes, source_shapes = ([tuple(weight.shape) for weight in each.weights] for each in (copy, layer))
    if shapes != source_shapes:
        raise WeightsError(
            f"layer {layer.name} of weights {config.weights} has the shapes {source_shapes}, but these images need "
            f"{shapes}; valid: the source's image_size, or a cut before that layer"
        )
    copy_weights(copy, layer)


def _copy_layer(layer: Any, config: Config, *, off: bool) -> Any:
    """A layer with the same settings, in the precision of this training; with `off`, a dropout layer does nothing."""
    import keras

    kind, name = type(layer).__name__, layer.name
    if name.startswith(_HEAD) or name in (IMAGE, INPUT_RANGE, *PICTURE_LAYERS):  # as new layers are called
        name = f"source_{name}"
    if off and kind in _RANDOM:
        return keras.layers.Identity(name=name)
    if kind in _RANGES and config.input_range != "own":
        return keras.layers.Rescaling(1.0, dtype="float32", name=name)
    settings = {**layer.get_config(), "name": name}
    settings.pop("dtype", None)
    if kind in _RANGES:
        settings["dtype"] = "float32"
    return type(layer).from_config(settings)


train = trains(build)

"""AutoKeras' search space for images; `build_model` builds a network of it as one flat Keras model.

Its blocks have AutoKeras' own hyperparameters, with AutoKeras' names, so that its oracles can search them. docs/nas.md
lists the differences from AutoKeras 3.0, and their reasons.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import keras
from autokeras.blocks import basic, preprocessing, reduction
from autokeras.tuners import task_specific
from keras import layers
from keras_tuner import HyperParameters

from trainables.config import Value
from trainables.errors import WeightsError
from trainables.families.family import Tensor
from trainables.keys import COLOUR
from trainables.layers.preprocessing import pictures
from trainables.layers.standardization import Standardization
from trainables.nas.configuration import OPTIMIZERS, Config

LEARNING_RATES: Final = (1e-1, 1e-2, 1e-3, 1e-4, 2e-5, 1e-5)

IMAGENET_SIZE: Final = 224

Networks = Mapping[str, Callable[..., Any]]
"""Functions of keras.applications, by version."""


def build_model(
    config: Config,
    hyperparameters: HyperParameters,
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    load_weights: bool = True,
) -> keras.Model:
    """The model of these values, not compiled: takes uint8 (batch, *image_shape), returns (batch, classes).

    Missing values get AutoKeras' defaults. Afterwards `hyperparameters` has every value that the model uses, and the
    whole space around it. Without `load_weights` the model has random weights in place of ImageNet's.

    Raises:
        ValueError: if Keras cannot build it for such images.
        WeightsError: if ImageNet's weights cannot be downloaded.
    """
    image, x = pictures(config, image_shape)
    x = layers.Rescaling(1.0, dtype="float32", name="float32")(x)
    with hyperparameters.name_scope(
        "image_block_1"
    ):  # AutoKeras counts such names up in a process: choices' names, too
        x = _add_images_block(config, hyperparameters, x, load_weights=load_weights)
    with hyperparameters.name_scope("classification_head_1"):
        outputs = _add_head(hyperparameters, x, classes)
    hyperparameters.Choice("optimizer", list(OPTIMIZERS), default="adam")
    hyperparameters.Choice("learning_rate", list(LEARNING_RATES), default=1e-3)
    return keras.Model(image, outputs, name="autokeras")


def with_values(values: Mapping[str, Value]) -> HyperParameters:
    """Hyperparameters with these values; building a model adds their space."""
    hyperparameters = HyperParameters()
    hyperparameters.values = dict(values)
    return hyperparameters


def first_candidates(config: Config) -> list[dict[str, Value]]:
    """The first candidates of AutoKeras' own image classifier, if they are in this space.

    Their dropout of 0 becomes 0.0, as in the space: else a search would count the two as different networks.
    """
    fixed_choices = {
        "block_type": len(config.kinds) == 1, "normalize": config.normalize != "any",
        "augment": config.augment != "any", "pretrained": not config.pretrained, "trainable": not config.pretrained,
        "imagenet_size": not config.enlarge,
    }  # fmt: skip
    candidates = [
        values for values in task_specific.IMAGE_CLASSIFIER if values["image_block_1/block_type"] in config.kinds
    ]
    return [
        {
            k: float(v) if k.endswith("/dropout") else v
            for k, v in values.items()
            if not fixed_choices.get(k.rpartition("/")[2])
        }
        for values in candidates
    ]


def _add_images_block(config: Config, hp: HyperParameters, x: Tensor, *, load_weights: bool) -> Tensor:
    """Adds normalisation, augmentation and one kind of network; each is set by the configuration or by the search."""
    for name, setting, add in (("normalize", config.normalize, _standardize), ("augment", config.augment, _augment)):
        if setting == "on":
            x = add(hp, x)
        elif setting == "any" and hp.Boolean(name):
            with hp.conditional_scope(name, [True]):
                x = add(hp, x)
    kinds = config.kinds
    if len(kinds) == 1:
        return _add_network(config, hp, x, kinds[0], load_weights=load_weights)
    kind = hp.Choice("block_type", list(kinds))
    with hp.conditional_scope("block_type", [kind]):
        return _add_network(config, hp, x, kind, load_weights=load_weights)


def _standardize(_hp: HyperParameters, x: Tensor) -> Tensor:
    return Standardization(dtype="float32", name="standardization")(x)


def _augment(hp: HyperParameters, x: Tensor) -> Tensor:
    # AutoKeras 3.0 has no RandomZoom (it is commented out): a search over its factor would change nothing.
    return preprocessing.ImageAugmentation(zoom_factor=0.0, name="image_augmentation_1").build(hp, x)


def _add_network(config: Config, hp: HyperParameters, x: Tensor, kind: str, *, load_weights: bool) -> Tensor:
    if kind == "vanilla":
        return basic.ConvBlock(name="conv_block_1").build(hp, x)
    name, networks, minimum_size = _PUBLISHED[kind]
    with hp.name_scope(name):
        return _add_published(config, hp, x, networks, minimum_size, load_weights=load_weights)


def _add_published(
    config: Config, hp: HyperParameters, x: Tensor, networks: Networks, minimum_size: int, *, load_weights: bool
) -> Tensor:
    """Adds a network of keras.applications, flat, as layers of the model itself.

    Its weights are random unless the search chooses ImageNet's. Images keep their size unless they are too small for
    the network, or the search enlarges them.
    """
    from_imagenet, trainable = False, True
    if config.pretrained and hp.Boolean("pretrained", default=False):
        with hp.conditional_scope("pretrained", [True]):
            from_imagenet, trainable = True, hp.Boolean("trainable", default=False)
    names = list(networks)
    network = networks[hp.Choice("version", names) if len(names) > 1 else names[0]]
    minimum_size = IMAGENET_SIZE if config.enlarge and hp.Boolean("imagenet_size", default=False) else minimum_size
    height, width, channels = x.shape[1:]
    if min(height, width) < minimum_size:
        x = layers.Resizing(max(minimum_size, height), max(minimum_size, width), dtype="float32", name="resized")(x)
    if channels == 1:
        x = layers.Concatenate(name="coloured")([x, x, x])
    elif channels != COLOUR:
        x = layers.Conv2D(COLOUR, 1, padding="same", name="coloured")(x)
    earlier_layers = {id(layer) for layer in keras.Model(keras.utils.get_source_inputs(x)[0], x).layers}
    model = network(include_top=False, weights=None, input_tensor=x)
    own_layers = [layer for layer in model.layers if id(layer) not in earlier_layers]
    if from_imagenet and load_weights:
        source = _of_imagenet(network, tuple(x.shape[1:]))
        variables = [variable for layer in own_layers for variable in layer.variables]
        for variable, source_variable in zip(
            variables, [v for layer in source.layers for v in layer.variables], strict=True
        ):
            variable.assign(source_variable)
    for layer in own_layers:
        layer.trainable = trainable
    return model.output


def _of_imagenet(network: Callable[..., Any], shape: tuple[int, int, int]) -> keras.Model:
    try:
        return network(include_top=False, weights="imagenet", input_shape=shape)
    except Exception as error:
        if type(error) is not Exception:  # Keras raises a plain Exception if a download fails
            raise
        raise WeightsError(f"ImageNet's weights could not be downloaded: {error}") from error


_PUBLISHED: Final[Mapping[str, tuple[str, Networks, int]]] = {
    "resnet": ("res_net_block_1", {**basic.RESNET_V1, **basic.RESNET_V2}, 32),
    "xception": ("xception_block_1", {"xception": keras.applications.Xception}, 71),
    "efficient": ("efficient_net_block_1", dict(basic.EFFICIENT_VERSIONS), 32),
}
"""AutoKeras' block of each kind: its name in AutoKeras, its networks by version, their smallest height and width."""


def _add_head(hp: HyperParameters, x: Tensor, classes: int) -> Tensor:
    """Adds the layers from features to class probabilities."""
    if len(x.shape) > 2:  # noqa: PLR2004 (batch and features)
        x = reduction.SpatialReduction(name="spatial_reduction_1").build(hp, x)
    if rate := hp.Choice("dropout", [0.0, 0.25, 0.5], default=0.0):
        x = layers.Dropout(rate, name="classes_dropout")(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(x)

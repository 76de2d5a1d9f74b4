"""AutoKeras' search space for images, built into one flat Keras model by `built`.

Its blocks choose by AutoKeras' own hyperparameters, under AutoKeras' names, so that its oracles can search them. What
is otherwise than in AutoKeras 3.0, and why, stands in docs/nas.md.
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


def built(
    config: Config,
    hyperparameters: HyperParameters,
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    weighted: bool = True,
) -> keras.Model:
    """The model that these values mean, not compiled: uint8 (batch, *image_shape) in, (batch, classes) out.

    What the values leave open is filled in with AutoKeras' defaults; afterwards `hyperparameters` has every value that
    the model took, and the whole space around it. ImageNet's weights are left out where it is not `weighted`.

    Raises:
        ValueError: if Keras cannot build it for such images.
        WeightsError: if ImageNet's weights cannot be fetched.
    """
    image, x = pictures(config, image_shape)
    x = layers.Rescaling(1.0, dtype="float32", name="float32")(x)
    with hyperparameters.name_scope(
        "image_block_1"
    ):  # AutoKeras counts such names up in a process: choices' names, too
        x = _images(config, hyperparameters, x, weighted=weighted)
    with hyperparameters.name_scope("classification_head_1"):
        outputs = _head(hyperparameters, x, classes)
    hyperparameters.Choice("optimizer", list(OPTIMIZERS), default="adam")
    hyperparameters.Choice("learning_rate", list(LEARNING_RATES), default=1e-3)
    return keras.Model(image, outputs, name="autokeras")


def of_values(values: Mapping[str, Value]) -> HyperParameters:
    """Hyperparameters that have these values, of a space that is not known yet."""
    made = HyperParameters()
    made.values = dict(values)
    return made


def first_candidates(config: Config) -> list[dict[str, Value]]:
    """The values that AutoKeras' own image classifier tries first, those of this space.

    Its dropout of 0 is made 0.0, as the space has it: a search would take the two for different networks.
    """
    fixed = {
        "block_type": len(config.kinds) == 1, "normalize": config.normalize != "any",
        "augment": config.augment != "any", "pretrained": not config.pretrained, "trainable": not config.pretrained,
        "imagenet_size": not config.enlarge,
    }  # fmt: skip
    mine = [values for values in task_specific.IMAGE_CLASSIFIER if values["image_block_1/block_type"] in config.kinds]
    return [
        {k: float(v) if k.endswith("/dropout") else v for k, v in values.items() if not fixed.get(k.rpartition("/")[2])}
        for values in mine
    ]


def _images(config: Config, hp: HyperParameters, x: Tensor, *, weighted: bool) -> Tensor:
    """Adds normalisation, augmentation and one of the kinds of networks, where each is fixed or chosen."""
    for name, fixed, add in (("normalize", config.normalize, _standardized), ("augment", config.augment, _augmented)):
        if fixed == "on":
            x = add(hp, x)
        elif fixed == "any" and hp.Boolean(name):
            with hp.conditional_scope(name, [True]):
                x = add(hp, x)
    kinds = config.kinds
    if len(kinds) == 1:
        return _network(config, hp, x, kinds[0], weighted=weighted)
    kind = hp.Choice("block_type", list(kinds))
    with hp.conditional_scope("block_type", [kind]):
        return _network(config, hp, x, kind, weighted=weighted)


def _standardized(_hp: HyperParameters, x: Tensor) -> Tensor:
    return Standardization(dtype="float32", name="standardization")(x)


def _augmented(hp: HyperParameters, x: Tensor) -> Tensor:
    # AutoKeras 3.0 has commented its RandomZoom out: a factor would be chosen, and nothing built by it
    return preprocessing.ImageAugmentation(zoom_factor=0.0, name="image_augmentation_1").build(hp, x)


def _network(config: Config, hp: HyperParameters, x: Tensor, kind: str, *, weighted: bool) -> Tensor:
    if kind == "vanilla":
        return basic.ConvBlock(name="conv_block_1").build(hp, x)
    name, networks, least = _PUBLISHED[kind]
    with hp.name_scope(name):
        return _published(config, hp, x, networks, least, weighted=weighted)


def _published(
    config: Config, hp: HyperParameters, x: Tensor, networks: Networks, least: int, *, weighted: bool
) -> Tensor:
    """Adds a network of keras.applications, its layers those of the model itself.

    Its weights are random unless ImageNet's are asked for, and images keep their size, where that is not too small for
    the network, unless AutoKeras may enlarge them.
    """
    trained, trainable = False, True
    if config.pretrained and hp.Boolean("pretrained", default=False):
        with hp.conditional_scope("pretrained", [True]):
            trained, trainable = True, hp.Boolean("trainable", default=False)
    names = list(networks)
    network = networks[hp.Choice("version", names) if len(names) > 1 else names[0]]
    least = IMAGENET_SIZE if config.enlarge and hp.Boolean("imagenet_size", default=False) else least
    height, width, channels = x.shape[1:]
    if min(height, width) < least:
        x = layers.Resizing(max(least, height), max(least, width), dtype="float32", name="resized")(x)
    if channels == 1:
        x = layers.Concatenate(name="coloured")([x, x, x])
    elif channels != COLOUR:
        x = layers.Conv2D(COLOUR, 1, padding="same", name="coloured")(x)
    before = {id(layer) for layer in keras.Model(keras.utils.get_source_inputs(x)[0], x).layers}
    model = network(include_top=False, weights=None, input_tensor=x)
    mine = [layer for layer in model.layers if id(layer) not in before]
    if trained and weighted:
        theirs = _of_imagenet(network, tuple(x.shape[1:]))
        variables = [variable for layer in mine for variable in layer.variables]
        for variable, other in zip(variables, [v for layer in theirs.layers for v in layer.variables], strict=True):
            variable.assign(other)
    for layer in mine:
        layer.trainable = trainable
    return model.output


def _of_imagenet(network: Callable[..., Any], shape: tuple[int, int, int]) -> keras.Model:
    try:
        return network(include_top=False, weights="imagenet", input_shape=shape)
    except Exception as error:
        if type(error) is not Exception:  # Keras' own, where an address cannot be reached
            raise
        raise WeightsError(f"ImageNet's weights could not be downloaded: {error}") from error


_PUBLISHED: Final[Mapping[str, tuple[str, Networks, int]]] = {
    "resnet": ("res_net_block_1", {**basic.RESNET_V1, **basic.RESNET_V2}, 32),
    "xception": ("xception_block_1", {"xception": keras.applications.Xception}, 71),
    "efficient": ("efficient_net_block_1", dict(basic.EFFICIENT_VERSIONS), 32),
}
"""AutoKeras' block of each kind: its name there, its networks by version, and their least height and width."""


def _head(hp: HyperParameters, x: Tensor, classes: int) -> Tensor:
    """Adds the layers from images' features to the probabilities of classes."""
    if len(x.shape) > 2:  # noqa: PLR2004 (batch and features)
        x = reduction.SpatialReduction(name="spatial_reduction_1").build(hp, x)
    if dropped := hp.Choice("dropout", [0.0, 0.25, 0.5], default=0.0):
        x = layers.Dropout(dropped, name="classes_dropout")(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(x)

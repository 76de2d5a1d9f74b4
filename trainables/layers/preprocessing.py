"""Layers that prepare a model's images: they resize, change channels, and in training augment at random."""

import keras
from keras import layers

from trainables.keys import COLOUR, GREY, IMAGE, Keys

_FULL_TURN = 360.0


def pictures(config: Keys, image_shape: tuple[int, int, int]) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """A model's input, uint8 (batch, *image_shape), and the input of its family, (batch, *config.shape(image_shape)).

    Numbers stay within 0 to 255; each family scales them to its own range. They stay uint8 if nothing is changed, else
    they are float32, even if the model computes in another precision.
    """
    image = keras.Input(image_shape, dtype="uint8", name=IMAGE)
    height, width, channels = config.shape(image_shape)
    resized = (height, width) != image_shape[:2]
    x = image
    if resized or config.augmented:  # Keras' image layers treat uint8 differently in eager mode and in a graph
        x = layers.Rescaling(1.0, dtype="float32", name="numbers")(x)
    if config.augmented:
        x = _augment(config, x)
    if resized:
        x = layers.Resizing(
            height, width, interpolation=config.resizing, crop_to_aspect_ratio=config.fit == "crop",
            pad_to_aspect_ratio=config.fit == "pad", dtype="float32", name="resizing",
        )(x)  # fmt: skip
    return image, _with_channels(x, channels)


def inputs(config: Keys, image_shape: tuple[int, int, int]) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """A model's input, uint8 (batch, *image_shape), and that of its first own layer: the images scaled to 0 to 1.

    In between, the images are augmented and resized as the configuration says.
    """
    image, x = pictures(config, image_shape)
    return image, layers.Rescaling(1 / 255)(x)


def _augment(config: Keys, x: keras.KerasTensor) -> keras.KerasTensor:
    """Adds each augmentation in the order of the keys, at the images' own size; they do nothing in inference."""
    modes = {"horizontal": "horizontal", "vertical": "vertical", "both": "horizontal_and_vertical"}
    if config.flip in modes:
        x = layers.RandomFlip(modes[config.flip], dtype="float32", name="random_flip")(x)
    if config.shift:
        x = layers.RandomTranslation(config.shift, config.shift, dtype="float32", name="random_shift")(x)
    if config.rotate:
        x = layers.RandomRotation(config.rotate / _FULL_TURN, dtype="float32", name="random_rotate")(x)
    if config.zoom:
        x = layers.RandomZoom(config.zoom, dtype="float32", name="random_zoom")(x)
    if config.contrast:
        x = layers.RandomContrast(config.contrast, value_range=(0, 255), dtype="float32", name="random_contrast")(x)
    return x


def _with_channels(x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    if x.shape[-1] == channels:
        return x
    if (x.shape[-1], channels) == (GREY, COLOUR):
        return layers.Concatenate(dtype=x.dtype, name="colour")([x, x, x])
    return keras.ops.image.rgb_to_grayscale(keras.ops.cast(x, "float32"))

"""The preparation of images: resized, coloured, and augmented in training only."""

import numpy as np
import pytest

from trainables.errors import ConfigError, DataError
from trainables.hardware import one_thread
from trainables.keys import Keys

one_thread()

import keras  # noqa: E402

from trainables.layers.preprocessing import pictures  # noqa: E402

GREY = (28, 28, 1)
COLOUR = (8, 8, 3)


def through(image_shape, images, *, training=False, **keys):
    image, x = pictures(Keys(**keys), image_shape)
    return np.asarray(keras.Model(image, x)(images, training=training))


def test_as_they_are_they_stay_untouched_and_uint8():
    images = np.random.default_rng(1).integers(0, 256, (2, *GREY), dtype=np.uint8)
    outputs = through(GREY, images)
    assert outputs.dtype == np.uint8
    np.testing.assert_array_equal(outputs, images)


@pytest.mark.parametrize("resizing", ["bilinear", "nearest"])
def test_they_are_resized_within_their_range(resizing):
    images = np.zeros((1, *GREY), dtype=np.uint8)
    images[:, :14] = 255
    outputs = through(GREY, images, image_size=56, resizing=resizing)
    assert outputs.shape == (1, 56, 56, 1)
    assert (outputs.min(), outputs.max()) == (0, 255)
    between = ((outputs > 0) & (outputs < 255)).any()
    assert between == (resizing == "bilinear")


@pytest.mark.parametrize(("fit", "left", "middle"), [("stretch", 255, 255), ("crop", 0, 255), ("pad", 255, 255)])
def test_images_of_other_proportions_are_brought_to_a_square_as_fit_says(fit, left, middle):
    """16 x 8 pixels with a white bar at the left edge and in the middle: crop cuts the bar at the edge off."""
    images = np.zeros((1, 8, 16, 1), dtype=np.uint8)
    images[:, :, :2] = 255
    images[:, :, 6:10] = 255
    outputs = through((8, 16, 1), images, image_size=8, fit=fit)[0, ..., 0]
    assert outputs[4, 0] == left
    assert outputs[4, 3:5].max() == middle
    assert outputs[0, 4] == (0 if fit == "pad" else outputs[4, 4])  # black bars above and below


def test_without_fit_the_layer_is_as_it_was():
    image, x = pictures(Keys(image_size=8), (4, 6, 1))
    settings = keras.Model(image, x).get_layer("resizing").get_config()
    assert (settings["crop_to_aspect_ratio"], settings["pad_to_aspect_ratio"]) == (False, False)
    from trainables.config import stated

    assert stated(Keys(image_size=8)) == stated(Keys(image_size=8, fit="stretch"))


def test_grey_ones_get_three_equal_channels():
    images = np.random.default_rng(1).integers(0, 256, (2, *GREY), dtype=np.uint8)
    outputs = through(GREY, images, channels=3)
    np.testing.assert_array_equal(outputs, np.repeat(images, 3, axis=-1))


def test_coloured_ones_become_grey_by_luminance():
    images = np.zeros((3, *COLOUR), dtype=np.uint8)
    for place in range(3):
        images[place, ..., place] = 255
    outputs = through(COLOUR, images, channels=1)
    assert outputs.shape == (3, 8, 8, 1)
    assert outputs[:, 0, 0, 0] == pytest.approx([255 * 0.2989, 255 * 0.587, 255 * 0.114], rel=0.01)


CHANGES = {"flip": "horizontal", "shift": 0.25, "rotate": 30.0, "zoom": 0.3, "contrast": 0.5}


@pytest.mark.parametrize(("key", "value"), CHANGES.items())
def test_augmentation_changes_them_in_training_alone(key, value):
    images = np.random.default_rng(1).integers(0, 256, (16, *GREY), dtype=np.uint8)
    keras.utils.set_random_seed(1)
    changed = through(GREY, images, training=True, **{key: value})
    assert (changed != images).any()
    assert 0 <= changed.min() <= changed.max() <= 255
    np.testing.assert_array_equal(through(GREY, images, **{key: value}), images)


def test_a_mirrored_image_is_itself_or_its_mirror():
    images = np.random.default_rng(1).integers(0, 256, (16, *GREY), dtype=np.uint8)
    keras.utils.set_random_seed(1)
    outputs = through(GREY, images, training=True, flip="horizontal")
    mirrored = [np.array_equal(one, other[:, ::-1]) for one, other in zip(outputs, images, strict=True)]
    unchanged = [np.array_equal(one, other) for one, other in zip(outputs, images, strict=True)]
    assert all(a or b for a, b in zip(mirrored, unchanged, strict=True))
    assert any(mirrored)
    assert any(unchanged)


def test_a_trial_does_not_have_what_is_left_as_it_is():
    from trainables.config import stated

    assert stated(Keys()) == {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 32}
    assert stated(Keys(flip="horizontal", image_size=32))["image_size"] == 32
    assert "shift" not in stated(Keys(flip="horizontal"))


@pytest.mark.parametrize(
    ("text", "indices"),
    [("all", (0, 1, 2, 3, 4, 5)), ("3+1", (1, 3)), ("0-2+4", (0, 1, 2, 4)), ("2-4+3-5", (2, 3, 4, 5))],
)
def test_classes_are_chosen_by_index(text, indices):
    assert Keys(classes=text).class_indices(6) == indices


@pytest.mark.parametrize("text", ["3", "4-6", "2-2", "7+8"])
def test_classes_that_there_are_not_or_too_few_are_refused(text):
    with pytest.raises(DataError, match=r"valid: at least two of 0 to 5"):
        Keys(classes=text).class_indices(6)


@pytest.mark.parametrize("text", ["a", "1,2", "-1", "1-", "without:2"])
def test_names_that_were_not_replaced_by_indices_are_no_classes(text):
    with pytest.raises(DataError, match=r"classes=.*valid: at least two of 0 to 5"):
        Keys(classes=text).class_indices(6)


@pytest.mark.parametrize("text", ["", " a", "a ", "a\nb"])
def test_texts_that_no_name_can_be_are_no_classes(text):
    with pytest.raises(ConfigError, match=r"classes=.*valid: all; names or indices"):
        Keys(classes=text)

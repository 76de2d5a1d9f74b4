"""A picture at another size: nothing is distorted unless that was asked for."""

import numpy as np
import pytest
from PIL import Image

from trainables.data.pictures.fitting import FITS, RESIZINGS, fitted


def landscape():
    """A white square in the middle of black, twice as wide as high."""
    image = Image.new("L", (80, 40))
    image.paste(255, (30, 10, 50, 30))
    return image


def box(image):
    """The white part: left, top, right, bottom."""
    return image.point(lambda value: 255 * (value > 127)).getbbox()


@pytest.mark.parametrize(
    ("fit", "white"), [("stretch", (15, 10, 25, 30)), ("crop", (10, 10, 30, 30)), ("pad", (15, 15, 25, 25))]
)
@pytest.mark.parametrize("resizing", RESIZINGS)
def test_the_fit_says_what_happens_to_the_proportions(fit, white, resizing):
    image = fitted(landscape(), (40, 40), fit, resizing)
    assert image.size == (40, 40)
    assert box(image) == white


def test_bars_are_black_on_two_sides():
    for mode, black in (("L", 0), ("RGB", (0, 0, 0)), ("CMYK", (0, 0, 0, 255))):
        white = Image.new("RGB", (60, 20), "white").convert(mode)
        image = fitted(white, (30, 30), "pad", "bilinear")
        assert [image.getpixel((15, y)) == black for y in (0, 9, 10, 19, 20, 29)] == [
            True,
            True,
            False,
            False,
            True,
            True,
        ]
    image = fitted(Image.new("L", (20, 60), 255), (30, 30), "pad", "bilinear")
    assert image.getpixel((0, 15)) == image.getpixel((29, 15)) == 0


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(1, 1), (1, 999), (999, 1), (3, 2), (64, 64)])
def test_every_shape_becomes_every_other(fit, size):
    for target in ((1, 1), (7, 5), (64, 64)):
        assert fitted(Image.new("RGB", size), target, fit, "bilinear").size == target


def test_a_picture_of_the_size_is_left_alone():
    noise = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    for fit in FITS:
        assert np.array_equal(np.asarray(fitted(Image.fromarray(noise), (7, 9), fit, "bilinear")), noise)

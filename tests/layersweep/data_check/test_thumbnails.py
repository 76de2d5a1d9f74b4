"""What is remembered of each picture, to compare it with others."""

import numpy as np
from photographs import photograph, saved_anew
from PIL import Image

from layersweep.data_check.thumbnails import SIZE, Thumbnails, hashes, pixel_digest


def thumbnails(*images):
    made = Thumbnails.empty(len(images))
    for place, image in enumerate(images):
        made.set(place, image, image.size)
    return made


def test_equal_pixels_have_equal_digests_whatever_the_mode():
    grey = photograph(0).convert("L")
    assert pixel_digest(grey, grey.size) == pixel_digest(grey.convert("RGB"), grey.size)
    other = grey.copy()
    other.putpixel((0, 0), (other.getpixel((0, 0)) + 1) % 256)
    assert pixel_digest(grey, grey.size) != pixel_digest(other, grey.size)


def test_pictures_of_several_original_sizes_are_not_equal():
    image = photograph(0)
    assert pixel_digest(image, image.size) != pixel_digest(image, (4000, 3000))


def test_the_hash_of_a_copy_is_near_and_that_of_another_picture_is_not():
    made = thumbnails(photograph(0), saved_anew(photograph(0)), photograph(1))
    correlations = hashes(made.grey) @ hashes(made.grey).T
    assert correlations[0, 1] > 0.99
    assert abs(correlations[0, 2]) < 0.8


def test_a_mirrored_hash_is_the_hash_of_the_mirrored_picture():
    image = photograph(3)
    made = thumbnails(image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    np.testing.assert_allclose(hashes(made.grey, mirrored=True)[0], hashes(made.grey)[1], atol=0.02)


def test_a_picture_of_one_colour_is_flat():
    made = thumbnails(Image.new("RGB", (90, 50), (10, 200, 30)), photograph(0))
    assert made.flat.tolist() == [True, False]
    assert made.sizes.tolist() == [[90, 50], [160, 120]]
    assert made.grey.shape == (2, SIZE, SIZE)


def test_thumbnails_move_to_their_places():
    first, second = thumbnails(photograph(0)), thumbnails(photograph(1))
    both = Thumbnails.empty(3)
    both.put([2], first)
    both.put([0], second)
    np.testing.assert_array_equal(both.at([0, 2]).digests, np.concatenate([second.digests, first.digests]))

"""Copies are found however they were made; pictures that only look alike are not copies."""

import numpy as np
import pytest
from photographs import photograph, saved_anew
from PIL import Image, ImageEnhance

from layersweep.data_check.copies import MIRRORED, NEAR, SAME_FILE, SAME_PIXELS, Copy, copies
from layersweep.data_check.thumbnails import Thumbnails


def cropped(image, share=0.01):
    dx, dy = round(image.width * share), round(image.height * share)
    return image.crop((dx, dy, image.width - dx, image.height - dy))


def resized(image, factor):
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


MADE_ANEW = {
    "JPEG 90": lambda image: saved_anew(image, 90),
    "JPEG 50": lambda image: saved_anew(image, 50),
    "WebP": lambda image: saved_anew(image, 80, "WEBP"),
    "half": lambda image: resized(image, 0.5),
    "double": lambda image: resized(image, 2),
    "cut": cropped,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.05),
}


def copies_of(images, digests=None, parts=None):
    thumbnails = Thumbnails.empty(len(images))
    for place, image in enumerate(images):
        thumbnails.set(place, image, image.size)
    digests = digests or [str(place) for place in range(len(images))]
    return copies(thumbnails, digests, np.zeros(len(images), int) if parts is None else np.array(parts), lambda _: None)


@pytest.mark.parametrize("how", MADE_ANEW)
def test_a_picture_that_was_made_anew_is_a_copy_of_its_own_original_alone(how):
    originals = [photograph(seed) for seed in range(20)]
    found = copies_of(originals + [MADE_ANEW[how](image) for image in originals])
    assert {(pair.first, pair.second, pair.kind) for pair in found.pairs} == {(k, k + 20, NEAR) for k in range(20)}
    assert (found.groups[:20] == found.groups[20:]).all()


def test_a_mirrored_picture_is_said_to_be_mirrored():
    image = photograph(5)
    found = copies_of([photograph(4), image, saved_anew(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 90)])
    assert found.pairs == [Copy(first=1, second=2, kind=MIRRORED)]


def test_the_same_file_and_the_same_pixels_are_told_apart():
    image = photograph(1)
    found = copies_of([image, image, image, photograph(2)], digests=["a", "a", "b", "c"])
    assert found.pairs == [Copy(first=0, second=1, kind=SAME_FILE), Copy(first=0, second=2, kind=SAME_PIXELS)]
    assert len(set(found.groups.tolist())) == 2


def test_a_picture_in_another_colour_is_another_picture():
    image = photograph(1)
    red, green, blue = image.split()
    assert copies_of([image, Image.merge("RGB", (blue, red, green))]).pairs == []
    tinted = Image.merge("YCbCr", (image.convert("L"), *[Image.new("L", image.size, value) for value in (90, 170)]))
    assert copies_of([image.convert("L"), tinted.convert("RGB")]).pairs == []


def test_the_same_shape_with_other_details_is_another_picture():
    shape = Image.new("L", (28, 28))
    shape.paste(180, (8, 2, 20, 26))
    noise = [np.random.default_rng(seed).integers(-25, 25, (28, 28)) for seed in range(12)]
    images = [
        Image.fromarray(np.clip(np.asarray(shape) + np.asarray(shape) / 180 * n, 0, 255).astype(np.uint8))
        for n in noise
    ]
    assert copies_of(images).pairs == []


def test_pictures_of_one_colour_are_copies_only_if_they_are_equal():
    images = [Image.new("L", (40, 40), value) for value in (100, 101, 100)]
    assert copies_of(images).pairs == [Copy(first=0, second=2, kind=SAME_PIXELS)]


def test_many_copies_of_one_picture_are_one_group():
    image = photograph(0)
    images = [saved_anew(image, quality) for quality in range(40, 96)] + [photograph(seed) for seed in range(1, 30)]
    groups = copies_of(images, parts=[k % 3 for k in range(len(images))]).groups
    assert len(set(groups[:56].tolist())) == 1
    assert len(set(groups.tolist())) == 30


def test_a_copy_in_another_part_is_found_beside_many_nearer_ones():
    image = photograph(0)
    far = saved_anew(resized(image, 0.5), 50)
    images = [image, far, *(saved_anew(image, quality) for quality in range(75, 96))]
    pairs = copies_of(images, parts=[0, 1] + [2] * 21).pairs
    assert Copy(first=0, second=1, kind=NEAR) in pairs


def test_no_picture_or_one_picture_has_no_copies():
    assert copies_of([]).pairs == []
    assert copies_of([photograph(0)]).pairs == []


def test_long_work_says_each_tenth(monkeypatch):
    monkeypatch.setattr("layersweep.data_check.copies._LONG", 10)
    monkeypatch.setattr("layersweep.data_check.copies._ROWS", 4)
    said = []
    thumbnails = Thumbnails.empty(20)
    for place in range(20):
        thumbnails.set(place, photograph(place), (160, 120))
    copies(thumbnails, [str(k) for k in range(20)], np.zeros(20, int), said.append)
    assert said[0] == "  10 %"
    assert said[-1] == "  100 %"


@pytest.mark.slow
def test_the_look_alikes_of_fashion_mnist_are_no_copies():
    """Of 20,000 real images, a few are truly the same photograph; those of one pair have been looked at."""
    from trainables.data.dataset import prepare

    images = prepare("fashion_mnist").images("train")[:20_000, :, :, 0]
    found = copies_of([Image.fromarray(image) for image in images])
    assert len(found.pairs) <= 12
    assert all(pair.kind == NEAR for pair in found.pairs)

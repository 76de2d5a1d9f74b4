"""The sheet has the arrays that a model is given, with and without augmentation."""

import numpy as np
import picture_folders
import pytest

from layersweep.data_check.collection import collection
from layersweep.data_check.sheet import sheet
from trainables.config import make
from trainables.data.dataset import prepare
from trainables.data.pictures.picture_list import Fitting
from trainables.data.pictures.variants import PictureOptions
from trainables.keys import Keys


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    for part, number in (("train", 20), ("test", 6)):
        for hue, name in enumerate(("a", "b", "c")):
            picture_folders.folder(tmp_path / "data" / part / name, number, hue, size=(48, 36))
    return tmp_path / "data"


def rows_of(folder, **values):
    pictures = collection("image_folder", folder, None, lambda _: None)
    return sheet(pictures, make(Keys, values))


def test_a_row_for_each_class_with_the_pixels_that_training_reads(folder):
    rows = rows_of(folder, image_size=24, fit="crop")
    options = PictureOptions(fittings=(Fitting(image_size=24, fit="crop"),))
    train = prepare("image_folder", folder=folder, say=lambda _: None, pictures=options).images("train")
    assert [row.label for row in rows] == [0, 1, 2]
    for row in rows:
        assert len(row.indices) == 6
        np.testing.assert_array_equal(row.plain, train[list(row.indices)])
        assert row.augmented is None


def test_augmented_ones_are_beside_the_plain_ones(folder):
    rows = rows_of(folder, flip="vertical", contrast=0.5)
    for row in rows:
        assert row.augmented is not None
        assert row.augmented.shape == row.plain.shape
        assert (row.augmented != row.plain).any()
    stored = collection("image_folder", folder, None, lambda _: None).images(rows[0].indices, Fitting())
    np.testing.assert_array_equal(rows[0].plain, stored)


def test_the_network_enlarges_small_pictures_and_changes_channels(folder):
    rows = rows_of(folder, image_size=96, channels=1)
    assert rows[0].plain.shape == (6, 96, 96, 1)


def test_many_classes_have_fewer_pictures_each(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    for k in range(70):
        picture_folders.folder(tmp_path / "data" / f"class {k}", 3, k, size=(12, 12))
    rows = rows_of(tmp_path / "data")
    assert len(rows) == 70
    assert {len(row.indices) for row in rows} == {1}

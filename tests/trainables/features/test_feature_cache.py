"""Features belong to one machine, also where machines share a home; test_transfer.py tests what they are for."""

import os
import platform
import time

import picture_folders
import pytest

from trainables.data.dataset import prepare
from trainables.data.pictures.picture_list import Fitting
from trainables.data.pictures.variants import PictureOptions
from trainables.features import feature_cache
from trainables.features.feature_cache import Features, make_room, root

MONTH = 30 * 24 * 3600


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path))
    return tmp_path / "features"


def features(folder, *, age=0):
    """A folder of features that takes a block of the disk."""
    folder.mkdir(parents=True)
    (folder / "test_there.npy").write_bytes(b"x")
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def on_host(monkeypatch, name):
    monkeypatch.setattr(platform, "node", lambda: name)


@pytest.mark.parametrize(
    ("name", "folder"), [("node-1.local", "node-1.local"), ("", "unnamed"), ("../up", "_up"), ("a b/c", "a_b_c")]
)
def test_each_machine_has_a_folder_of_its_own(monkeypatch, cache, name, folder):
    on_host(monkeypatch, name)
    assert root() == cache / folder


def test_room_is_made_among_the_features_of_this_machine(monkeypatch, cache):
    monkeypatch.setenv(feature_cache.ENVIRONMENT, "0")
    on_host(monkeypatch, "one")
    mine, others = features(cache / "one" / "a", age=60), features(cache / "two" / "a", age=MONTH - 3600)
    make_room(0)
    assert not mine.exists()
    assert others.exists(), "a training there may have mapped it, and would die"


def test_features_of_machines_that_are_gone_are_deleted_in_the_end(monkeypatch, cache):
    on_host(monkeypatch, "one")
    mine, others = features(cache / "one" / "a", age=2 * MONTH), features(cache / "two" / "a", age=MONTH + 3600)
    of_earlier_versions = features(cache / "data-precision-digest", age=MONTH + 3600)
    recent = features(cache / "data-precision-recent", age=MONTH - 3600)
    make_room(0)
    assert mine.exists()
    assert not others.exists()
    assert not of_earlier_versions.exists()
    assert recent.exists()


def test_each_size_of_pictures_has_features_of_its_own(tmp_path):
    data = prepare(
        "image_folder",
        folder=picture_folders.few(tmp_path / "in"),
        pictures=PictureOptions(fittings=(Fitting(), Fitting(image_size=8))),
    )
    folders = [Features.of(each, "d" * 16, (3,), precision="float32").folder for each in (data, data.fitted(8))]
    assert folders[0] != folders[1]
    assert all(data.fingerprint in folder.name for folder in folders)

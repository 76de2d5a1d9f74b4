"""Tiny-ImageNet: its folder, its zip, and its lists; what is damaged is named."""

import contextlib
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainables.data import tiny_imagenet_files
from trainables.data.dataset import prepare
from trainables.data.datasets import tiny_imagenet, tiny_imagenet_70_30
from trainables.errors import DataError


def picture(path, shade, *, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (shade, shade // 2, 7) if mode == "RGB" else shade
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LAYERSWEEP_TINY_IMAGENET", raising=False)


IDS = ("n01443537", "n01629819", "n01641577")


@pytest.fixture
def tiny(tmp_path):
    """Three classes of 20 training and 4 validation images; one image is grey, as in the real files."""
    root = tmp_path / "tiny-imagenet-200"
    for label, name in enumerate(IDS):
        for k in range(20):
            mode = "L" if (label, k) == (0, 0) else "RGB"
            picture(root / "train" / name / "images" / f"{name}_{k}.JPEG", 60 * label, size=(64, 64), mode=mode)
    lines = []
    for k in range(12):
        picture(root / "val" / "images" / f"val_{k}.JPEG", 60 * (k % 3), size=(64, 64))
        lines.append(f"val_{k}.JPEG\t{IDS[k % 3]}\t0\t32\t44\t62")
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (root / "wnids.txt").write_text("\n".join(IDS) + "\n")
    words = [f"{IDS[0]}\tgoldfish, Carassius auratus", f"{IDS[1]}\tsalamander", "n00000000\tnothing"]
    (root / "words.txt").write_text("\n".join(words) + "\n")
    picture(root / "test" / "images" / "test_0.JPEG", 0, size=(64, 64))
    return root


def test_its_validation_images_are_the_test_set(tiny):
    arrays = tiny_imagenet.load(tiny_imagenet.find(tiny.parent))
    assert arrays.train_images.shape == (60, 64, 64, 3)
    assert np.bincount(arrays.train_labels).tolist() == [20, 20, 20]
    assert arrays.test_labels.tolist() == [k % 3 for k in range(12)]
    assert arrays.classes == ("goldfish", "salamander", IDS[2])
    reds = arrays.test_images[:, 32, 32, 0].astype(int)
    assert np.abs(reds - 60 * arrays.test_labels).max() <= 2


def test_or_30_of_a_hundred_of_its_training_images_are(tiny):
    data = prepare("tiny_imagenet_70_30", folder=tiny)
    arrays = tiny_imagenet_70_30.load(tiny)
    assert (len(arrays.train_labels), len(arrays.test_labels)) == (42, 18)
    assert np.bincount(arrays.test_labels).tolist() == [6, 6, 6]
    assert (data.train_images + data.validation_images, data.test_images) == (42, 18)


def test_its_zip_is_unpacked_once(tiny, tmp_path):
    archive = tmp_path / "given" / "tiny-imagenet-200.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as members:
        for path in sorted(tiny.rglob("*")):
            members.write(path, path.relative_to(tiny.parent))
    messages = []
    for _ in range(2):
        folder = tiny_imagenet.find(archive, say=messages.append)
        assert len(tiny_imagenet.load(folder).train_labels) == 60
    assert len([line for line in messages if "unpacking" in line]) == 1


def test_a_truncated_zip_is_said(tmp_path):
    (tmp_path / "tiny-imagenet-200.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"tiny-imagenet-200\.zip is truncated or damaged"):
        tiny_imagenet.find(tmp_path)


def test_a_class_without_images_and_a_bad_annotation_are_named(tiny):
    for path in (tiny / "train" / IDS[1] / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=f"{IDS[1]} has no images"):
        tiny_imagenet.load(tiny)


def test_a_bad_annotation_is_named(tiny):
    annotations = tiny / "val" / "val_annotations.txt"
    annotations.write_text(annotations.read_text() + "val_12.JPEG\tn99999999\t0\t0\t1\t1\n")
    with pytest.raises(DataError, match=r"val_annotations\.txt, line 13: expected a file and a class of wnids\.txt"):
        tiny_imagenet.load(tiny)


@pytest.mark.parametrize("name", ["../wnids.txt", "/etc/passwd", "..", ""])
def test_names_that_lead_elsewhere_are_refused(tiny, name):
    annotations = tiny / "val" / "val_annotations.txt"
    annotations.write_text(f"{name}\t{IDS[0]}\t0\t0\t1\t1\n")
    with pytest.raises(DataError, match="line 1: expected a file and a class"):
        tiny_imagenet.load(tiny)
    if name:
        (tiny / "wnids.txt").write_text(f"{IDS[0]}\n{name}\n")
        with pytest.raises(DataError, match=rf"wnids\.txt: '{name}' is not the name of a folder"):
            tiny_imagenet.load(tiny)


@pytest.mark.parametrize("name", ["wnids.txt", "words.txt", "val/val_annotations.txt"])
def test_a_list_that_is_no_text_or_too_long_is_named(tiny, name):
    (tiny / name).write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=f"{name} is damaged: 'utf-8' codec"):
        tiny_imagenet.load(tiny)
    os.truncate(tiny / name, 1 << 40)
    with pytest.raises(DataError, match=f"{name} has 1,099,511,627,776 bytes; valid: at most"):
        tiny_imagenet.load(tiny)


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("n012\t\n/.\0,é\u2028"), max_size=40))
def test_any_lists_are_read_or_refused(text):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "val").mkdir()
        for list_name in ("wnids.txt", "words.txt", "val/val_annotations.txt"):
            (folder / list_name).write_text(text)
        with contextlib.suppress(DataError):
            tiny_imagenet.load(folder)
        with contextlib.suppress(DataError):
            pictures = tiny_imagenet_files._annotated(folder, tiny_imagenet_files._classes(folder))
            assert all(picture.path.parent == folder / "val" / "images" for picture in pictures)


def test_a_folder_without_it_says_what_it_needs(tmp_path):
    with pytest.raises(DataError, match=r"Tiny-ImageNet was not found in .*wnids\.txt"):
        tiny_imagenet.find(tmp_path)

"""Folders of images, such as Tiny-ImageNet: they are found and decoded on all cores, and damaged files are named."""

import contextlib
import io
import os
import re
import tempfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from trainables.data import tiny_imagenet_files
from trainables.data.dataset import prepare
from trainables.data.datasets import image_folder, tiny_imagenet, tiny_imagenet_70_30
from trainables.data.image_files import decoded, files_below
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


def decode(paths, *, strict=False):
    messages = []
    return decoded(paths, strict=strict, say=messages.append), messages


# decoding


def test_images_keep_their_order_and_size(tmp_path):
    paths = [picture(tmp_path / f"{k}.png", 10 * k) for k in range(5)]
    decoded_images, _ = decode(paths)
    assert decoded_images.images.shape == (5, 4, 6, 3)
    assert decoded_images.images[:, 0, 0].tolist() == [[10 * k, 5 * k, 7] for k in range(5)]
    assert decoded_images.places.tolist() == [0, 1, 2, 3, 4]


def test_more_than_a_chunk_are_decoded_by_several_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.image_files._CHUNK", 4)
    monkeypatch.setattr("trainables.data.image_files.cores", lambda: 3)
    paths = [picture(tmp_path / f"{k:02}.png", k) for k in range(30)]
    decoded_images, messages = decode(paths)
    assert decoded_images.images[:, 0, 0, 0].tolist() == list(range(30))
    assert messages[-1] == "  100 %"


def test_grey_ones_have_one_channel_if_all_are_grey(tmp_path):
    grey = [picture(tmp_path / f"{k}.png", k, mode="L") for k in range(3)]
    assert decode(grey)[0].images.shape == (3, 4, 6, 1)
    both = [*grey, picture(tmp_path / "coloured.jpg", 200)]
    assert decode(both)[0].images.shape == (4, 4, 6, 3)


def test_several_sizes_are_brought_to_the_most_frequent_and_said(tmp_path):
    paths = [picture(tmp_path / f"{k}.png", 9, size=(8, 8)) for k in range(3)] + [
        picture(tmp_path / "wide.png", 9, size=(20, 10))
    ]
    decoded_images, messages = decode(paths)
    assert decoded_images.images.shape == (4, 8, 8, 3)
    assert messages[1] == "images of 2 sizes are resized to 8x8 pixels"


def test_large_ones_of_several_sizes_are_bounded(tmp_path):
    paths = [picture(tmp_path / "a.png", 9, size=(1000, 500)), picture(tmp_path / "b.png", 9, size=(900, 500))]
    assert decode(paths)[0].images.shape == (2, 128, 256, 3)


@pytest.mark.parametrize("how", ["empty", "cut", "text"])
def test_a_damaged_one_is_named_and_left_out_or_refused(tmp_path, how):
    paths = [picture(tmp_path / f"{k}.png", k, size=(40, 40)) for k in range(3)]
    whole = paths[1].read_bytes()
    paths[1].write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"no image" * 20}[how])
    decoded_images, messages = decode(paths)
    assert decoded_images.places.tolist() == [0, 2]
    assert decoded_images.images[:, 0, 0, 0].tolist() == [0, 2]
    assert messages[-1].startswith(f"1 of 3 image files cannot be read: {paths[1]}: ")
    with pytest.raises(DataError, match=r"1 of 3 image files cannot be read: .*1\.png.*Without --strict"):
        decode(paths, strict=True)


def test_a_folder_of_nothing_but_damage_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 1 image files can be read; the first error: .*a\.png"):
        decode([tmp_path / "a.png"])


def test_hidden_files_and_others_are_no_images(tmp_path):
    for name in (".a.png", "b.txt", "c.JPG", "d/e.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in files_below(tmp_path)] == ["c.JPG", "e.jpeg"]


FOREIGN = ("BMP", "GIF", "ICO", "PCX", "PPM", "TGA", "TIFF", "WEBP")


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_format_that_nobody_asked_for_is_damage_whatever_its_name(tmp_path, kind):
    sound = picture(tmp_path / "sound.png", 1)
    with (tmp_path / "foreign.png").open("wb") as file:
        Image.new("RGB", (6, 4)).save(file, kind)
    decoded_images, messages = decode([sound, tmp_path / "foreign.png"])
    assert decoded_images.places.tolist() == [0]
    assert "foreign.png: it is not in the format JPEG or PNG" in messages[-1]


@pytest.mark.parametrize("name", ["eps.png", "eps.jpg"])
def test_ghostscript_does_not_run(tmp_path, monkeypatch, name):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    (tmp_path / name).write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\n0 0 6 4 rectfill\nshowpage\n%%EOF\n"
    )
    with pytest.raises(DataError, match="it is not in the format JPEG or PNG"):
        decode([tmp_path / name])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("side", [10_000, 20_000])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_file_of_many_pixels_is_named_with_its_size_and_the_limit(tmp_path, kind, side):
    small = io.BytesIO()
    Image.new("RGB", (257, 258)).save(small, kind)
    large = side.to_bytes(4 if kind == "PNG" else 2, "big")
    content = small.getvalue()
    if kind == "PNG":
        header = b"IHDR" + large + large + content[24:29]
        content = content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:]
    else:
        content = content.replace((258).to_bytes(2, "big") + (257).to_bytes(2, "big"), large + large)
    (tmp_path / "bomb.png").write_bytes(content)
    sound = picture(tmp_path / "sound.png", 1)
    decoded_images, messages = decode([tmp_path / "bomb.png", sound])
    assert decoded_images.places.tolist() == [1]
    assert re.search(rf"bomb\.png: .*{side * side} pixels.* exceeds limit of \d+ pixels", messages[-1])


def test_a_part_of_a_file_takes_no_more_memory_than_the_file_has(tmp_path):
    """The header of a PNG's part says that it has 4 GB; Python takes memory for them before it reads."""
    path = picture(tmp_path / "a.png", 9)
    content = path.read_bytes()
    place = content.index(b"IDAT") - 4
    path.write_bytes(content[:place] + b"\xff\xff\xff\xf0" + content[place + 4 :])
    tracemalloc.start()
    with contextlib.suppress(DataError):
        decode([path], strict=True)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_images_that_together_exceed_the_memory_are_refused_before_any_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.image_files.memory_bytes", lambda: 4 << 30)
    paths = [picture(tmp_path / "a.png", 1, size=(2000, 1000))] * 600
    message = r"600 images of 2000x1000 pixels \(.*a\.png, …\) take 3\.35 GiB of memory; valid: at most 3\.00 GiB"
    with pytest.raises(DataError, match=message):
        decode(paths)
    assert not (tmp_path / "cache").exists()


def test_grey_ones_take_a_third_of_the_memory_and_those_of_several_sizes_what_they_become(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.image_files.memory_bytes", lambda: 8 * 100 * 100)
    grey = [picture(tmp_path / f"{k}.png", 1, size=(100, 100), mode="L") for k in range(6)]
    assert decode(grey)[0].images.shape == (6, 100, 100, 1)
    with pytest.raises(DataError, match="6 images of 100x100 pixels"):
        decode([*grey[:5], picture(tmp_path / "c.png", 1, size=(100, 100))])
    monkeypatch.setattr("trainables.data.image_files.memory_bytes", lambda: 4 * 2 * 256 * 256)
    large = [picture(tmp_path / f"{k}.jpg", 1, size=(600, 600 + k)) for k in range(2)]
    assert decode(large)[0].images.shape == (2, 256, 256, 3)


def test_a_size_that_only_damaged_files_say_is_not_the_common_one(tmp_path):
    paths = [picture(tmp_path / f"{k}.png", 9, size=(300, 200)) for k in range(3)]
    for path in paths[:2]:
        path.write_bytes(path.read_bytes()[:50])
    paths.append(picture(tmp_path / "sound.png", 9, size=(40, 30)))
    decoded_images, messages = decode([paths[0], paths[1], paths[3]])
    assert decoded_images.images.shape == (1, 30, 40, 3)
    assert not any("resized" in message for message in messages)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG"]), mode=st.sampled_from(["RGB", "L"]))
def test_any_change_of_a_file_is_decoded_or_refused(data, kind, mode, tmp_path):
    buffer = io.BytesIO()
    Image.new(mode, (9, 7)).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "any.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        images = decode([path], strict=True)[0].images
    except (DataError, OSError):
        return
    assert images.shape[0] == 1


# folders


def test_a_folder_a_class_is_a_data_set_with_a_test_set_of_a_sixth(tmp_path):
    for label, name in enumerate(("cat", "dog")):
        for k in range(24):
            picture(tmp_path / "pets" / name / f"{k:02}.png", 100 * label + k)
    data = prepare("image_folder", folder=tmp_path / "pets")
    assert (data.classes, data.image_shape) == (("cat", "dog"), (4, 6, 3))
    assert (data.train_images, data.validation_images, data.test_images) == (33, 7, 8)
    sets = data.split(1)
    for one in (sets.train, sets.validation, sets.test):
        assert (np.asarray(one.images)[:, 0, 0, 0] >= 100).tolist() == (one.labels == 1).tolist()
    assert data == prepare("image_folder", folder=tmp_path / "pets", say=pytest.fail)


def test_folders_to_train_and_to_test_stay_apart(tmp_path):
    for part, shade, n in (("train", 10, 12), ("test", 20, 3)):
        for name in ("cat", "dog"):
            for k in range(n):
                picture(tmp_path / part / name / f"{k}.png", shade)
    sets = prepare("image_folder", folder=tmp_path).split(1)
    assert set(np.asarray(sets.test.images)[:, 0, 0, 0]) == {20}
    assert set(np.asarray(sets.train.images)[:, 0, 0, 0]) == {10}


def test_an_image_more_makes_another_data_set(tmp_path):
    for name in ("cat", "dog"):
        for k in range(12):
            picture(tmp_path / "pets" / name / f"{k}.png", k)
    first = prepare("image_folder", folder=tmp_path / "pets")
    picture(tmp_path / "pets" / "cat" / "more.png", 99)
    second = prepare("image_folder", folder=tmp_path / "pets")
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize("folder", [None, "absent", "."])
def test_a_folder_that_is_none_is_refused_with_what_is_valid(tmp_path, folder):
    with pytest.raises(DataError, match=r"valid: |give --data FOLDER"):
        image_folder.find(None if folder is None else tmp_path / folder)


def test_a_class_without_a_sound_image_is_named(tmp_path):
    for k in range(12):
        picture(tmp_path / "cat" / f"{k}.png", k)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match="class 'dog' has no image in the train set"):
        prepare("image_folder", folder=tmp_path)


# Tiny-ImageNet


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
            paths, labels = tiny_imagenet_files._annotated(folder, tiny_imagenet_files._classes(folder))
            assert all(path.parent == folder / "val" / "images" for path in paths)
            assert len(paths) == len(labels)


def test_a_folder_without_it_says_what_it_needs(tmp_path):
    with pytest.raises(DataError, match=r"Tiny-ImageNet was not found in .*wnids\.txt"):
        tiny_imagenet.find(tmp_path)

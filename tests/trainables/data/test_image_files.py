"""Folders of images, such as Tiny-ImageNet: they are found and decoded on all cores, and damaged files are named."""

import zipfile

import numpy as np
import pytest
from PIL import Image

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


def test_a_folder_without_it_says_what_it_needs(tmp_path):
    with pytest.raises(DataError, match=r"Tiny-ImageNet was not found in .*wnids\.txt"):
        tiny_imagenet.find(tmp_path)

"""The cache and the splits: made once, made again if damaged, and equal sets for a seed in every process."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from places import ROOT as REPOSITORY

from trainables.data import dataset, datasets
from trainables.data.arrays import ImageSet
from trainables.data.cache import host_name
from trainables.errors import DataError

# A data set of 3 classes: 90 training-file images (15 for validation, 75 for training) and 30 test images. The first
# pixel of an image is its index, so that which rows a set holds can be read from it.
TINY = """
import time
from pathlib import Path
import numpy as np
from trainables.data.arrays import Arrays
from trainables.errors import DataError

NAME = "tiny"

def find(folder=None, *, say):
    if folder is None or not (folder / "tiny.npz").is_file():
        raise DataError("no tiny.npz")
    return folder

def files(found):
    return [found / "tiny.npz"]

def load(folder, *, strict, say):
    with (folder / "loads.txt").open("a") as file:
        file.write("load\\n")
    time.sleep(0.5 if (folder / "slow").exists() else 0)
    with np.load(folder / "tiny.npz") as arrays:
        return Arrays(**arrays, classes=("a", "b", "c"))
"""


def write(folder: Path, *, brightness: int = 0) -> None:
    """Write the tiny data set's file; the classes alternate."""
    images = np.zeros((90, 2, 3, 1), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(90)
    images[:, 1, 1, 0] = brightness
    labels = np.arange(90) % 3
    np.savez(
        folder / "tiny.npz", train_images=images, train_labels=labels, test_images=images[:30], test_labels=labels[:30]
    )


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the tiny data set, whose module is found among the data sets; the cache is empty."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/tiny.py").write_text(TINY)
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path / "modules")])
    monkeypatch.delitem(sys.modules, "trainables.data.datasets.tiny", raising=False)
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "source"
    folder.mkdir()
    write(folder)
    return folder


def elsewhere(tiny: Path, code: str) -> subprocess.Popen[str]:
    """Start another process that runs code with `data`, the module, and `folder`, the tiny data set's."""
    modules = tiny.parent / "modules"
    start = "import sys; from pathlib import Path; from trainables.data import dataset as data, datasets; "
    start += f"datasets.__path__.append({str(modules)!r}); folder = Path({str(tiny)!r}); "
    return subprocess.Popen([sys.executable, "-c", start + code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def loads(tiny: Path) -> int:
    """Return how often the source was read."""
    return len((tiny / "loads.txt").read_text().splitlines())


def rows(images: ImageSet) -> list[int]:
    """Return the indices of a tiny set's images."""
    return [int(index) for index in np.asarray(images.images)[:, 0, 0, 0]]


def test_prepare_gives_sizes_shape_and_classes(tiny: Path) -> None:
    data = dataset.prepare("tiny", folder=tiny)
    assert (data.train_images, data.validation_images, data.test_images) == (75, 15, 30)
    assert data.image_shape == (2, 3, 1)
    assert data.classes == ("a", "b", "c")
    assert data.folder.name == f"tiny-{data.fingerprint}"
    assert len(data.fingerprint) == 16
    assert data.majority_share == 1 / 3
    assert pickle.loads(pickle.dumps(data)) == data


@pytest.mark.parametrize(
    ("images", "validation", "test"), [(75, 15, 30), (50, 10, 20), (33, 7, 13), (32, 6, 13), (3, 3, 3)]
)
def test_images_scales_all_three_sets(tiny: Path, images: int, validation: int, test: int) -> None:
    """33 of 75 is 0.44: 6.6 of 15 and 13.2 of 30; 3 of 75 is 0.6 and 1.2, raised to one image per class."""
    data = dataset.prepare("tiny", folder=tiny, images=images)
    assert (data.train_images, data.validation_images, data.test_images) == (images, validation, test)
    sets = data.split(0)
    assert [len(one.labels) for one in (sets.train, sets.validation, sets.test)] == [images, validation, test]
    for one in (sets.train, sets.validation, sets.test):
        counts = np.bincount(one.labels, minlength=3)
        assert counts.max() - counts.min() <= 1
        assert counts.min() >= 1


def test_the_majority_share_is_that_of_the_largest_class_of_the_training_file(tiny: Path) -> None:
    """60 of 90 labels are 1, for every number of images; the test file's labels do not matter."""
    images = np.zeros((90, 2, 3, 1), dtype=np.uint8)
    labels = np.repeat([0, 1, 2], [10, 60, 20])
    np.savez(tiny / "tiny.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels * 0)
    for images in (None, 30):
        assert dataset.prepare("tiny", folder=tiny, images=images).majority_share == 60 / 90


@pytest.mark.parametrize("images", [-1, 0, 2, 76])
def test_a_number_of_images_out_of_range_is_refused(tiny: Path, images: int) -> None:
    with pytest.raises(DataError, match=rf"images={images} is not valid for tiny; valid: 3 to 75 training images"):
        dataset.prepare("tiny", folder=tiny, images=images)


def test_an_unknown_name_lists_the_known(tiny: Path) -> None:
    with pytest.raises(
        DataError, match=r"'imdb' is not known; valid: cifar10, cifar100, fashion_mnist, .*mnist, .*tiny"
    ):
        dataset.prepare("imdb")


def test_sets_are_disjoint_stratified_and_keep_their_labels(tiny: Path) -> None:
    sets = dataset.prepare("tiny", folder=tiny).split(3)
    assert sorted(rows(sets.train) + rows(sets.validation)) == list(range(90))
    assert np.bincount(sets.train.labels).tolist() == [25, 25, 25]
    assert np.bincount(sets.validation.labels).tolist() == [5, 5, 5]
    for one in (sets.train, sets.validation, sets.test):
        assert one.labels.tolist() == [index % 3 for index in rows(one)]
        assert (np.asarray(one.images).dtype.name, one.labels.dtype.name) == ("uint8", "int64")
        assert len(one.images) == len(one.labels)
        assert one.images.shape == (len(one.labels), 2, 3, 1)


def test_a_smaller_set_is_part_of_the_larger(tiny: Path) -> None:
    whole, half = (dataset.prepare("tiny", folder=tiny, images=images).split(1) for images in (75, 38))
    assert rows(half.train) == rows(whole.train)[:38]
    assert rows(half.validation) == rows(whole.validation)[:8]
    assert rows(half.test) == rows(whole.test)[:15]


def test_the_seed_changes_the_split_but_not_the_test_set(tiny: Path) -> None:
    data = dataset.prepare("tiny", folder=tiny, images=30)
    first, second, again = data.split(0), data.split(1), data.split(0)
    assert rows(first.train) == rows(again.train)
    assert set(rows(first.validation)) != set(rows(second.validation))
    assert rows(first.train) != rows(second.train)
    assert rows(first.test) == rows(second.test)
    with pytest.raises(DataError, match="seed -1 is not valid; valid: 0 or more"):
        data.split(-1)


def test_another_process_draws_the_same_sets(tiny: Path) -> None:
    data = dataset.prepare("tiny", folder=tiny, images=30)
    code = "s = data.prepare('tiny', folder=folder, images=30).split(7); "
    code += "print([one.images[:][:, 0, 0, 0].tolist() for one in (s.train, s.validation, s.test)])"
    out, _ = elsewhere(tiny, code).communicate(timeout=60)
    sets = data.split(7)
    assert json.loads(out) == [rows(sets.train), rows(sets.validation), rows(sets.test)]


def test_a_prepared_data_set_says_where_it_is_valid(tiny: Path, tmp_path: Path) -> None:
    data = replace(dataset.prepare("tiny", folder=tiny), folder=tmp_path / "another node")
    with pytest.raises(DataError, match=r"tiny is not in this machine's cache .* call prepare here first"):
        data.split(0)


def test_a_second_start_does_not_read_the_source(tiny: Path) -> None:
    messages: list[str] = []
    first = dataset.prepare("tiny", folder=tiny, say=messages.append)
    second = dataset.prepare("tiny", folder=tiny, say=messages.append)
    assert first == second
    assert loads(tiny) == 1
    assert len(messages) == 1
    assert messages[0].startswith("tiny is not in the cache yet")


def test_two_processes_at_once_make_it_once(tiny: Path) -> None:
    (tiny / "slow").touch()
    code = "print(data.prepare('tiny', folder=folder).fingerprint)"
    others = [elsewhere(tiny, code) for _ in range(2)]
    printed = {other.communicate(timeout=60)[0] for other in others}
    assert len(printed) == 1
    assert [other.returncode for other in others] == [0, 0]
    assert loads(tiny) == 1


def test_another_content_has_another_fingerprint_and_the_same_content_the_same(tiny: Path) -> None:
    first = dataset.prepare("tiny", folder=tiny)
    write(tiny, brightness=1)
    second = dataset.prepare("tiny", folder=tiny)
    assert first.fingerprint != second.fingerprint
    write(tiny)
    os.utime(tiny / "tiny.npz", (1, 1))
    assert dataset.prepare("tiny", folder=tiny) == first
    assert loads(tiny) == 3


@pytest.mark.parametrize("damage", ["truncated", "empty", "gone", "another shape", "no header", "no meta", "bad meta"])
def test_a_damaged_cache_is_remade_and_said(tiny: Path, damage: str) -> None:
    first = dataset.prepare("tiny", folder=tiny)
    expected = rows(first.split(0).train)
    file = first.folder / "train_images.npy"
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "another shape":
        np.save(file, np.zeros((90, 3, 2, 1), dtype=np.uint8))
    elif damage in ("no meta", "bad meta"):
        (first.folder / "meta.json").write_text("" if damage == "no meta" else "[]")
    else:
        file.write_bytes({"truncated": whole[:-1], "empty": b"", "no header": b"x" * len(whole)}[damage])
    messages: list[str] = []
    again = dataset.prepare("tiny", folder=tiny, say=messages.append)
    assert again == first
    assert rows(again.split(0).train) == expected
    assert len(messages) == 1
    assert f"{first.folder} is damaged" in messages[0]
    assert file.read_bytes() == whole
    assert not list(first.folder.parent.glob(".*"))


def test_a_start_killed_while_writing_leaves_nothing_in_the_way(tiny: Path, tmp_path: Path) -> None:
    fingerprint = dataset.prepare("tiny", folder=tiny).fingerprint
    cache = tmp_path / "cache"
    leftover = cache / f".making-tiny-{fingerprint}-{host_name()}"
    (cache / f"tiny-{fingerprint}").rename(leftover)
    (leftover / "test_labels.npy").unlink()
    assert len(dataset.prepare("tiny", folder=tiny).split(0).train.labels) == 75
    assert not list(cache.glob(".*"))


def test_a_cache_that_cannot_be_written_is_said(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(DataError, match=r"file/cache cannot be used: .*Set LAYERSWEEP_CACHE"):
        dataset.prepare("tiny", folder=tiny)


# parts of a data set


def test_a_part_that_is_the_whole_is_the_same(tiny: Path) -> None:
    data = dataset.prepare("tiny", folder=tiny)
    assert data.part() is data
    assert data.part(class_indices=(0, 1, 2), holdout=Fraction(1, 6)) is data


def test_chosen_classes_are_told_apart_and_named(tiny: Path) -> None:
    """Two of three classes: 60 images, one sixth for validation; labels are indices into the selected classes."""
    part = dataset.prepare("tiny", folder=tiny).part(class_indices=(0, 2))
    assert (part.classes, part.train_images, part.validation_images, part.test_images) == (("a", "c"), 50, 10, 20)
    assert part.majority_share == 0.5
    sets = part.split(1)
    for one in (sets.train, sets.validation, sets.test):
        assert [{0: 0, 2: 1}[index % 3] for index in rows(one)] == one.labels.tolist()
    assert sorted(rows(sets.train) + rows(sets.validation)) == [index for index in range(90) if index % 3 != 1]


def test_a_smaller_share_is_part_of_a_larger_and_the_other_sets_stay(tiny: Path) -> None:
    data = dataset.prepare("tiny", folder=tiny)
    half, tenth = (data.part(train_share=Fraction(1, n)) for n in (2, 10))
    assert (half.train_images, tenth.train_images) == (38, 8)
    whole, larger, smaller = (one.split(2) for one in (data, half, tenth))
    assert rows(larger.train) == rows(whole.train)[:38]
    assert rows(smaller.train) == rows(whole.train)[:8]
    for one in (larger, smaller):
        assert rows(one.validation) == rows(whole.validation)
        assert rows(one.test) == rows(whole.test)


def test_another_share_validates(tiny: Path) -> None:
    part = dataset.prepare("tiny", folder=tiny, images=60).part(holdout=Fraction(1, 3))
    assert (part.train_images, part.validation_images) == (48, 24)  # four fifths of 60 and 30
    sets = part.split(1)
    assert not set(rows(sets.train)) & set(rows(sets.validation))


@pytest.mark.parametrize("folds", [2, 3, 4, 7])
def test_every_image_validates_in_one_fold(tiny: Path, folds: int) -> None:
    """7 folds of 90 images have 12 or 13 images: all validation sets have 12, and all training sets 77."""
    data = dataset.prepare("tiny", folder=tiny)
    parts = [data.part(fold=fold, folds=folds) for fold in range(folds)]
    least, most = 90 // folds, -(-90 // folds)
    assert {(part.train_images, part.validation_images) for part in parts} == {(90 - most, least)}
    validated: list[int] = []
    for part in parts:
        sets = part.split(4)
        assert len(sets.train.labels) == part.train_images
        assert not set(rows(sets.train)) & set(rows(sets.validation))
        counts = np.bincount(sets.validation.labels, minlength=3)
        assert counts.max() - counts.min() <= 2
        validated += rows(sets.validation)
    assert len(validated) == len(set(validated)) == folds * least
    assert rows(parts[0].split(4).test) == rows(data.split(4).test)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"folds": 31, "fold": 0},
            "class 'a' of tiny has 30 training images, too few for 31 folds; valid: 31 or more training images",
        ),
        (
            {"holdout": Fraction(1, 40)},
            "too few for validation_share=0.025; valid: 40 or more training images of each class",
        ),
    ],
)
def test_a_class_too_small_to_be_split_is_named(tiny: Path, part: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        dataset.prepare("tiny", folder=tiny).part(**part)


def test_a_class_too_small_for_the_data_set_itself_is_named(tiny: Path) -> None:
    images = np.zeros((90, 2, 3, 1), dtype=np.uint8)
    labels = np.repeat([0, 1, 2], [1, 69, 20])
    np.savez(tiny / "tiny.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    with pytest.raises(DataError, match=r"class 'a' of tiny has 1 training image, too few for validation_share=0.16"):
        dataset.prepare("tiny", folder=tiny).part()


def test_fashion_mnist_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fashion_mnist_files: Path) -> None:
    """The real files: 6,000 and 1,000 images per class, with their well-known first labels."""
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path))
    whole = dataset.prepare("fashion_mnist", folder=fashion_mnist_files)
    assert (whole.train_images, whole.validation_images, whole.test_images) == (50_000, 10_000, 10_000)
    assert whole.majority_share == 0.1
    assert np.load(whole.folder / "train_labels.npy")[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    tenth = dataset.prepare("fashion_mnist", folder=fashion_mnist_files, images=10_000)
    assert (tenth.validation_images, tenth.test_images) == (2_000, 2_000)
    large, small = whole.split(0), tenth.split(0)
    for big, part, share in (
        (large.train, small.train, 1000),
        (large.validation, small.validation, 200),
        (large.test, small.test, 200),
    ):
        assert np.bincount(part.labels).tolist() == [share] * 10
        assert np.array_equal(big.images[: len(part.images)], part.images[:])
        assert np.array_equal(big.labels[: len(part.labels)], part.labels)
    assert dataset.prepare("fashion_mnist", folder=fashion_mnist_files, images=10).split(0).validation.labels.size == 10

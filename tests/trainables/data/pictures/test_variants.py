"""Pictures in several sizes: one fingerprint, one split, the same rows; a given validation part stays as it is."""

import pickle
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import picture_folders
import pytest
from PIL import Image

from trainables.data import cache
from trainables.data.arrays import ImageSet
from trainables.data.dataset import Data, local_copy, prepare
from trainables.data.pictures.picture_list import Fitting
from trainables.data.pictures.variants import PictureOptions, stored_size
from trainables.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "cache"))
    return tmp_path / "cache"


def prepared(folder: Path, *fittings: Fitting, say: Callable[[str], None] = str) -> Data:
    options = PictureOptions(fittings=fittings or (Fitting(),))
    return prepare("image_folder", folder=folder, say=say, pictures=options)


def colours(folder: Path, sizes: dict[str, int], size: tuple[int, int] = (12, 8)) -> Path:
    """Pictures of one grey each, so that a row can be told in any size; two in each step of the grey are alike."""
    value = 0
    for label, (name, n) in enumerate(sizes.items()):
        (folder / name).mkdir(parents=True)
        for k in range(n):
            value += 3
            Image.new("RGB", size, (value, 80 * label, 0)).save(folder / name / f"{k}.png")
    return folder


def values(images: ImageSet) -> list[int]:
    """The red of the middle of each picture."""
    array = np.asarray(images.images)
    return [int(red) for red in array[:, array.shape[1] // 2, array.shape[2] // 2, 0]]


@pytest.mark.parametrize(
    ("native", "image_size", "size"),
    [
        ((32, 32), 0, (32, 32)),
        ((32, 32), 64, (32, 32)),  # the network enlarges it, as with other data sets
        ((32, 32), 32, (32, 32)),
        ((32, 32), 16, (16, 16)),
        ((48, 20), 32, (32, 32)),
        ((4032, 3024), 0, (512, 384)),
        ((3024, 4032), 0, (384, 512)),
        ((4032, 3024), 224, (224, 224)),
        ((4032, 3024), 1024, (1024, 1024)),  # more is asked for than is stored otherwise
        ((600, 400), 700, (700, 700)),
        ((512, 20), 600, (512, 20)),
        ((9000, 3), 0, (512, 1)),
    ],
)
def test_the_stored_size(native: tuple[int, int], image_size: int, size: tuple[int, int]) -> None:
    assert stored_size(Fitting(image_size=image_size), native, mixed=False) == size


@pytest.mark.parametrize(("image_size", "size"), [(0, (512, 384)), (16, (16, 16)), (600, (600, 600))])
def test_of_several_sizes_each_is_brought_to_the_trials_size_at_once(image_size: int, size: tuple[int, int]) -> None:
    assert stored_size(Fitting(image_size=image_size), (640, 480), mixed=True) == size
    assert stored_size(Fitting(image_size=64), (30, 20), mixed=True) == (64, 64)


def test_pictures_of_several_sizes_have_bars_on_two_sides_alone(tmp_path: Path) -> None:
    """Portrait ones would have bars on all four sides, if they were first brought to the size of landscape ones."""
    folder = colours(tmp_path / "in", {"a": 12, "b": 12}, size=(30, 20))
    for place in (folder / "a").glob("1*.png"):
        Image.new("RGB", (20, 30), (255, 255, 255)).save(place)
    data = prepared(folder, Fitting(image_size=60, fit="pad"))
    assert (data.image_shape, data.mixed) == ((60, 60, 3), True)
    train = np.asarray(data.split(1).train.images)
    portraits = train[(train == 255).any(axis=(1, 2, 3))]
    assert len(portraits)
    assert (portraits[:, :, 30] == 255).all()
    assert (portraits[:, 30, :8] == 0).all()


def test_the_size_of_others_is_the_networks_to_enlarge(tmp_path: Path) -> None:
    data = prepared(colours(tmp_path / "in", {"a": 12, "b": 12}), Fitting(image_size=60))
    assert (data.image_shape, data.mixed) == ((8, 12, 3), False)


def test_every_size_has_the_same_rows_and_split(tmp_path: Path) -> None:
    fittings = [Fitting(), Fitting(image_size=4), Fitting(image_size=6, fit="crop"), Fitting(image_size=16, fit="pad")]
    data = prepared(colours(tmp_path / "in", {"a": 30, "b": 24}), *fittings)
    variants = [data.fitted(each.image_size, each.fit, each.resizing) for each in fittings]
    assert [each.image_shape for each in variants] == [(8, 12, 3), (4, 4, 3), (6, 6, 3), (8, 12, 3)]
    assert len({each.folder for each in variants}) == 4
    assert {each.fingerprint for each in variants} == {data.fingerprint}
    assert variants[0] == data
    assert variants[1].fitted() == data
    for seed in (0, 3):
        first, *others = [each.split(seed) for each in variants]
        for other in others:
            for name in ("train", "validation", "test"):
                assert values(getattr(other, name)) == values(getattr(first, name))
    assert pickle.loads(pickle.dumps(variants[1])) == variants[1]


def test_what_is_asked_for_is_decoded_and_nothing_else(tmp_path: Path, own_cache: Path) -> None:
    folder = colours(tmp_path / "in", {"a": 12, "b": 12})
    data = prepared(folder, Fitting(image_size=4))
    assert data.image_shape == (4, 4, 3)
    assert [path.name for path in own_cache.glob("image_folder-*")] == [
        f"image_folder-{data.fingerprint}-4x4-stretch-bilinear"
    ]
    lines: list[str] = []
    again = prepared(folder, Fitting(image_size=4), Fitting(image_size=5), say=lines.append)
    assert again == data
    assert [line for line in lines if "decoding" in line] == ["decoding 24 pictures to 5x5 …"]


def test_neither_names_nor_folder_nor_size_change_the_fingerprint_but_content_and_classes_do(tmp_path: Path) -> None:
    folder = colours(tmp_path / "in", {"a": 12, "b": 12})
    first = prepared(folder)
    shutil.copytree(folder, tmp_path / "elsewhere" / "copy")
    for place in (tmp_path / "elsewhere" / "copy" / "a").iterdir():
        place.rename(place.with_name(f"picture_{place.stem:>04}.jpg"))
    assert prepared(tmp_path / "elsewhere" / "copy", Fitting(image_size=4)).fingerprint == first.fingerprint
    (folder / "a").rename(folder / "aa")
    assert prepared(folder).fingerprint != first.fingerprint
    (folder / "aa").rename(folder / "a")
    Image.new("RGB", (12, 8), (1, 2, 3)).save(folder / "a" / "0.png")
    assert prepared(folder).fingerprint != first.fingerprint


def test_a_given_validation_part_is_the_same_for_every_seed(tmp_path: Path) -> None:
    data = prepared(picture_folders.split_folders(tmp_path / "in"))
    assert (data.classes, data.validation_rows) == (("cats", "dogs"), 40)
    assert (data.train_images, data.validation_images, data.test_images) == (100, 40, 20)
    first, second = data.split(1), data.split(2)
    assert values(first.validation) == values(second.validation)
    assert values(first.train) != values(second.train)
    assert sorted(values(first.train)) == sorted(values(second.train))
    rows = [each.images.rows for each in (first.train, first.validation)]  # type: ignore[union-attr]
    assert sorted(np.concatenate(rows)) == list(range(140))
    assert set(rows[1]) == set(range(100, 140))
    assert np.bincount(first.validation.labels).tolist() == [20, 20]


def test_three_given_parts_stay_as_they_are(tmp_path: Path) -> None:
    data = prepared(picture_folders.three_parts(tmp_path / "in"))
    assert (data.train_images, data.validation_images, data.test_images) == (120, 40, 40)
    half = data.limited(60)
    assert (half.train_images, half.validation_images, half.test_images) == (60, 20, 20)
    whole_sets, half_sets = data.split(5), half.split(5)
    assert values(half_sets.train) == values(whole_sets.train)[:60]
    assert values(half_sets.validation) == values(whole_sets.validation)[:20]
    one_class_less = picture_folders.parts(tmp_path / "more", {"train": 9, "dev": 6, "Test": 3}, ("a", "b", "c"))
    part = prepared(one_class_less).part(class_indices=(0, 2))
    assert (part.train_images, part.validation_images, part.test_images) == (18, 12, 6)
    assert set(part.split(1).validation.labels) == {0, 1}


@pytest.mark.parametrize("part", [{"folds": 3, "fold": 0}, {"holdout": Fraction(1, 3)}])
def test_another_validation_set_beside_a_given_one_is_refused(tmp_path: Path, part: dict[str, object]) -> None:
    data = prepared(picture_folders.split_folders(tmp_path / "in"))
    with pytest.raises(DataError, match=r"a validation part of its own, with 40 images.*valid: --folds 0 without"):
        data.part(**part)  # type: ignore[arg-type]


@pytest.mark.parametrize(("folder", "classes"), [("rare_class", ("a", "b", "c")), ("two", ("a", "b", "odd one"))])
def test_a_class_too_small_is_named_and_can_be_left_out(tmp_path: Path, folder: str, classes: tuple[str, ...]) -> None:
    if folder == "rare_class":
        place = picture_folders.rare_class(tmp_path / "in")
    else:
        place = colours(tmp_path / "in", {"a": 30, "b": 30, "odd one": 1})
    data = prepared(place)
    assert data.classes == classes
    name = classes[-1]
    message = f"class {name!r} of image_folder has 1 training image, too few .*; valid: 3 or more training images of "
    message += f"each class, or leave out what is smaller: --set '?classes=without:{name}"
    with pytest.raises(DataError, match=message):
        data.part()
    with pytest.raises(DataError, match=message):
        data.split(1)
    part = data.part(class_indices=(0, 1))
    assert len(part.split(1).validation.labels) == part.validation_images


@pytest.mark.parametrize("n", [2, 4, 7])
def test_as_many_as_the_error_says_are_enough_whatever_the_seed(tmp_path: Path, n: int) -> None:
    """60 and n training pictures; a given test part, so that all are split alone."""
    for part, sizes in {"train": {"a": 60, "b": n}, "test": {"a": 2, "b": 2}}.items():
        colours(tmp_path / "in" / part, sizes)
    data = prepared(tmp_path / "in")
    if n < 4:
        with pytest.raises(DataError, match="valid: 4 or more training images of each class"):
            data.part()
        return
    for seed in range(30):
        assert set(data.part().split(seed).validation.labels) == {0, 1}


@pytest.mark.parametrize("n", [6, 7, 9])
def test_few_pictures_of_each_class_have_one_in_each_set_whatever_the_seed(tmp_path: Path, n: int) -> None:
    data = prepared(colours(tmp_path / "in", {"a": n, "b": n, "c": n})).part()
    for seed in range(20):
        for images in vars(data.split(seed)).values():
            assert set(images.labels) == {0, 1, 2}


def test_numbered_classes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    assert prepared(picture_folders.numbered(tmp_path / "in")).classes == tuple(map(str, range(11)))


def test_a_kill_while_a_size_is_decoded_leaves_nothing_after_the_next_start(tmp_path: Path, own_cache: Path) -> None:
    folder = colours(tmp_path / "in", {"a": 12, "b": 12})
    data = prepared(folder, Fitting(image_size=4))
    leftover = own_cache / f".making-image_folder-{data.fingerprint}-6x6-crop-bilinear-{cache.host_name()}"
    data.folder.rename(leftover)
    assert prepared(folder, Fitting(image_size=5)).image_shape == (5, 5, 3)
    assert not list(own_cache.glob(".making*"))


def test_a_picture_that_could_not_be_decoded_is_said_at_each_start_and_refused_if_strict(tmp_path: Path) -> None:
    """A cut file can be opened, so that only decoding shows it; what is in the cache was made without it."""
    folder = colours(tmp_path / "in", {"a": 12, "b": 12}, size=(64, 64))
    cut = folder / "a" / "0.jpg"
    picture_folders.picture(0, 0, (64, 64)).save(cut)
    cut.write_bytes(cut.read_bytes()[:1500])
    for _ in range(2):
        lines: list[str] = []
        data = prepared(folder, Fitting(), Fitting(image_size=8), say=lines.append)
        said = [line for line in lines if "1 of 25 pictures cannot be read" in line and "0.jpg" in line]
        assert said
    assert len(said) == 1
    for variant in (data, data.fitted(8)):
        assert len(variant.labels("train")) + len(variant.labels("test")) == 24
    with pytest.raises(DataError, match=r"1 of 25 pictures cannot be read.*Without --strict they are left out"):
        prepare("image_folder", folder=folder, strict=True)


def test_a_damaged_size_is_made_again(tmp_path: Path) -> None:
    folder = colours(tmp_path / "in", {"a": 12, "b": 12})
    data = prepared(folder)
    images = data.folder / "train_images.npy"
    content = images.read_bytes()
    images.write_bytes(content[:-1])
    assert prepared(folder) == data
    assert images.read_bytes() == content


def test_another_machine_copies_the_size_that_its_trial_needs(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(picture_folders.split_folders(tmp_path / "in"), Fitting(), Fitting(image_size=8))
    small = data.fitted(8)
    validation = values(small.split(1).validation)
    own_cache.rename(tmp_path / "driver")
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "other"))

    def read_piece(path: Path, offset: int) -> bytes:
        with (tmp_path / "driver" / path.relative_to(own_cache)).open("rb") as file:
            file.seek(offset)
            return file.read(1 << 16)

    copy = local_copy(small, read_piece)
    assert copy.folder == tmp_path / "other" / small.folder.name
    assert copy.part() == copy
    assert values(copy.split(1).validation) == validation
    assert [path.name for path in (tmp_path / "other").glob("image_folder-*")] == [small.folder.name]


def test_photos_are_stored_small(tmp_path: Path) -> None:
    folder = colours(tmp_path / "in", {"a": 3, "b": 3}, size=(2000, 1500))
    data = prepared(folder, Fitting(image_size=32), Fitting())
    assert (data.image_shape, data.native) == ((32, 32, 3), (2000, 1500))
    whole = data.fitted()
    assert whole.image_shape == (384, 512, 3)
    assert (whole.folder / "train_images.npy").stat().st_size < 6 * 384 * 512 * 3


@pytest.mark.parametrize(("part", "copies"), [("test", 3), ("val", 2)])
def test_copies_of_training_images_in_another_part_are_said(tmp_path: Path, part: str, copies: int) -> None:
    folder = tmp_path / "pictures"
    colours(folder / "train", {"a": 9, "b": 9})
    colours(folder / part, {"a": 12, "b": 12}, size=(12, 9))
    for index in range(copies):
        shutil.copy(folder / "train" / "a" / f"{index}.png", folder / part / "b" / f"copy{index}.png")
    lines: list[str] = []
    prepared(folder, say=lines.append)
    name = {"val": "validation"}.get(part, part)
    warnings = [line for line in lines if line.startswith("WARNING")]
    assert len(warnings) == 1
    assert f"{copies} of {24 + copies} {name} images are training images, too" in warnings[0]


def test_different_pictures_are_no_copies(tmp_path: Path) -> None:
    lines: list[str] = []
    prepared(colours(tmp_path / "pictures", {"a": 9, "b": 9}), say=lines.append)
    assert not [line for line in lines if line.startswith("WARNING")]

"""Pictures are decoded straight into the arrays of a data set: every row is its picture, whatever is damaged."""

import contextlib
import io
import os
import re
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import picture_folders
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from trainables.data import cache
from trainables.data.pictures import all_cores
from trainables.data.pictures.decoding import decode, decoded_arrays
from trainables.data.pictures.picture_list import PARTS, Fitting, Picture, PictureList
from trainables.data.pictures.survey import survey
from trainables.errors import DataError


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))


def picture(path, shade, *, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (shade, shade // 2, 7) if mode == "RGB" else shade
    Image.new(mode, size, colour).save(path)
    return path


def cut(path):
    """Puts a picture of the same size in its place, of which the header is sound, and the end is missing."""
    with Image.open(path) as image:
        noise = np.random.default_rng(0).integers(0, 255, (image.height, image.width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, "JPEG", quality=95)
    path.write_bytes(path.read_bytes()[:-200])


def listed(*paths, parts=None, classes=("a",)):
    pictures = [
        Picture(path=path, label=k % len(classes), part=parts[k] if parts else "train") for k, path in enumerate(paths)
    ]
    return PictureList(pictures=pictures, classes=classes, layout="")


def folders(root):
    """A folder for each class, as a list."""
    classes = sorted(path for path in root.iterdir() if path.is_dir())
    pictures = [
        Picture(path=path, label=label) for label, name in enumerate(classes) for path in sorted(name.iterdir())
    ]
    return PictureList(pictures=pictures, classes=tuple(path.name for path in classes), layout="")


def decoded(pictures, fitting=None, *, strict=False):
    """The arrays of the list, and what was said."""
    lines = []
    summary = survey(pictures, lines.append)
    folder = Path(os.environ["LAYERSWEEP_CACHE"]) / "decoded"
    folder.mkdir(exist_ok=True)
    result = decode(pictures, summary, folder, fitting or Fitting(), say=lines.append, strict=strict)
    arrays = {name: cache.open_array(folder, name) for name in cache.ARRAYS}
    return arrays, lines, result


def test_pictures_keep_their_order_and_size(tmp_path):
    arrays, lines, _ = decoded(listed(*(picture(tmp_path / f"{k}.png", 10 * k) for k in range(5))))
    assert arrays["train_images"].shape == (5, 4, 6, 3)
    assert arrays["train_images"][:, 0, 0].tolist() == [[10 * k, 5 * k, 7] for k in range(5)]
    assert arrays["test_images"].shape == (0, 4, 6, 3)
    assert lines[-1] == "decoding 5 pictures to 6x4 …"


def test_parts_go_into_two_files_and_a_given_validation_part_is_last(tmp_path):
    paths = [picture(tmp_path / f"{k}.png", k) for k in range(8)]
    parts = ["validation", "train", "test", "train", "validation", "test", "train", "train"]
    (tmp_path / "4.png").write_bytes(b"")
    arrays, _, result = decoded(listed(*paths, parts=parts, classes=("a", "b")))
    assert arrays["train_images"][:, 0, 0, 0].tolist() == [1, 3, 6, 7, 0]
    assert arrays["train_labels"].tolist() == [1, 1, 0, 1, 0]
    assert arrays["test_images"][:, 0, 0, 0].tolist() == [2, 5]
    assert arrays["test_labels"].tolist() == [0, 1]
    assert result.validation_rows == 1


def test_several_processes_decode_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(all_cores, "MOST_FILES", 4)
    monkeypatch.setattr(all_cores, "cores", lambda: 3)
    paths = [picture(tmp_path / f"{k:02}.png", k) for k in range(30)]
    arrays, lines, _ = decoded(listed(*paths))
    assert arrays["train_images"][:, 0, 0, 0].tolist() == list(range(30))
    assert lines[-1] == "  100 %"


def test_grey_ones_have_one_channel_if_all_are_grey(tmp_path):
    grey = [picture(tmp_path / f"{k}.png", k, mode="L") for k in range(3)]
    assert decoded(listed(*grey))[0]["train_images"].shape == (3, 4, 6, 1)
    arrays = decoded(listed(*grey, picture(tmp_path / "colour.jpg", 200)))[0]
    assert arrays["train_images"].shape == (4, 4, 6, 3)
    assert arrays["train_images"][2, 0, 0].tolist() == [2, 2, 2]


def test_all_are_brought_to_one_size(tmp_path):
    sizes = [(8, 8), (8, 8), (20, 10)]
    pictures = listed(*(picture(tmp_path / f"{k}.png", 9, size=size) for k, size in enumerate(sizes)))
    assert decoded(pictures)[0]["train_images"].shape == (3, 8, 8, 3)
    padded = decoded(pictures, Fitting(image_size=16, fit="pad"))[0]["train_images"]
    assert padded.shape == (3, 16, 16, 3)
    assert padded[2, :, 0, 2].tolist() == [0] * 4 + [7] * 8 + [0] * 4
    assert (padded[0, ..., 2] == 7).all()


@pytest.mark.parametrize("how", ["empty", "cut", "text"])
def test_a_damaged_one_is_named_and_left_out_or_refused(tmp_path, how):
    paths = [picture(tmp_path / f"{k}.png", k, size=(40, 40)) for k in range(3)]
    whole = paths[1].read_bytes()
    paths[1].write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"no image" * 20}[how])
    arrays, lines, result = decoded(listed(*paths))
    assert arrays["train_images"][:, 0, 0, 0].tolist() == [0, 2]
    assert arrays["train_labels"].shape == (2,)
    if how == "cut":  # its header is sound
        assert list(result.damages) == [1]
        assert lines[-1].startswith(f"1 of 3 pictures cannot be read: {paths[1]}: ")
        with pytest.raises(DataError, match=r"1 of 3 pictures cannot be read: .*1\.png.*Without --strict"):
            decoded(listed(*paths), strict=True)


@pytest.mark.parametrize("damaged", [{0}, {9}, {0, 1, 2}, {3, 7, 8}, set(range(9))])
def test_the_rows_of_damaged_ones_are_taken_out_of_both_files(tmp_path, damaged):
    paths = [picture(tmp_path / f"{k}.jpg", 20 * k, size=(16, 16)) for k in range(10)]
    for k in damaged:
        cut(paths[k])
    parts = ["train", "train", "test", "validation", "train", "test", "train", "validation", "train", "validation"]
    arrays, _, result = decoded(listed(*paths, parts=parts))
    rows = {part: [k for k in range(10) if parts[k] == part and k not in damaged] for part in PARTS}
    for file, sound in (("train", rows["train"] + rows["validation"]), ("test", rows["test"])):
        assert (
            np.abs(arrays[f"{file}_images"][:, 8, 8, 0].astype(int) - 20 * np.array(sound, dtype=int)).max(initial=0)
            <= 3
        )
        assert len(arrays[f"{file}_labels"]) == len(sound)
    assert result.validation_rows == len(rows["validation"])
    assert set(result.damages) == damaged


def test_a_class_of_which_nothing_is_left_is_named(tmp_path):
    paths = [picture(tmp_path / f"{k}.jpg", 9, size=(16, 16)) for k in range(4)]
    for path in paths[1::2]:
        cut(path)
    arrays, lines, _ = decoded(listed(*paths, classes=("cat", "dog")))
    assert lines[-1] == "class 'dog' has no picture that can be read: none of its 2 files"
    assert arrays["train_labels"].tolist() == [0, 0]


def test_twice_is_the_same_in_every_byte(tmp_path, monkeypatch):
    picture_folders.formats(tmp_path / "in")
    monkeypatch.setattr(all_cores, "MOST_FILES", 7)
    first = {name: array.tobytes() for name, array in decoded(folders(tmp_path / "in"))[0].items()}
    monkeypatch.setattr(all_cores, "cores", lambda: 1)
    assert {name: array.tobytes() for name, array in decoded(folders(tmp_path / "in"))[0].items()} == first


# the folders of the issue


def test_below_full_transparency_is_white(tmp_path):
    arrays = decoded(folders(picture_folders.transparent(tmp_path / "in")))[0]
    images, labels = arrays["train_images"], arrays["train_labels"]
    assert (images[:, :8] == 255).all()
    for label in (0, 1):
        assert (images[labels == label, 8:24, 8:24] == picture_folders.HUES[label]).all()


def test_no_format_and_no_class_disappears(tmp_path):
    arrays, lines, _ = decoded(folders(picture_folders.formats(tmp_path / "in")))
    assert np.bincount(arrays["train_labels"]).tolist() == [40, 40, 40]
    means = [arrays["train_images"][arrays["train_labels"] == label].mean((0, 1, 2)) for label in range(3)]
    assert np.abs(np.array(means) - picture_folders.HUES[:3]).max() < 20
    assert not any("cannot be read" in line for line in lines)


def test_photos_are_stored_small(tmp_path):
    arrays = decoded(folders(picture_folders.photos(tmp_path / "in", 1)))[0]
    assert arrays["train_images"].shape == (2, 384, 512, 3)
    assert decoded(folders(tmp_path / "in"), Fitting(image_size=96))[0]["train_images"].shape == (2, 96, 96, 3)


def test_one_of_many_that_is_cut_is_left_out(tmp_path):
    arrays, lines, _ = decoded(folders(picture_folders.many(tmp_path / "in", 12)))
    assert len(arrays["train_images"]) == 23
    assert re.search(r"1 of 24 pictures cannot be read: .*/a/7\.jpg: .*truncated", lines[-1])


# from public reports


def test_names_that_say_another_format_than_the_content(tmp_path):
    """ImageNet has a PNG named .JPEG (pytorch/vision, issue 2294); scraped sets have WebP named .jpg."""
    for k, kind in enumerate(("PNG", "WEBP", "GIF", "BMP", "TIFF")):
        with (tmp_path / f"{k}.JPEG").open("wb") as file:
            Image.new("RGB", (16, 16), (50 * k, 0, 0)).save(file, kind, lossless=True)
    arrays = decoded(listed(*(tmp_path / f"{k}.JPEG" for k in range(5))))[0]
    assert arrays["train_images"][:, 8, 8, 0].tolist() == [0, 50, 100, 150, 200]


def test_grey_of_16_bits_is_not_white(tmp_path):
    """ImageFolder of torchvision and Keras' load_img give white pictures (pytorch/vision 2218, keras 4486)."""
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "0.png")
    array = decoded(listed(tmp_path / "0.png"))[0]["train_images"]
    assert np.array_equal(array[0, ..., 0], levels >> 8)


# bounds


def test_memory_grows_neither_with_the_number_nor_with_the_size_of_the_pictures(tmp_path):
    """The peak of the main process and of its workers, in a Python of its own."""
    script = """
import resource, sys
sys.path.insert(0, "tests/trainables/data/pictures")
from pathlib import Path
from trainables.data.pictures.picture_list import Fitting, Picture, PictureList
from trainables.data.pictures.survey import survey
from trainables.data.pictures.decoding import decode
paths = sorted(Path(sys.argv[1]).iterdir()) * int(sys.argv[2])
pictures = PictureList(pictures=[Picture(path=path, label=0) for path in paths], classes=("a",), layout="")
out = Path(sys.argv[3]); out.mkdir()
decode(pictures, survey(pictures, lambda _: None), out, Fitting(image_size=256), say=lambda _: None, strict=True)
print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""
    for size in (300, 2000):
        (tmp_path / str(size)).mkdir()
        noise = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
        for k in range(3):
            Image.fromarray(noise).save(tmp_path / str(size) / f"{k}.jpg")

    def peak(size, times):
        command = [sys.executable, "-c", script, tmp_path / str(size), str(times), tmp_path / f"{size}_{times}"]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    few = peak(300, 3)
    assert peak(300, 200) < few + 8 * 1024  # kilobytes; 600 pictures take 118 MB on the disk
    assert peak(2000, 3) < few + 20 * 1024  # decoded at full size, one of them has 12 MB, or 16 in Pillow's memory


def test_a_part_of_a_file_takes_no_more_memory_than_the_file_has(tmp_path):
    """The header of a PNG's part says that it has 4 GB; Python takes memory for them before it reads."""
    path = picture(tmp_path / "a.png", 9)
    content = path.read_bytes()
    place = content.index(b"IDAT") - 4
    path.write_bytes(content[:place] + b"\xff\xff\xff\xf0" + content[place + 4 :])
    tracemalloc.start()
    with contextlib.suppress(DataError):
        decoded(listed(path), strict=True)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_large_pictures_are_decoded_by_fewer_processes(tmp_path, monkeypatch):
    seen = []
    real = all_cores.ProcessPoolExecutor
    monkeypatch.setattr(
        all_cores, "ProcessPoolExecutor", lambda n, context, **more: seen.append(n) or real(n, context, **more)
    )
    monkeypatch.setattr(all_cores, "MOST_FILES", 1)
    monkeypatch.setattr(all_cores, "cores", lambda: 4)
    pictures = listed(*(picture(tmp_path / f"{k}.png", 9, size=(1000, 1000), mode="L") for k in range(4)))
    monkeypatch.setattr(all_cores, "memory_bytes", lambda: 400 << 20)
    decoded(pictures)
    assert seen == [3, 2]


def test_a_disk_without_room_is_an_error(tmp_path):
    """The limit of a file's size acts as a full disk does."""
    pictures = listed(*(picture(tmp_path / f"{k}.png", 9, size=(100, 100)) for k in range(40)))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            decoded(pictures)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_a_picture_that_changes_between_the_survey_and_its_decoding_is_refused(tmp_path):
    pictures = listed(picture(tmp_path / "0.png", 1))
    summary = survey(pictures, lambda _: None)
    picture(tmp_path / "0.png", 2, size=(60, 40))
    with pytest.raises(DataError, match=r"0\.png changes while it is read"):
        decode(pictures, summary, tmp_path, Fitting(), say=lambda _: None, strict=False)


def test_pictures_inside_a_parquet_file_are_read_by_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(all_cores, "MOST_FILES", 4)
    cells = []
    for k in range(20):
        buffer = io.BytesIO()
        Image.new("RGB", (5, 4), (10 * k, 0, 0)).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue()[: -30 if k == 7 else None], "path": f"{k}.png"})
    parquet.write_table(pa.table({"image": cells}), tmp_path / "a.parquet", row_group_size=6)
    order = [(7 * k) % 20 for k in range(20)]
    rows = [Picture(path=tmp_path / "a.parquet", label=0, row=row, column="image") for row in order]
    arrays, lines, _ = decoded(PictureList(pictures=rows, classes=("a",), layout=""))
    assert (arrays["train_images"][:, 0, 0, 0] // 10).tolist() == [row for row in order if row != 7]
    assert "a.parquet, row 7: " in lines[-1]


def test_the_arrays_of_a_list_stay_readable_without_files(tmp_path):
    paths = [picture(tmp_path / f"{k}.png", 9 * k) for k in range(6)]
    pictures = listed(*paths, parts=["train"] * 4 + ["test"] * 2)
    arrays = decoded_arrays(pictures, survey(pictures, lambda _: None), strict=False, say=lambda _: None)
    assert not list((tmp_path / "cache").glob(".decoding-*"))
    assert arrays.train_images[:, 0, 0, 0].tolist() == [0, 9, 18, 27]
    assert arrays.test_images[:, 0, 0, 0].tolist() == [36, 45]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF"]), mode=st.sampled_from(["RGB", "L"]))
def test_any_change_of_a_file_is_decoded_or_refused(data, kind, mode, tmp_path):
    buffer = io.BytesIO()
    Image.new(mode, (9, 7)).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "any.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        arrays = decoded(listed(path), Fitting(image_size=8), strict=True)[0]
    except (DataError, OSError):
        return
    assert arrays["train_images"].shape[0] == 1

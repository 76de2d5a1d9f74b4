"""All pictures are looked at before one is decoded: sizes, grey or not, what is no picture, and what is damaged."""

import hashlib
import io
import json
import os
import re
import zlib
from collections import Counter

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from trainables.data.dataset import prepare
from trainables.data.pictures import survey as module
from trainables.data.pictures.picture_list import Fitting, Picture, PictureList
from trainables.data.pictures.survey import report, survey
from trainables.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))


def picture(path, size=(6, 4), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 90).save(path, **options)
    return path


def listed(*paths, classes=("a",)):
    """A list in which each path belongs to the class of its folder, or to the only one."""
    names = list(classes)
    labels = [names.index(path.parent.name) if path.parent.name in names else 0 for path in paths]
    pictures = [Picture(path=path, label=label) for path, label in zip(paths, labels, strict=True)]
    return PictureList(pictures=pictures, classes=tuple(classes), layout="")


def said(pictures, strict=False):
    lines = []
    report(pictures, survey(pictures, lambda _: None), strict=strict, say=lines.append)
    return lines


def test_sizes_are_those_that_are_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    paths = [picture(tmp_path / "a.jpg", (40, 30)), picture(tmp_path / "b.jpg", (40, 30), exif=exif),
             picture(tmp_path / "c.png", (40, 30))]  # fmt: skip
    summary = survey(listed(*paths), lambda _: None)
    assert summary.sizes == Counter({(40, 30): 2, (30, 40): 1})
    assert summary.native == (40, 30)
    assert summary.digests == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


@pytest.mark.parametrize(
    ("sizes", "native"),
    [
        ([(4032, 3024), (3024, 4032), (4032, 3024)], (512, 384)), ([(30, 40), (40, 30)], (40, 30)),
        ([(512, 512)], (512, 512)), ([(5000, 2)], (512, 1)), ([(513, 9)], (512, 9)),
    ],
)  # fmt: skip
def test_the_most_frequent_size_is_the_stored_one_up_to_512_pixels(tmp_path, sizes, native):
    paths = [picture(tmp_path / f"{k}.png", size, "1") for k, size in enumerate(sizes)]
    assert survey(listed(*paths), lambda _: None).native == native


def test_a_folder_is_grey_if_all_of_it_is(tmp_path):
    grey = [picture(tmp_path / f"{k}.png", mode=mode) for k, mode in enumerate(("L", "1", "LA", "I;16"))]
    assert survey(listed(*grey), lambda _: None).grey
    assert not survey(listed(*grey, picture(tmp_path / "colour.png")), lambda _: None).grey
    (tmp_path / "damaged.png").write_bytes(b"")
    assert survey(listed(*grey, tmp_path / "damaged.png"), lambda _: None).grey


def test_sizes_are_summed_up_in_one_line(tmp_path):
    sizes = [(8, 6)] * 4 + [(6, 8)] * 3 + [(5, 5)] * 2 + [(4, 4), (3, 3)]
    paths = [picture(tmp_path / f"{k}.png", size) for k, size in enumerate(sizes)]
    assert said(listed(*paths)) == ["pictures: 4 of 8x6, 3 of 6x8, 2 of 5x5, 2 of 2 other sizes"]
    assert said(listed(*paths[:4])) == ["pictures: 4, all of 8x6"]


CHOOSE = "(--set image_size=96 chooses another)"
KEEP = "(--set image_size=96 chooses another, --fit pad keeps proportions)"


@pytest.mark.parametrize(
    ("sizes", "stored", "line"),
    [
        ([(8, 6)], [(8, 6)], "pictures: 1, all of 8x6"),
        ([(800, 600)], [(512, 384)], f"1, all of 800x600; stored at 512x384 {CHOOSE}"),
        ([(8, 6)] * 2 + [(6, 8)], [(8, 6)], f"; stored at 8x6, the most frequent size {KEEP}"),
        ([(8, 6), (16, 12)], [(4, 4), (5, 5), (4, 4)], f"stored at 4x4 and 5x5 {CHOOSE}"),
    ],
)  # fmt: skip
def test_it_is_said_what_they_are_stored_at_and_how_to_choose_another_size(tmp_path, sizes, stored, line):
    pictures = listed(*(picture(tmp_path / f"{k}.png", size, "1") for k, size in enumerate(sizes)))
    lines = []
    report(pictures, survey(pictures, lambda _: None), strict=False, say=lines.append, stored=stored)
    assert lines[0].startswith("pictures: ")
    assert lines[0].endswith(line)


@pytest.mark.parametrize(
    ("fitting", "end"),
    [
        (Fitting(image_size=4), " (--fit pad keeps proportions)"),
        (Fitting(fit="pad"), " (--set image_size=96 chooses another)"),
        (Fitting(image_size=4, fit="crop"), ""),
    ],
)
def test_what_was_asked_for_is_no_advice(tmp_path, fitting, end):
    pictures = listed(*(picture(tmp_path / f"{k}.png", size, "1") for k, size in enumerate([(8, 6), (6, 8)])))
    lines = []
    options = {"stored": [(4, 4)], "fittings": [fitting]}
    report(pictures, survey(pictures, lambda _: None), strict=False, say=lines.append, **options)
    assert lines[0].endswith(f"; stored at 4x4{end}")


def test_what_is_no_picture_and_what_is_damaged_are_named_and_counted_apart(tmp_path):
    sound = picture(tmp_path / "0.png")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(99))
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.jpg").write_bytes(b"<!DOCTYPE html><html>404</html>")
    others = [tmp_path / name for name in ("Thumbs.db", "notes.txt", "empty.jpg", "page.jpg")]
    lines = said(listed(sound, *others))
    assert lines[0] == (
        f"2 of 5 files are no pictures: {tmp_path}/Thumbs.db: it is in no format of pictures; "
        f"{tmp_path}/notes.txt: it is in no format of pictures"
    )
    assert lines[1] == (
        f"2 of 3 pictures cannot be read: {tmp_path}/empty.jpg: it is empty; {tmp_path}/page.jpg: it is a web page. "
        "They are left out"
    )
    assert said(listed(sound, *others[:1]), strict=True)[0].startswith("1 of 2 files is no picture: ")
    with pytest.raises(
        DataError, match=r"1 of 2 pictures cannot be read: .*empty\.jpg.*Without --strict they are left"
    ):
        said(listed(sound, others[2]), strict=True)


def test_many_are_named_by_the_first_five(tmp_path):
    paths = [tmp_path / f"{k}.png" for k in range(9)]
    for path in paths:
        path.write_bytes(b"")
    message = said(listed(picture(tmp_path / "sound.png"), *paths))[0]
    assert message.startswith("9 of 10 pictures cannot be read: ")
    assert message.endswith("4.png: it is empty; and 4 more. They are left out")


@pytest.mark.parametrize("suffix", ["heic", "txt"])
def test_a_class_without_a_picture_does_not_disappear(tmp_path, suffix):
    """It is said with the reasons, and a sweep is refused unless it leaves the class out."""
    paths = [picture(tmp_path / "pets" / name / f"{k}.png") for name in ("cat", "dog") for k in range(6)]
    (tmp_path / "pets" / "owl").mkdir()
    (tmp_path / "pets" / "owl" / f"0.{suffix}").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    lines = said(listed(*paths, tmp_path / "pets" / "owl" / f"0.{suffix}", classes=("cat", "dog", "owl")))
    assert lines[0].endswith(": it is HEIC; convert it to JPEG or PNG" + ". They are left out" * (suffix == "heic"))
    assert lines[1] == "class 'owl' has no picture that can be read: none of its 1 files"
    if suffix == "heic":
        data = prepare("image_folder", folder=tmp_path / "pets")
        with pytest.raises(DataError, match=r"class 'owl' .* has 0 training images.*--set classes=without:owl"):
            data.split(0)
        assert data.part(class_indices=(0, 1)).split(0).train.labels.max() == 1


def test_nothing_but_damage_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"none of 1 files is a picture that can be read; the first: .*a\.png: it is empty"
    ):
        survey(listed(tmp_path / "a.png"), lambda _: None)


def test_bombs_are_refused_all_at_once(tmp_path):
    paths = [picture(tmp_path / f"{k}.png") for k in range(3)]
    for path in paths[1:]:
        header = path.read_bytes()
        ihdr = b"IHDR" + (20_000).to_bytes(4, "big") * 2 + header[24:29]
        path.write_bytes(header[:12] + ihdr + zlib.crc32(ihdr).to_bytes(4, "big") + header[33:])
    with pytest.raises(DataError, match=r"1\.png has too many pixels; valid: at most .*; 1 more have too many, too"):
        survey(listed(*paths), lambda _: None)


@pytest.mark.parametrize("kind", ["pipe", "link to nothing", "link in a circle"])
def test_what_cannot_be_opened_is_named_and_nothing_waits(tmp_path, kind):
    path = tmp_path / "odd.png"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("odd.png" if kind == "link in a circle" else "nowhere.png")
    summary = survey(listed(picture(tmp_path / "0.png"), path), lambda _: None)
    reason = {"pipe": "no regular file", "link to nothing": "No such file", "link in a circle": "Too many levels"}[kind]
    assert reason in {**summary.no_pictures, **summary.damages}[1]


def test_it_is_remembered_until_a_file_changes(tmp_path):
    paths = [picture(tmp_path / f"{k}.png") for k in range(3)]
    (tmp_path / "empty.png").write_bytes(b"")
    pictures = listed(*paths, tmp_path / "empty.png")
    first = survey(pictures, lambda _: None)
    assert survey(pictures, pytest.fail) == first
    picture(paths[1], (9, 9))
    assert survey(pictures, lambda _: None).sizes == Counter({(6, 4): 2, (9, 9): 1})


@pytest.mark.parametrize("content", ["", "{", "[[1]]", "null", "[1, 2]", '[["a", 1, 2, true, "", "", "", 9]]'])
def test_a_note_that_is_damaged_is_made_anew(tmp_path, content):
    pictures = listed(picture(tmp_path / "0.png"))
    first = survey(pictures, lambda _: None)
    (note,) = (tmp_path / "cache" / "surveys").iterdir()
    note.write_text(content)
    assert survey(pictures, lambda _: None) == first
    assert json.loads(note.read_text())[0][0] == first.digests[0]


def test_several_processes_find_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.pictures.all_cores.MOST_FILES", 4)
    monkeypatch.setattr("trainables.data.pictures.all_cores.cores", lambda: 3)
    paths = [picture(tmp_path / f"{k}.png", (k + 1, 2)) for k in range(30)]
    lines = []
    summary = survey(listed(*paths), lines.append)
    assert summary.digests == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert lines[0] == "reading 30 files …"
    assert lines[-1] == "  100 %"


def test_pictures_inside_a_parquet_file_are_named_by_their_rows(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4)).save(buffer, "PNG")
    cells = [buffer.getvalue(), b"", None, b"no picture", buffer.getvalue()]
    parquet.write_table(pa.table({"image": [{"bytes": cell, "path": None} for cell in cells]}), tmp_path / "a.parquet")
    pictures = [Picture(path=tmp_path / "a.parquet", label=0, row=row, column="image") for row in (4, 0, 1, 2, 3)]
    summary = survey(PictureList(pictures=pictures, classes=("a",), layout=""), lambda _: None)
    assert summary.digests == [hashlib.sha256(buffer.getvalue()).hexdigest()] * 2 + [""] * 3
    assert summary.damages == {
        2: "it is empty", 3: "it is empty", 4: "it is in no format of pictures, or its first bytes are damaged"
    }  # fmt: skip
    lines = said(PictureList(pictures=pictures, classes=("a",), layout=""))
    assert re.search(r"3 of 5 pictures cannot be read: .*a\.parquet, row 1: it is empty; ", lines[0])


def test_a_file_that_changes_meanwhile_is_refused(tmp_path, monkeypatch):
    path = picture(tmp_path / "0.png")
    monkeypatch.setattr(module, "states", lambda pictures: [(1, 1) for _ in pictures])
    with pytest.raises(DataError, match=r"0\.png changes while it is read"):
        survey(listed(path), lambda _: None)

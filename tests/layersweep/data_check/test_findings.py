"""What the check says: leaks are loud, and what is fine is said, too."""

import shutil

import picture_folders
import pytest
from photographs import photograph, saved_anew
from PIL import Image

from layersweep.data_check.collection import collection
from layersweep.data_check.copies import copies
from layersweep.data_check.findings import FINE, MATTERS, SPOILS, findings, in_order


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Two classes in three parts: 8, 4 and 4 made-up photographs of each."""
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    seed = 0
    for part, number in (("train", 8), ("val", 4), ("test", 4)):
        for name in ("cats", "dogs"):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for k in range(number):
                photograph(seed).save(tmp_path / "data" / part / name / f"{part}{k}.png")
                seed += 1
    return tmp_path / "data"


def said(folder, level=None, fit="stretch"):
    pictures = collection("image_folder", folder, None, lambda _: None)
    pairs = copies(pictures.thumbnails, pictures.digests, pictures.parts, lambda _: None)
    return [finding for finding in findings(pictures, pairs, fit) if level in (None, finding.level)]


def test_sound_data_is_called_sound(folder):
    assert {finding.level for finding in said(folder)} == {FINE}
    texts = " ".join(finding.text for finding in said(folder))
    for text in (
        "No picture is in two parts",
        "No picture is there twice",
        "Every picture can be read",
        "similar size",
    ):
        assert text in texts


def test_a_test_picture_that_is_also_a_training_picture_is_the_first_thing_said(folder):
    image = Image.open(folder / "train" / "cats" / "train3.png")
    saved_anew(image, 60).save(folder / "test" / "cats" / "leak.png")
    first = said(folder)[0]
    assert first.level == SPOILS
    assert first.text.startswith("1 of 9 test pictures is also in the training part. A model has seen it")
    assert "11.11%" in first.text
    assert first.examples == ("train/cats/train3.png  =  test/cats/leak.png  (nearly the same)",)


def test_leaks_into_validation_are_said_apart(folder):
    shutil.copy(folder / "train" / "cats" / "train1.png", folder / "val" / "cats" / "copy.png")
    shutil.copy(folder / "val" / "dogs" / "val2.png", folder / "test" / "dogs" / "copy.png")
    texts = [finding.text for finding in said(folder, SPOILS)]
    assert any(text.startswith("1 of 9 test pictures is also in the validation part") for text in texts)
    assert any(text.startswith("1 of 9 validation pictures is also in the training part") for text in texts)


def test_one_picture_with_two_labels_is_said_with_both(folder):
    shutil.copy(folder / "train" / "cats" / "train1.png", folder / "train" / "dogs" / "other.png")
    (finding,) = said(folder, SPOILS)
    assert finding.text.startswith("One picture is in two classes")
    assert finding.examples == ("train/cats/train1.png  =  train/dogs/other.png  (same file)",)


def test_a_copy_within_a_class_matters_less(folder):
    shutil.copy(folder / "train" / "cats" / "train1.png", folder / "train" / "cats" / "again.png")
    (finding,) = said(folder, MATTERS)
    assert finding.text.startswith("1 picture is a further copy")
    assert "Each seed" not in finding.text


def test_copies_are_split_where_validation_is_drawn(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(20):
            photograph(k + 100 * (name == "b")).save(tmp_path / "data" / name / f"{k}.png")
    for k in range(20):
        shutil.copy(tmp_path / "data" / "a" / f"{k}.png", tmp_path / "data" / "a" / f"again{k}.png")
    texts = " ".join(finding.text for finding in said(tmp_path / "data"))
    assert "Each seed draws its validation pictures from the training part" in texts
    assert "The test part is drawn from the pictures, so leave only one copy of each." in texts


def test_unequal_classes_and_small_ones_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    (finding,) = [f for f in said(picture_folders.imbalance(tmp_path / "data")) if "common" in f.text]
    assert finding.level == MATTERS
    assert "common has 97% of the training pictures, rare 3.0%" in finding.text
    (refusal,) = said(picture_folders.rare_class(tmp_path / "rare"), SPOILS)
    assert refusal.text.startswith("A sweep refuses this data: class 'c'")


def test_blank_and_damaged_pictures_and_other_proportions_are_named(folder):
    Image.new("RGB", (160, 120), (9, 9, 9)).save(folder / "train" / "cats" / "blank.png")
    (folder / "train" / "dogs" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    for k in range(3):
        photograph(900 + k, (50, 200)).save(folder / "train" / "dogs" / f"tall{k}.png")
    matters = {finding.text.split(".")[0]: finding.examples for finding in said(folder, MATTERS)}
    assert matters["1 picture is of one colour, or nearly so"] == ("train/cats/blank.png",)
    assert matters["1 picture cannot be read, and is left out"][0].startswith("train/dogs/broken.jpg: ")
    assert any("other proportions" in text for text in matters)
    assert not any("other proportions" in finding.text for finding in said(folder, fit="pad"))


def test_pairs_across_test_and_training_come_first(folder):
    shutil.copy(folder / "train" / "cats" / "train1.png", folder / "train" / "cats" / "again.png")
    shutil.copy(folder / "train" / "cats" / "train2.png", folder / "train" / "dogs" / "label.png")
    shutil.copy(folder / "train" / "cats" / "train3.png", folder / "val" / "cats" / "copy.png")
    shutil.copy(folder / "train" / "cats" / "train4.png", folder / "test" / "cats" / "copy.png")
    pictures = collection("image_folder", folder, None, lambda _: None)
    pairs = copies(pictures.thumbnails, pictures.digests, pictures.parts, lambda _: None)
    assert [pictures.names[pair.second] for pair in in_order(pictures, pairs)] == [
        "test/cats/copy.png", "val/cats/copy.png", "train/dogs/label.png", "train/cats/train1.png",
    ]  # fmt: skip

"""The page is one file that shows everything, needs nothing else, and obeys no name."""

import re
import shutil

import numpy as np
import pytest
from browser import opened_page
from photographs import photograph, saved_anew
from PIL import Image

from layersweep.data_check import check_page
from layersweep.data_check.collection import collection
from layersweep.data_check.copies import copies
from layersweep.data_check.findings import findings
from layersweep.data_check.sheet import sheet
from trainables.config import make
from trainables.keys import Keys

NASTY = "<img src=x onerror=alert(1)>& \u202egnp"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    for k, name in enumerate((NASTY, "dogs")):
        for part, number in (("train", 12), ("test", 3)):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for n in range(number):
                photograph(100 * k + n + 50 * (part == "test")).save(tmp_path / "data" / part / name / f"{n}.png")
    saved_anew(photograph(3)).save(tmp_path / "data" / "test" / NASTY / "<b>leak.jpg")
    (tmp_path / "data" / "train" / "dogs" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path / "data"


def page_of(folder, **values):
    pictures = collection("image_folder", folder, None, lambda _: None)
    pairs = copies(pictures.thumbnails, pictures.digests, pictures.parts, lambda _: None)
    config = make(Keys, values)
    return check_page.html(pictures, pairs, findings(pictures, pairs), sheet(pictures, config), config)


def test_names_from_outside_are_shown_and_do_nothing(folder):
    text = page_of(folder)
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;&amp; \\u202egnp" in text
    assert "\u202e" not in text
    assert "&lt;b&gt;leak.jpg" in text


def test_the_page_needs_no_network_and_no_script(folder):
    text = page_of(folder)
    assert "<script" not in text
    assert set(re.findall(r'(?:src|href)="([^"]{0,15})', text)) == {"data:image/png;"}
    assert "url(" not in text


def test_it_says_the_leak_on_top_and_shows_the_pair(folder):
    text = page_of(folder)
    assert text.index("1 thing would spoil results") < text.index("1 of 7 test pictures") < text.index("<h2>")
    figure = text[text.index('<div class="pairs">') :].split("</figure>")[0]
    assert "nearly the same: training and test" in figure
    assert figure.count("<img") == 2
    assert "broken.png" in text


def test_more_pairs_than_fit_are_counted(folder):
    for n in range(12):
        for copy in range(2):
            shutil.copy(folder / "train" / "dogs" / f"{n}.png", folder / "train" / "dogs" / f"{n} again {copy}.png")
    text = page_of(folder)
    assert text.count("<figcaption>") - text.count("A dot for each size") == check_page.SHOWN_PAIRS
    assert "<summary>5 further pairs</summary>" in text


def test_the_page_stays_small_with_many_classes_and_large_pictures(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for k in range(60):
        (tmp_path / "data" / f"{k}").mkdir(parents=True)
        for n in range(3):
            noise = Image.fromarray(random.integers(0, 255, (12, 16, 3), dtype=np.uint8))
            noise.resize((320, 240)).save(tmp_path / "data" / f"{k}" / f"{n}.jpg", quality=60)
    assert len(page_of(tmp_path / "data")) < 4_000_000


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_every_picture_in_the_window(folder, tmp_path, width, scheme):
    path = tmp_path / "page.html"
    path.write_text(page_of(folder, flip="horizontal"))
    with opened_page(width, color_scheme=scheme) as page:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
        assert page.evaluate("document.images.length") >= 26

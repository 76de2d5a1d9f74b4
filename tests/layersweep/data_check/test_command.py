"""`layersweep data`: a summary in the terminal, a page, one line for bad input."""

import html
import signal
import subprocess
import sys

import picture_folders
import pytest

from layersweep.cli import main


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_a_summary_and_writes_the_page(place, capsys):
    picture_folders.three_parts(place / "pets")
    leak = (place / "pets" / "train" / "cats" / "1.png").read_bytes()
    (place / "pets" / "test" / "cats" / "leak.png").write_bytes(leak)
    assert main(["data", "pets"]) == 0
    text = capsys.readouterr().out
    assert ["cats", "60", "20", "21"] in [line.split() for line in text.splitlines()]
    assert "✗ 1 of 41 test pictures is also in the training part" in text
    assert "train/cats/1.png  =  test/cats/leak.png  (same file)" in text
    assert "page     results/data/pets.html" in text
    assert "leak.png" in (place / "results" / "data" / "pets.html").read_text()
    assert [path.name for path in (place / "results" / "data").iterdir()] == ["pets.html"]


def test_what_is_not_used_is_said_in_the_terminal_and_on_the_page(place, capsys):
    assert main(["data", str(picture_folders.unlabelled_test(place / "data"))]) == 0
    (note,) = [line for line in capsys.readouterr().out.splitlines() if "no labels" in line or "not used" in line]
    assert "test" in note
    page = html.unescape((place / "results" / "data" / "data.html").read_text())
    assert note in page


def test_the_page_may_lie_elsewhere(place):
    assert main(["data", str(picture_folders.few(place / "few")), "--out", "deep/page.html"]) == 0
    assert (place / "deep" / "page.html").is_file()
    assert not (place / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one"], "class"),
        (["missing"], "missing"),
        ([], "image_folder needs a folder"),
        (["fashion_mnist"], "valid: --dataset fashion_mnist"),
        (["--dataset", "nothing"], "data set 'nothing' is not known"),
        (["few", "--set", "optimizer=adam"], "valid keys: image_size, fit"),
        (["few", "--set", "flip=none", "--set", "flip=both"], "--set flip=both gives flip a second time; valid: each"),
        (["few", "--image-size", "32", "--set", "image_size=64"], "--set image_size=64 gives image_size a second time"),
        (["few", "--set", "flip=diagonal"], "valid: none, horizontal, vertical, both"),
        (["few", "--image-size", "-3"], "image_size=-3"),
        (["few", "--columns", "a,b"], "--columns a,b is not valid"),
        (["few", "--out", "few"], "few"),
        (["--dataset", "fashion_mnist", "--columns", "file=a,label=b"], "--columns is not valid here"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(place, capsys, arguments, message):
    picture_folders.few(place / "few")
    picture_folders.folder(place / "one" / "cats", 5, 0)
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert not (place / "results").exists()


def test_names_from_outside_do_nothing_in_the_terminal(place, capsys):
    for hue, name in enumerate(("red\x1b[2J", "green")):
        picture_folders.folder(place / "data" / name, 8, hue)
    assert main(["data", "data"]) == 0
    text = capsys.readouterr().out
    assert "\x1b[2J" not in text
    assert r"red\x1b[2J" in text


def test_help_needs_neither_tensorflow_nor_ray():
    code = (
        "import sys\nfrom layersweep.cli import main\n"
        "try:\n    main(['data', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'ray', 'tensorflow', 'keras', 'scipy', 'PIL', 'polars'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--image-size" in ended.stdout


def test_a_check_without_augmentation_needs_no_tensorflow(place):
    picture_folders.few(place / "few")
    code = (
        "import sys\nfrom layersweep.cli import main\nassert main(['data', 'few', '--image-size', '16']) == 0\n"
        "heavy = {'ray', 'tensorflow', 'keras'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_an_interrupted_check_leaves_the_old_page(place):
    picture_folders.few(place / "few")
    assert main(["data", "few"]) == 0
    page = place / "results" / "data" / "few.html"
    before = page.read_bytes()
    code = (
        "import os, signal\nfrom layersweep.cli import main\nfrom layersweep.data_check import check_page\n"
        "check_page.html = lambda *_: os.kill(os.getpid(), signal.SIGINT)\nraise SystemExit(main(['data', 'few']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 130
    assert ended.stderr.strip() == "stopped: no page is written"
    assert page.read_bytes() == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_reader_that_goes_away_ends_it_quietly(place):
    picture_folders.few(place / "few")
    command = f"{sys.executable} -m layersweep data few | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "141"
    assert ended.stderr == ""

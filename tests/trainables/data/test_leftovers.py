"""What a killed process has left in the cache is removed by the next start; what others still use stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from trainables.data import leftovers
from trainables.data.cache import host_name
from trainables.data.dataset import prepare
from trainables.data.leftovers import remove_leftovers, scratch_folder

FINGERPRINT = "0123456789abcdef"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("state", ["making", "damaged"])
@pytest.mark.parametrize("variant", ["", "-32x24-stretch-bilinear", "-512x384-crop-nearest"])
def test_folders_of_this_machine_and_data_set_are_removed(cache, state, variant):
    own = f".{state}-pets-{FINGERPRINT}{variant}-{host_name()}"
    others = {
        f".{state}-pets-{FINGERPRINT}{variant}-other-{host_name()}", f".{state}-pets-{FINGERPRINT}{variant}-other",
        f".{state}-pets_2-{FINGERPRINT}{variant}-{host_name()}", f"pets-{FINGERPRINT}{variant}",
        f".{state}-my-pets-{FINGERPRINT}{variant}-{host_name()}",
    }  # fmt: skip
    for name in (own, *others):
        (cache / name).mkdir()
        (cache / name / "train_images.npy").write_bytes(bytes(99))
    remove_leftovers("pets")
    assert names(cache) == others


def test_a_scratch_folder_is_removed_once_its_process_is_gone(cache):
    with scratch_folder() as own:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        (cache / f".decoding-{host_name()}-{ended.pid}").mkdir()
        (cache / f".decoding-other-{ended.pid}").mkdir()
        remove_leftovers("pets")
        assert names(cache) == {own.name, f".decoding-other-{ended.pid}"}
    assert names(cache) == {f".decoding-other-{ended.pid}"}


def test_files_of_the_first_version_are_removed_unless_a_process_has_them_open(cache):
    for name in (".decoding-abc12345", ".decoding-xyz_9876"):
        (cache / name).write_bytes(bytes(99))
    reader = "import sys, time; file = open(sys.argv[1], 'rb'); print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", reader, cache / ".decoding-xyz_9876"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        remove_leftovers("pets")
        assert names(cache) == {".decoding-xyz_9876"}
        process.kill()
    remove_leftovers("pets")
    assert not names(cache)


def test_where_the_system_does_not_say_who_has_a_file_open_an_old_one_is_removed(cache, monkeypatch):
    def unknown(*_):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(leftovers.fcntl, "fcntl", unknown)
    for name, age in ((".decoding-new", 0), (".decoding-old", 30 * 24 * 3600)):
        (cache / name).write_bytes(bytes(99))
        os.utime(cache / name, (time.time() - age,) * 2)
    remove_leftovers("pets")
    assert names(cache) == {".decoding-new"}


KILLED = r"""
import os, sys, time
from pathlib import Path
from trainables.data.dataset import prepare
from trainables.data.pictures import all_cores, decoding

all_cores.MOST_FILES, all_cores.cores = 4, lambda: 3

def slow(image, shape, fitting):
    os.write(1, b"decoding\n")
    time.sleep(60)

decoding.pixels = slow
prepare(sys.argv[1], folder=Path(sys.argv[2]), say=lambda _: None)
"""


@pytest.mark.parametrize("killed", ["all", "the parent alone"])
@pytest.mark.parametrize("name", ["image_folder", "tiny_imagenet"])
def test_a_real_kill_while_decoding_leaves_nothing_for_long(cache, tmp_path, name, killed):
    root = tmp_path / "tiny-imagenet-200"
    for label in ("n1", "n2"):
        for k in range(12):
            path = root / "train" / label / "images" / f"{k}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (20 * k, 0, 0)).save(path)
    (root / "val" / "images").mkdir(parents=True)
    for label in ("n1", "n2"):
        Image.new("RGB", (32, 32)).save(root / "val" / "images" / f"{label}.JPEG")
    (root / "val" / "val_annotations.txt").write_text("n1.JPEG\tn1\nn2.JPEG\tn2\n")
    (root / "wnids.txt").write_text("n1\nn2\n")
    (root / "words.txt").write_text("n1\tcat\nn2\tdog\n")
    folder = root / "train" if name == "image_folder" else root
    command = [sys.executable, "-c", KILLED, name, folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout.readline() == b"decoding\n"
    workers = psutil.Process(process.pid).children()
    assert len(workers) > 1
    if killed == "all":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    assert not psutil.wait_procs(workers, timeout=30)[1]  # else they would hold the lock for ever
    process.stdout.close()
    assert sum(path.stat().st_size for path in cache.glob(".*/*.npy")) > 3000 * 20
    prepare(name, folder=folder, say=lambda _: None)
    assert not [path.name for path in cache.iterdir() if path.name.startswith(".")]
    assert Path(prepare(name, folder=folder, say=lambda _: None).folder).is_dir()

"""Fashion-MNIST's files: the places that are searched, their order, and the errors for damaged files."""

import gzip
import hashlib
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trainables.data.datasets import fashion_mnist
from trainables.errors import DataError

# idx: two zero bytes, 8 for unsigned bytes, the number of dimensions, then each size as a big-endian 32-bit number.
CONTENTS = {
    "train-images-idx3-ubyte.gz": bytes.fromhex("00000803 00000003 00000002 00000002") + bytes(range(12)),
    "train-labels-idx1-ubyte.gz": bytes.fromhex("00000801 00000003") + bytes([9, 0, 2]),
    "t10k-images-idx3-ubyte.gz": bytes.fromhex("00000803 00000001 00000002 00000002") + bytes([255, 0, 7, 8]),
    "t10k-labels-idx1-ubyte.gz": bytes.fromhex("00000801 00000001") + bytes([4]),
}


def write_files(folder: Path) -> Path:
    """Write the four small files into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(gzip.compress(content))
    return folder


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the data set, a network and apt; the small files count as the real ones."""
    files = {
        name: fashion_mnist.Content(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in CONTENTS.items()
    }
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(fashion_mnist, "FILES", files)
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDERS", (tmp_path / "usr/share", tmp_path / "usr/local/share"))
    monkeypatch.setattr(fashion_mnist, "ADDRESS", (tmp_path / "nowhere").as_uri() + "/")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LAYERSWEEP_FASHION_MNIST", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def program(tmp_path: Path, name: str, text: str) -> None:
    """Put a shell script of this name on the PATH; its own PATH is the system's."""
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{text}\n")
    path.chmod(0o755)


def debian(tmp_path: Path, *, lists: bool) -> Path:
    """Put a stand-in for apt-get and dpkg-deb on the PATH and return the log of their calls."""
    write_files(tmp_path / "package/usr/share/datasets/fashion-mnist")
    log = tmp_path / "calls.txt"
    refuse = (
        ""
        if lists
        else '*"-o "*download*) touch dataset-fashion-mnist_1_all.deb;; *download*) echo "E: none" >&2; exit 100;;'
    )
    program(
        tmp_path,
        "apt-get",
        f'echo "apt-get $*" >> {log}\ncase "$*" in {refuse} *download*) touch dataset-fashion-mnist_1_all.deb;; esac',
    )
    program(tmp_path, "dpkg-deb", f'echo "dpkg-deb $1" >> {log}\nmkdir -p "$3" && cp -r {tmp_path}/package/. "$3"')
    return log


def test_load_reads_images_and_labels_as_idx_defines_them(tmp_path: Path) -> None:
    arrays = fashion_mnist.load(write_files(tmp_path / "data"))
    assert arrays.train_images.shape == (3, 2, 2, 1)
    assert arrays.train_images[1, :, :, 0].tolist() == [[4, 5], [6, 7]]
    assert arrays.train_labels.tolist() == [9, 0, 2]
    assert arrays.test_images[0, :, :, 0].tolist() == [[255, 0], [7, 8]]
    assert arrays.test_labels.tolist() == [4]
    assert (arrays.train_images.dtype.name, arrays.train_labels.dtype.name) == ("uint8", "int64")


@pytest.mark.parametrize("damage", ["truncated", "no gzip", "another content", "empty"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    path = write_files(tmp_path / "data") / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    other = gzip.compress(CONTENTS[path.name][:-1] + b"\x09")
    path.write_bytes({"truncated": whole[:-9], "no gzip": b"<html>", "another content": other, "empty": b""}[damage])
    with pytest.raises(DataError, match=r"expected .* to hold 20 bytes .* got .*Delete it.*--data") as info:
        fashion_mnist.load(path.parent)
    assert str(path) in str(info.value)


def test_the_given_folder_is_the_only_place(tmp_path: Path) -> None:
    write_files(tmp_path / "usr/share")
    assert fashion_mnist.find(write_files(tmp_path / "mine")) == tmp_path / "mine"
    (tmp_path / "mine/t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"mine, given by --data, lacks t10k-labels-idx1-ubyte\.gz\. Valid"):
        fashion_mnist.find(tmp_path / "mine")


def test_the_environment_comes_after_the_argument_and_is_also_the_only_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "usr/share")
    monkeypatch.setenv("LAYERSWEEP_FASHION_MNIST", str(write_files(tmp_path / "named")))
    assert fashion_mnist.find() == tmp_path / "named"
    assert fashion_mnist.find(write_files(tmp_path / "mine")) == tmp_path / "mine"
    monkeypatch.setenv("LAYERSWEEP_FASHION_MNIST", str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone, given by LAYERSWEEP_FASHION_MNIST, is not a folder"):
        fashion_mnist.find()


def test_places_on_the_machine_are_taken_in_order(tmp_path: Path) -> None:
    for place in ("cache/downloads/fashion-mnist", "keras/datasets/fashion-mnist", "usr/local/share", "usr/share"):
        write_files(tmp_path / place)
        assert fashion_mnist.find() == tmp_path / place


@pytest.fixture
def server_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a server on this machine offers as Keras' address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    folder = write_files(tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(fashion_mnist, "ADDRESS", f"http://127.0.0.1:{server.server_port}/")
        yield folder
        server.shutdown()
        thread.join()


def test_what_keras_lacks_is_downloaded_into_its_folder(tmp_path: Path, server_folder: Path) -> None:
    keras = write_files(tmp_path / "keras/datasets/fashion-mnist")
    (keras / "train-images-idx3-ubyte.gz").unlink()
    messages: list[str] = []
    assert fashion_mnist.find(say=messages.append) == keras
    assert len(messages) == 1
    assert messages[0].startswith("downloading Fashion-MNIST's train-images-idx3-ubyte.gz")
    assert sorted(path.name for path in keras.iterdir()) == sorted(CONTENTS)
    assert fashion_mnist.load(keras).train_labels.tolist() == [9, 0, 2]
    assert fashion_mnist.find(say=messages.append) == keras
    assert len(messages) == 1


def test_a_download_that_is_not_the_file_leaves_nothing(tmp_path: Path, server_folder: Path) -> None:
    for path in server_folder.iterdir():
        path.write_bytes(b"<html>please log in</html>")
    with pytest.raises(DataError, match="Not a gzipped file"):
        fashion_mnist.find()
    assert list((tmp_path / "keras/datasets/fashion-mnist").iterdir()) == []


def test_a_download_that_does_not_end_is_ended(
    tmp_path: Path, server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion_mnist, "_GZIP_EXTRA", 100)
    for path in server_folder.iterdir():
        path.write_bytes(bytes(200))
    with pytest.raises(DataError, match=r"more than 1\d\d bytes"):
        fashion_mnist.find()
    assert list((tmp_path / "keras/datasets/fashion-mnist").iterdir()) == []


def test_a_small_file_of_a_large_content_takes_no_memory(tmp_path: Path) -> None:
    """Of a content of 300 MB, which compressed has 300 kB, at most a block of 1 MiB is decompressed."""
    folder = write_files(tmp_path / "bomb")
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz", "wb") as file:
        for _ in range(300):
            file.write(bytes(1_000_000))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"t10k-labels.* to hold 9 bytes once decompressed, got more than 9 bytes"):
        fashion_mnist.load(folder)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_a_header_that_does_not_fit_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, content = "train-images-idx3-ubyte.gz", bytes.fromhex("00000803 ffffffff 00000002 00000002") + bytes(12)
    folder = write_files(tmp_path / "lies")
    (folder / name).write_bytes(gzip.compress(content))
    checked = fashion_mnist.Content(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(fashion_mnist, "FILES", {**fashion_mnist.FILES, name: checked})
    with pytest.raises(DataError, match=f"{name} is not Fashion-MNIST's file: expected 4294967295x2x2 bytes"):
        fashion_mnist.load(folder)


@pytest.mark.parametrize("lists", [True, False])
def test_debian_package_is_unpacked_without_root_and_kept(tmp_path: Path, lists: bool) -> None:
    log = debian(tmp_path, lists=lists)
    downloads = tmp_path / "cache/downloads/fashion-mnist"
    assert fashion_mnist.find() == downloads
    assert sorted(path.name for path in downloads.iterdir()) == sorted(CONTENTS)
    calls = log.read_text().splitlines()
    assert calls[0] == "apt-get download dataset-fashion-mnist"
    assert [call.split()[-1] for call in calls] == (
        ["dataset-fashion-mnist", "-x"] if lists else ["dataset-fashion-mnist", "update", "dataset-fashion-mnist", "-x"]
    )
    assert all("Dir::State::lists=" in call and "Debug::NoLocking=1" in call for call in calls[1:-1])
    assert fashion_mnist.find() == downloads
    assert log.read_text().splitlines() == calls


def test_nothing_found_is_one_line_that_lists_each_place_and_what_is_valid(tmp_path: Path) -> None:
    program(tmp_path, "apt-get", 'echo "E: Unable to locate package"; exit 100')
    program(tmp_path, "dpkg-deb", "exit 0")
    (tmp_path / "usr/share").mkdir(parents=True)
    with pytest.raises(DataError) as info:
        fashion_mnist.find()
    message = str(info.value)
    assert "\n" not in message
    for part in (
        f"{tmp_path}/usr/share lacks train-images-idx3-ubyte.gz, ",
        f"{tmp_path}/usr/local/share is not a folder",
        f"{tmp_path}/keras/datasets/fashion-mnist is not a folder",
        f"{tmp_path}/cache/downloads/fashion-mnist is not a folder",
        f"file://{tmp_path}/nowhere/: <urlopen error",
        "Debian's package dataset-fashion-mnist: apt-get ended with exit code 100: E: Unable to locate package",
        "--data FOLDER or LAYERSWEEP_FASHION_MNIST=FOLDER",
        "`apt install dataset-fashion-mnist`",
    ):
        assert part in message


def test_a_machine_without_apt_and_an_apt_that_hangs_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="apt-get is not installed"):
        fashion_mnist.find()
    program(tmp_path, "apt-get", "exec sleep 20")
    program(tmp_path, "dpkg-deb", "exit 0")
    monkeypatch.setattr(fashion_mnist, "COMMAND_SECONDS", 0.2)
    with pytest.raises(DataError, match=r"apt-get did not end within 0\.2 s\. Valid"):
        fashion_mnist.find()


def test_importing_it_brings_neither_keras_nor_tensorflow_nor_ray() -> None:
    code = (
        "import sys, trainables.data.datasets.fashion_mnist; print({'keras', 'tensorflow', 'ray'} & set(sys.modules))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(fashion_mnist.__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == "set()"

"""Downloads: the expected file, or nothing."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trainables.data.datasets import cifar10, cifar100
from trainables.data.download import RemoteFile, download
from trainables.data.tiny_imagenet_files import REMOTE
from trainables.errors import DataError

CONTENT = bytes(range(256)) * 20_000


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, int]]]:
    """A server of CONTENT that sends as many bytes as the path says, and the number of them that it has sent."""
    sent = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            count = int(self.path[1:])
            try:
                for first in range(0, count, len(CONTENT)):
                    self.wfile.write(CONTENT[: count - first])
                    sent[self.path] = min(count, first + len(CONTENT))
            except OSError:
                return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as threads:
        thread = threading.Thread(target=threads.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{threads.server_port}", sent
        threads.shutdown()
        thread.join()


def remote(address, **changes):
    values = {"address": address, "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    return RemoteFile(**values | changes)


def test_the_expected_file_is_there_and_its_tenths_are_said(tmp_path, server):
    messages = []
    download(remote(f"{server[0]}/{len(CONTENT)}"), tmp_path / "d" / "file", say=messages.append)
    assert (tmp_path / "d" / "file").read_bytes() == CONTENT
    assert messages[0].endswith("(5 MB) …")
    assert messages[-1] == "  100 %"
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        (f"/{len(CONTENT) - 1}", {}, "the connection ended after 5,119,999 of 5,120,000 bytes"),
        (f"/{len(CONTENT)}", {"sha256": "0" * 64}, "is not the expected file: its sha256 is"),
        (f"/{1 << 33}", {}, "could not be downloaded .more than 5,120,000 bytes.; put the file at"),
    ],
)
def test_another_file_leaves_nothing(tmp_path, server, path, changes, message):
    with pytest.raises(DataError, match=message):
        download(remote(server[0] + path, **changes), tmp_path / "file", say=str)
    assert list(tmp_path.iterdir()) == []
    assert server[1].get(path, 0) < 1 << 30


def test_each_data_sets_file_has_a_size_and_a_hash():
    for file in (REMOTE, cifar10._FILES.remote, cifar100._FILES.remote):
        assert file.address.startswith("https://")
        assert 100_000_000 < file.bytes < 300_000_000
        assert len(bytes.fromhex(file.sha256)) == 32

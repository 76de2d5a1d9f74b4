"""The server answers fixed paths, whatever others send to it at the same time."""

import gzip
import json
import os
import socket
import threading
import time

import pytest
from watch_server import SpokenAnswers, serving

from layersweep.watch import server as server_module
from layersweep.watch.access import Access, RefusedError
from layersweep.watch.server import PORT, WatchServer, listen


def test_it_listens_on_the_loopback_address_alone():
    with listen() as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_passed_over():
    with listen() as first, listen() as second:
        ports = first.getsockname()[1], second.getsockname()[1]
        assert PORT <= ports[0] < ports[1] < PORT + 50
        with pytest.raises(OSError, match="in use"):
            listen(ports[0])


def test_if_all_ports_are_taken_the_system_chooses(monkeypatch):
    monkeypatch.setattr(server_module, "_PORTS", 1)
    with listen(0) as other:
        monkeypatch.setattr(server_module, "PORT", other.getsockname()[1])
        with listen() as listener:
            assert listener.getsockname()[1] not in (0, other.getsockname()[1])


@pytest.mark.parametrize(
    "path",
    ["etc/passwd", "../", "..%2f..%2fetc/passwd", "%2e%2e/", "updates/", "updates/..", "./updates", "/updates",
     "trial%00", "index.html", "results/.state", "\\..\\", ".", "Updates", "updates;x", "static/view_page.js"],
)  # fmt: skip
def test_there_are_no_other_paths_and_no_files(client, path):
    assert client.send(path)[0].status == 404


@pytest.mark.parametrize(
    "target", ["*", "x", "//evil.example/{folder}/", "http://evil.example/{folder}/", "/{folder}", "//[/"]
)
def test_odd_targets_are_refused(client, target):
    headers = {"Cookie": f"layersweep={client.access.token}"}
    assert client.raw("GET", target.format(folder=client.access.folder), headers=headers)[0].status in (400, 403)


def test_answers_carry_what_keeps_a_browser_careful(client):
    for path in ("", "sweeps", "updates", "trial", "nothing"):
        answer, content = client.send(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "Python" not in answer.headers["Server"]
        if not path:
            nonce = content.decode().removeprefix("<p>page ").removesuffix("</p>")
            assert f"script-src 'nonce-{nonce}';" in answer.headers["Content-Security-Policy"]
            assert client.send()[1] != content  # a nonce is used once


def test_long_answers_are_compressed_if_the_browser_takes_that(client):
    answer, plain = client.send("trial")
    assert "Content-Encoding" not in answer.headers
    answer, content = client.send("trial", Accept_Encoding="br, gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(content) < len(plain)
    assert gzip.decompress(content) == plain


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", b"Header Fields Too Large"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"Header Fields Too Large"),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 5_000 + b"\r\n", b"Header Fields Too Large"),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 150 + b"\r\n", b"Header Fields Too Large"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", b"Bad Request"),
        (b"GET / HTTP/9.9\r\n\r\n", b"HTTP Version Not Supported"),
        (b"BREW / HTTP/1.1\r\n\r\n", b"Not Implemented"),
        (b"GET / HTTP/1.1\r\nHost\x00: x\r\n\r\n", b"answers at"),
        (b"GET /\r\n\r\n", b"answers at"),
    ],
)
def test_what_is_no_request_gets_a_short_answer(client, text, phrase):
    answer = client.exchange(text)
    assert phrase in answer or (not answer and len(text) > 16_000)  # closed before it was read
    assert len(answer) < 1000
    assert b"xxx" not in answer
    assert client.send()[0].status == 200


def test_too_many_parameters_are_refused(client):
    assert client.send("updates", query="?" + "&".join(["sweep=a"] * 60))[0].status == 400


def test_a_slow_client_blocks_nobody_and_is_closed(monkeypatch):
    monkeypatch.setattr(server_module, "_CONNECTION_SECONDS", 0.5)
    with serving(SpokenAnswers()) as client, socket.create_connection(("127.0.0.1", client.access.port)) as slow:
        assert client.send()[0].status == 200
        with pytest.raises(ConnectionError):  # the server closes it
            drip(slow)


def drip(connection):
    """Sends a byte now and then."""
    for _ in range(300):
        connection.sendall(b"G")
        time.sleep(0.1)


def test_a_slow_body_is_closed_and_a_slow_answer_is_not(monkeypatch):
    class Slow(SpokenAnswers):
        def updates(self, query):
            time.sleep(2.0)
            return super().updates(query)

    monkeypatch.setattr(server_module, "_CONNECTION_SECONDS", 0.5)
    with serving(Slow()) as client, socket.create_connection(("127.0.0.1", client.access.port)) as slow:
        slow.settimeout(20)
        head = f"POST /{client.access.folder}/request HTTP/1.1\r\nHost: {client.host}\r\nX-Layersweep: 1\r\n"
        more = f"Origin: http://{client.host}\r\nCookie: layersweep={client.access.token}\r\nContent-Length: 9\r\n"
        slow.sendall(f"{head}{more}Content-Type: application/json\r\n\r\n{{".encode())
        assert client.send("updates")[0].status == 200
        while slow.recv(1000):
            pass
        assert b"{" not in client.answers.requests


def test_more_connections_than_threads_are_closed(monkeypatch):
    monkeypatch.setattr(server_module, "_THREADS", 2)
    with serving(SpokenAnswers()) as client:
        address = ("127.0.0.1", client.access.port)
        slow = [socket.create_connection(address, timeout=20) for _ in range(3)]
        assert slow[2].recv(1) == b""
        slow[0].setblocking(False)
        with pytest.raises(BlockingIOError):  # it was there first, and may still send its request
            slow[0].recv(1)
        for connection in slow:
            connection.close()
        monkeypatch.setattr(server_module, "_THREADS", 32)
        assert client.send()[0].status == 200


def test_a_fault_of_ours_is_a_sentence_and_the_server_goes_on():
    class Faulty(SpokenAnswers):
        def updates(self, query):
            raise ValueError("<b>no such column")

    with serving(Faulty()) as client:
        answer, content = client.send("updates")
        assert (answer.status, answer.headers["Content-Type"]) == (500, "application/json; charset=utf-8")
        assert "ValueError: <b>no such column" in json.loads(content)["error"]
        assert client.send()[0].status == 200


def test_a_refusal_is_a_sentence_for_its_reader():
    class Refusing(SpokenAnswers):
        def page(self, query, nonce):
            raise RefusedError(404, "no results of sweep '<b>'")

        updates = trial = page

    with serving(Refusing()) as client:
        answer, content = client.send()
        assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
        assert content == b"no results of sweep '<b>'\n"


def test_it_ends_with_its_owner_if_nobody_looks_and_later_if_somebody_does(monkeypatch):
    reader, writer = os.pipe()
    listener = listen(0)
    with WatchServer(listener, Access(port=1), SpokenAnswers()) as server:
        server.note_request()
        monkeypatch.setattr(server_module, "_WATCHED_SECONDS", 1e9)
        thread = threading.Thread(target=server.run, args=[reader])
        thread.start()
        os.close(writer)
        thread.join(1.5)
        assert thread.is_alive()  # a browser shows the page
        monkeypatch.setattr(server_module, "_WATCHED_SECONDS", 0.0)
        thread.join(20)
        assert not thread.is_alive()
    os.close(reader)

"""The server: a few fixed paths on the loopback address, each with its checks, limits and headers.

It answers each connection once, in a thread of its own. It reads no file by name: what it shows are the values of
`layersweep.watch.answers`.
"""

import contextlib
import gzip
import http.server
import math
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from io import BufferedReader
from typing import IO, Any, Final, NamedTuple, Protocol, cast
from urllib.parse import parse_qs, urlsplit

from layersweep.watch.access import HOST, Access, RefusedError

PORT: Final = 8400
_PORTS: Final = 50
_THREADS: Final = 32
_CONNECTION_SECONDS: Final = 10.0
"""After so long a connection must have sent its request, and again taken the answer."""
_WATCHED_SECONDS: Final = 60.0
"""After so long without a request, no browser shows the page any more."""

_REQUEST_BYTES: Final = 16_000
"""The most that the line and the headers of a request may have."""
_BODY_BYTES: Final = 4_000
_FIELDS: Final = 50
_GZIP_BYTES: Final = 1_000

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No other code runs than the page's own scripts; they make no code from strings."""


class Answer(NamedTuple):
    """The answer to a request: its content, and of which type that is."""

    content: str
    type: str = "application/json"


class Answers(Protocol):
    """What the server has to say; each method may raise RefusedError."""

    def page(self, query: Mapping[str, list[str]], nonce: str) -> str:
        """The page, whose scripts have this nonce."""

    def sweeps(self, query: Mapping[str, list[str]], nonce: str) -> str:
        """The page with the list of sweeps."""

    def updates(self, query: Mapping[str, list[str]]) -> str:
        """What has changed, as JSON."""

    def trial(self, query: Mapping[str, list[str]]) -> str:
        """The details of one trial, as JSON."""

    def request(self, body: bytes) -> str:
        """Puts a person's request to a sweep; what it is in words, as JSON."""


class WatchServer(http.server.ThreadingHTTPServer):
    """The server of one address.

    Args:
        listener: the socket at which it listens.
        access: who may see it.
        answers: what it has to say.
    """

    daemon_threads = True

    def __init__(self, listener: socket.socket, access: Access, answers: Answers) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.timeout = 0.0  # `run` calls it when a connection is there
        self.access, self.answers = access, answers
        self._last_request: float | None = None
        self._connections: dict[socket.socket, float] = {}
        self._lock = threading.Lock()

    def run(self, owner: int | None = None) -> None:
        """Serves until the process is ended; with an owner, until that has ended and no browser shows the page.

        Args:
            owner: a file number whose end is that of the owner, such as a pipe that it holds open.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            owned = owner is not None
            if owner is not None:
                selector.register(owner, selectors.EVENT_READ)
            while owner is not None or not owned or self._is_watched():
                waits = not self._connections and (owner is not None or not owned)
                for key, _ in selector.select(None if waits else 1.0):
                    if key.fileobj is self.socket:
                        self.handle_request()
                    elif owner is not None and not os.read(owner, 1):
                        selector.unregister(owner)
                        owner = None
                self._close_slow_connections()

    def process_request(self, request: Any, client_address: Any) -> None:
        """As the library does, with a limit to the number of connections."""
        with self._lock:
            has_room = len(self._connections) < _THREADS
            if has_room:
                self._connections[request] = time.monotonic()
        if has_room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """As the library does, at the end of each connection."""
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is no error; for another one, the page gets a sentence, and stays as it was."""
        error = sys.exception()
        if isinstance(error, OSError):
            return
        problem = f"the page cannot be made ({type(error).__name__}: {error}); `layersweep study NAME` shows the sweep"
        json_headers = {**_HEADERS, "Content-Type": "application/json; charset=utf-8"}
        headers = "".join(f"{name}: {value}\r\n" for name, value in json_headers.items())
        with contextlib.suppress(OSError):
            request.sendall(f"HTTP/1.0 500 Internal Server Error\r\n{headers}\r\n{_error(problem)}".encode())

    def note_request(self) -> None:
        """Notes that a browser shows the page."""
        self._last_request = time.monotonic()

    def _is_watched(self) -> bool:
        return self._last_request is not None and time.monotonic() - self._last_request < _WATCHED_SECONDS

    def set_start(self, request: socket.socket, start: float) -> None:
        """Sets when a connection began to wait for its other end; it waits for us until then."""
        with self._lock:
            if request in self._connections:
                self._connections[request] = start

    def _close_slow_connections(self) -> None:
        """Ends connections that send or take a byte now and then: their threads come to an end."""
        with self._lock:
            for connection, start in self._connections.items():
                if time.monotonic() - start > _CONNECTION_SECONDS:
                    _shut_down(connection)


def listen(port: int | None = None) -> socket.socket:
    """A socket that listens on the loopback address: at the port, else at the first free one from `PORT` on.

    Raises:
        OSError: if there is none.
    """
    ports = [*range(PORT, PORT + _PORTS), 0] if port is None else [port]
    for number in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)  # a browser may have gone before it is let in
        try:
            listener.bind((HOST, number))
            listener.listen(_THREADS)
        except OSError:
            listener.close()
            if number == ports[-1]:
                raise
        else:
            return listener
    raise AssertionError("one port at least was tried")


class _TooLongError(Exception):
    """A request has a longer line or more headers than allowed."""


class _LimitedReader:
    """The line and the headers of a request, which together have at most so many bytes; then the body."""

    def __init__(self, file: BufferedReader) -> None:
        self._file, self._left = file, _REQUEST_BYTES

    def readline(self, size: int = -1) -> bytes:
        line = self._file.readline(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(line)
        if not self._left:
            raise _TooLongError
        return line

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection, which has one request."""

    server: WatchServer
    timeout = _CONNECTION_SECONDS
    server_version, sys_version = "layersweep", ""

    def setup(self) -> None:
        super().setup()
        self.requestline, self.request_version, self.command = "", "HTTP/1.0", ""
        self.rfile = cast("BufferedReader", _LimitedReader(cast("BufferedReader", self.rfile)))

    def handle(self) -> None:
        try:
            super().handle()
        except _TooLongError:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def do_GET(self) -> None:
        self._answer(is_change=False)

    def do_POST(self) -> None:
        self._answer(is_change=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing is logged: an address has the token."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """As the library does for requests that it does not understand, but without a page that repeats them."""
        self._send(code, Answer(f"{HTTPStatus(code).phrase}\n", "text/plain"))

    def _answer(self, *, is_change: bool) -> None:
        self.server.set_start(self.connection, math.inf)  # the first page may take long: it imports much
        nonce = secrets.token_hex(16)
        try:
            answer = self._answer_of(nonce, is_change=is_change)
        except RefusedError as error:
            is_page = self.path.partition("?")[0].endswith(("/", "/sweeps"))
            self._send(error.status, Answer(f"{error}\n", "text/plain") if is_page else Answer(_error(str(error))))
            return
        self._send(200, answer, nonce)

    def _answer_of(self, nonce: str, *, is_change: bool) -> Answer:
        """The answer to the request.

        Raises:
            RefusedError: if there is none.
        """
        access, answers = self.server.access, self.server.answers
        try:
            url = urlsplit(self.path)
            query = parse_qs(url.query, keep_blank_values=True, max_num_fields=_FIELDS)
        except ValueError:
            raise RefusedError(400, "this is no address") from None
        name = url.path.removeprefix(f"/{access.folder}/")
        access.check(self.path, query, self.headers, is_page=name in ("", "sweeps"))
        if is_change != (name == "request"):
            raise RefusedError(405, "this path takes no such request")
        self.server.note_request()
        match name:
            case "":
                return Answer(answers.page(query, nonce), "text/html")
            case "sweeps":
                return Answer(answers.sweeps(query, nonce), "text/html")
            case "updates":
                return Answer(answers.updates(query))
            case "trial":
                return Answer(answers.trial(query))
            case "request":
                access.check_change(self.headers)
                return Answer(answers.request(self._body()))
            case _:
                raise RefusedError(404, "there is no such page")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdecimal() or "Transfer-Encoding" in self.headers:
            raise RefusedError(411, "a request says its length")
        if len(length) > len(str(_BODY_BYTES)) or int(length) > _BODY_BYTES:
            raise RefusedError(413, f"a request has at most {_BODY_BYTES:,} bytes")
        self.server.set_start(self.connection, time.monotonic())
        body = self.rfile.read(int(length))
        self.server.set_start(self.connection, math.inf)
        if len(body) < int(length):
            raise RefusedError(400, "a part of the request is missing")
        return body

    def _send(self, status: int, answer: Answer, nonce: str = "") -> None:
        body = answer.content.encode(errors="replace")
        headers = {"Content-Type": f"{answer.type}; charset=utf-8", **_HEADERS}
        if answer.type == "text/html":
            headers |= {"Content-Security-Policy": _POLICY.format(nonce=nonce), "Set-Cookie": self.server.access.cookie}
        else:
            headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        accepted = getattr(self, "headers", None) and self.headers.get("Accept-Encoding", "")
        if accepted and "gzip" in accepted and len(body) > _GZIP_BYTES:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        self.server.set_start(self.connection, time.monotonic())
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        cast("IO[bytes]", self.wfile).write(body)


def _error(sentence: str) -> str:
    from layersweep.escaping import to_json

    return to_json({"error": sentence})


def _shut_down(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has just ended
        return

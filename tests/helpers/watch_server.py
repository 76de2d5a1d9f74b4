"""A server in a thread of the test, and requests to it as a browser's or a stranger's."""

import http.client
import json
import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from layersweep.watch.access import Access
from layersweep.watch.server import WatchServer, listen


@dataclass
class SpokenAnswers:
    """Answers without records; says which requests arrived."""

    requests: list[bytes] = field(default_factory=list)

    def page(self, query, nonce):
        return f"<p>page {nonce}</p>"

    def sweeps(self, query, nonce):
        return "<p>sweeps</p>"

    def updates(self, query):
        return json.dumps({"version": 1, "query": {name: query[name] for name in query if name != "token"}})

    def trial(self, query):
        return json.dumps({"text": "x" * 5000})

    def request(self, body):
        self.requests.append(body)
        return json.dumps({"sentence": "done"})


class Client:
    """Sends requests to a server, with its token unless told otherwise."""

    def __init__(self, server: WatchServer) -> None:
        self.server, self.access, self.answers = server, server.access, server.answers
        self.host = f"127.0.0.1:{server.access.port}"

    def send(self, path="", *, method="GET", token=True, body=None, query="", **headers):
        """A request to a path below the server's folder; `Sec_Fetch_Site` is a header's name, None leaves it out."""
        cookie = {"Cookie": f"layersweep={self.access.token}"} if token else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.raw(method, f"/{self.access.folder}/{path}{query}", body, {**cookie, **named})

    def raw(self, method, target, body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.access.port, timeout=60)
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def exchange(self, text):
        """The answer to bytes as they are."""
        with socket.create_connection(("127.0.0.1", self.access.port), timeout=60) as connection:
            try:
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(65536), b""))
            except OSError:  # closed before all was read
                return b""

    def ask(self, values, **headers):
        """A person's request, as the page sends it."""
        own = {"Origin": f"http://{self.host}", "X_Layersweep": "1", "Content_Type": "application/json"}
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        given = {name: value for name, value in {**own, **headers}.items() if value is not None}
        return self.send("request", method="POST", body=body, **given)


@contextmanager
def serving(answers):
    """A client of a server that runs in a thread."""
    listener = listen(0)
    access = Access(port=listener.getsockname()[1])
    reader, writer = os.pipe()
    with WatchServer(listener, access, answers) as server:
        server.note_request = lambda: None  # so that it ends with its owner
        thread = threading.Thread(target=server.run, args=[reader])
        thread.start()
        try:
            yield Client(server)
        finally:
            os.close(writer)
            thread.join(20)
            os.close(reader)
            assert not thread.is_alive()

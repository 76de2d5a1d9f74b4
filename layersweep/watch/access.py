"""Who may see the page: whoever has the token of its address, from a browser that shows this page and no other.

The server listens on the loopback address alone, but each user of the machine reaches that, and so does each web page
that the person's browser has open. So each request needs the token, and must not come from another page.
"""

import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Final, Self

HOST: Final = "127.0.0.1"
CHANGE_HEADER: Final = "X-Layersweep"
"""A page of another origin cannot send this header without asking first, which is refused."""

_COOKIE: Final = "layersweep"
_FROM_PAGE: Final = ("same-origin", "none")
_HEX: Final = re.compile(r"[0-9a-f]{8,128}")


class RefusedError(Exception):
    """A request is refused; the message says why, for the person at the browser.

    Args:
        status: the status of the answer.
        message: one sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Access:
    """The address of one server, with its token.

    Attributes:
        port: the port at which it listens.
        folder: the first part of all its paths. Browsers send a cookie to every port of a machine, so also to servers
            of other users; but only to paths below that of the cookie, which is this one, and nobody can guess it.
        token: the secret.
    """

    port: int
    folder: str = field(default_factory=lambda: secrets.token_hex(4))
    token: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)

    @classmethod
    def of_values(cls, port: int, values: Mapping[str, str]) -> Self:
        """The access that another process has made.

        Raises:
            ValueError: if a value is none that `values` gives.
        """
        folder, token = values["folder"], values["token"]
        if not _HEX.fullmatch(folder) or not _HEX.fullmatch(token):
            raise ValueError("the folder and the token of an address are hexadecimal")
        return cls(port=port, folder=folder, token=token)

    @property
    def values(self) -> dict[str, str]:
        """What another process needs to serve the same address."""
        return {"folder": self.folder, "token": self.token}

    @property
    def url(self) -> str:
        """The address, with the token."""
        return f"http://{HOST}:{self.port}/{self.folder}/?token={self.token}"

    @property
    def line(self) -> str:
        """The address as a file has it."""
        return f"{self.url}\n"

    @property
    def cookie(self) -> str:
        """The header `Set-Cookie` of the page, whose later requests need no token in their address."""
        return f"{_COOKIE}={self.token}; Path=/{self.folder}/; HttpOnly; SameSite=Strict"

    def check(self, path: str, query: Mapping[str, Sequence[str]], headers: Message, *, is_page: bool) -> None:
        """Checks a request that changes nothing.

        Args:
            path: the path of the request, as it was sent.
            query: the parameters of its address.
            headers: its headers.
            is_page: whether it is for a page, to which another page may link.

        Raises:
            RefusedError: if it comes from elsewhere, or without the token.
        """
        hosts = headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].strip().lower() not in self._hosts:
            raise RefusedError(403, f"this server answers at {HOST}:{self.port} and localhost:{self.port} alone")
        site, origins = headers.get("Sec-Fetch-Site"), headers.get_all("Origin", [])
        from_page = site is None or site in _FROM_PAGE or (is_page and headers.get("Sec-Fetch-Mode") == "navigate")
        if not from_page or any(origin not in self._origins(hosts[0]) for origin in origins):
            raise RefusedError(403, "another page sent this request")
        if not path.startswith(f"/{self.folder}/") or not self._has_token(query, headers):
            raise RefusedError(
                403,
                "the address needs its token: take the one that the sweep's command printed, or that its file in "
                "results/.state/watch has, or run `layersweep watch`",
            )

    def check_change(self, headers: Message) -> None:
        """Checks what `check` does not, for a request that changes something.

        Raises:
            RefusedError: if the page of this server did not send it.
        """
        if headers.get("Origin") is None and headers.get("Sec-Fetch-Site") != "same-origin":
            raise RefusedError(403, "a request needs its Origin: send it from the page")
        if headers.get(CHANGE_HEADER) != "1":
            raise RefusedError(403, f"a request needs the header {CHANGE_HEADER}: send it from the page")
        if headers.get_content_type() != "application/json":
            raise RefusedError(415, "a request is JSON")

    @property
    def _hosts(self) -> tuple[str, ...]:
        return (f"{HOST}:{self.port}", f"localhost:{self.port}")

    @staticmethod
    def _origins(host: str) -> tuple[str, ...]:
        return (f"http://{host.strip().lower()}",)

    def _has_token(self, query: Mapping[str, Sequence[str]], headers: Message) -> bool:
        pairs = [pair.strip().partition("=") for header in headers.get_all("Cookie", []) for pair in header.split(";")]
        tokens = [*query.get("token", ()), *(value for name, _, value in pairs if name == _COOKIE)]
        return any(hmac.compare_digest(token.encode(errors="replace"), self.token.encode()) for token in tokens)

"""What a page says: its HTML, and the values that its script shows."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any


def values(page: str) -> dict[str, Any]:
    """The values that the page's script shows."""
    found: dict[str, Any] = json.loads(scripts(page)["values"])
    return found


def scripts(page: str) -> dict[str, str]:
    """The page's scripts that are data, by their ids."""
    return dict(re.findall(r'<script type="application/json" id="(\w+)">(.*?)</script>', page, flags=re.DOTALL))


def elements(page: str) -> str:
    """The page without scripts and styles."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)


def text(page: str) -> str:
    """All that a reader may see: the text of its elements, and every text among the values."""
    return "\n".join([html.unescape(re.sub(r"<[^>]*>", " ", elements(page))), *_texts(values(page))])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

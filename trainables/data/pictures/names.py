"""Names of classes, parts and files: their order, what they mean, and how a message writes them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from trainables.data.pictures.picture_list import Part

_PART_WORDS: Final[dict[str, Part]] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "validate": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_NUMBER: Final = re.compile(r"[+-]?\d{1,300}(\.\d{1,300})?", re.ASCII)
_SHOWN: Final = 8
_WIDEST: Final = 300


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """The key of natural order: `2` comes before `10`, else as the characters are ordered."""
    pieces = re.split(r"([0-9]{1,300})", name)
    return [(0, int(piece), "") if index % 2 else (1, 0, piece) for index, piece in enumerate(pieces) if piece], name


def in_natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names without repetition: by value if all are numbers, else in natural order."""
    distinct = set(names)
    if all(_NUMBER.fullmatch(name) for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (float(name), name)))
    return tuple(sorted(distinct, key=natural_key))


@lru_cache(maxsize=1024)
def part_of(name: str) -> Part | None:
    """The part of the data that a folder or table is named after: `Train`, `val`, `test_set`, `seg_train`; else None.

    One word of the name says it, the others may be anything: whether such a folder is a part depends on its content.
    """
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)  # trainLabels
    words = [word for word in re.split(r"[^a-z]+", separated.casefold()) if word in _PART_WORDS]
    return _PART_WORDS[words[0]] if len(words) == 1 else None


def part_named(name: str) -> Part | None:
    """The part of which a name is the usual one, in any case, and nothing else; else None."""
    return _PART_WORDS.get(name.casefold().strip())


def same_for_people(name: str) -> str:
    """Equal for names that differ in case, or in how Unicode writes their accents, only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def printable(name: str) -> str:
    """A name on one line, without characters that a terminal cannot show; a very long one is cut."""
    text = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in name
    )
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def listed(names: Sequence[str], shown: int = _SHOWN) -> str:
    """The first names, and a sign that there are more."""
    return ", ".join([*(printable(name) for name in names[:shown]), *(["…"] if len(names) > shown else [])])

"""The classes that a network learns, given by their names: `cats+dogs`, or `without:rare`."""

import re
from collections.abc import Sequence
from typing import Final

from trainables.data.splits import FEWEST_CLASSES
from trainables.errors import DataError, near_miss
from trainables.keys import EVERY_CLASS

WITHOUT: Final = "without:"
_INDEX: Final = r"\d+"
_LISTED: Final = 12
"""The most classes that an error names."""


def index_text(text: str, names: Sequence[str], data_set: str, *, literal: bool) -> str:
    """The classes as indices, such as `0-1` for `cats+dogs`, or `all`: what a configuration and a trial's id hold.

    A word that is the name of a class is that class, else an index or a range of indices. Names and indices of the
    same classes give the same text.

    Args:
        text: names and indices with `+` between them, or `without:` and those that are left out.
        names: the names of all classes, in the order of their indices.
        data_set: its name, for the error.
        literal: whether text that has indices alone stays as it is, so that ids of earlier trials stay equal.

    Raises:
        DataError: if a word is neither a name nor an index, or fewer than two classes remain.
    """
    if text == EVERY_CLASS:
        return text
    indices = _indices(text, names)
    if indices is None and text.startswith(WITHOUT):
        excluded = _indices(text.removeprefix(WITHOUT), names)
        indices = None if excluded is None else {*range(len(names))} - excluded
    if indices is None:
        raise DataError(_unknown(text, names, data_set))
    if len(indices) < FEWEST_CLASSES:
        raise DataError(
            f"classes={text} is not valid for {data_set}; valid: at least two of {_listed(names)}, with + between"
        )
    has_names = any(word in names for word in text.split("+")) or not re.fullmatch(r"[\d+-]+", text)
    if literal and not has_names:
        return text
    return EVERY_CLASS if len(indices) == len(names) else _ranges(sorted(indices))


def _indices(text: str, names: Sequence[str]) -> set[int] | None:
    """The indices that a text stands for; None if one of its words is neither a name nor an index.

    A name may have `+` in it: the longest name that fits counts.
    """
    words, indices, first = text.split("+"), set[int](), 0
    while first < len(words):
        ends = range(len(words), first, -1)
        end = next((end for end in ends if "+".join(words[first:end]) in names), first + 1)
        span = _span("+".join(words[first:end]), names)
        if span is None:
            return None
        indices |= span
        first = end
    return indices


def _span(word: str, names: Sequence[str]) -> set[int] | None:
    """The indices of a name, an index, or a range of names or of indices; None if it is none of them."""
    if word in names:
        return {names.index(word)}
    for place in (match.start() for match in re.finditer("-", word)):
        ends = [word[:place], word[place + 1 :]]
        if all(end in names for end in ends):
            return {*range(names.index(ends[0]), names.index(ends[1]) + 1)} or None
    match = re.fullmatch(rf"({_INDEX})(?:-({_INDEX}))?", word)
    if match is None:
        return None
    low, high = int(match[1]), int(match[2] or match[1])
    return {*range(low, high + 1)} if low <= high < len(names) else None


def _ranges(indices: Sequence[int]) -> str:
    """Sorted indices as text, such as `0-2+5`."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return "+".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def _unknown(text: str, names: Sequence[str], data_set: str) -> str:
    """The error for a text with a word that is no class."""
    words = text.removeprefix(WITHOUT).split("+")
    word = next((word for word in words if _indices(word, names) is None), text)
    with_comma = [name for name in names if word in (part.strip() for part in name.split(",")) and "," in name]
    if with_comma:
        index = names.index(with_comma[0])
        return f"classes={text}: a comma ends a value; valid: the index of {with_comma[0]!r}, which is {index}"
    return (
        f"classes={text} is not valid: {word!r} is no class of {data_set}; {near_miss(word, names)}valid: "
        f"{_listed(names)}, or {WITHOUT}NAME"
    )


def _listed(names: Sequence[str]) -> str:
    """The names with their indices."""
    listed = ", ".join(f"{name} ({index})" for index, name in enumerate(names[:_LISTED]))
    return f"{listed}, … {names[-1]} ({len(names) - 1})" if len(names) > _LISTED else listed

"""Shorter names of arms: `trained=5` for `trained=5 head_epochs=10`, if no arm has another value of `head_epochs`."""

import textwrap
from collections.abc import Collection, Iterable
from typing import Final

from layersweep.formatting import is_number

LABEL_WIDTH: Final = 30
"""The characters of a line of a label beside a figure."""
_LONGEST_WORD: Final = 50


def short_labels(names: Iterable[str], width: int = LABEL_WIDTH) -> dict[str, str]:
    """The label of each name in lines of at most `width` characters; no two names have the same label.

    If a name is longer than that, what all names share is left out of all; what is still longer is wrapped between
    words. A word or number of up to 50 characters is never cut, so a longer word has a longer line.
    """
    names = list(dict.fromkeys(names))
    if max(map(len, names), default=0) <= width:
        return dict(zip(names, names, strict=True))
    words = {name: name.split(" ") for name in names}
    shared = set.intersection(*map(set, words.values())) if len(names) > 1 else set()
    rest = {name: " ".join(word for word in words[name] if word not in shared) for name in names}
    if not all(rest.values()) or len({*rest.values()}) < len(names):
        rest = dict(zip(names, names, strict=True))
    return {name: wrapped(text, width) for name, text in rest.items()}


def wrapped(text: str, width: int = LABEL_WIDTH) -> str:
    """A text in lines that end between words; only a word that no figure has room for is cut."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(piece for line in lines for piece in textwrap.wrap(line, max(width, _LONGEST_WORD))) or text


def shorten_names(names: Collection[str], names_by_run: Iterable[Collection[str]] = ()) -> dict[str, str]:
    """The short name of each arm by its recorded name.

    A key is left out if only some arms have it, with the same value, and the short names still differ. Keys with
    numbers are left out before keys with words, and later keys before earlier ones. What a command has changed stays:
    `sgd learning_rate=0.05` is not `sgd`, even if the study has no other arm of sgd.

    Args:
        names: the recorded names.
        names_by_run: the names of the arms of each command.
    """
    changed_keys = _changed_keys([*names_by_run])
    arms = {name: _key_values(name) for name in names}
    values: dict[str, list[str]] = {}
    for pairs in arms.values():
        for key, value in pairs.items():
            values.setdefault(key, []).append(value)
    redundant_keys = [
        key
        for key, column in values.items()
        if key not in changed_keys and key != column[0] and len({*column}) == 1 and len(column) < len(arms)
    ]
    words_first = sorted(redundant_keys, key=lambda k: is_number(values[k][0]))
    for key in reversed(words_first):
        shorter = {name: {k: v for k, v in pairs.items() if k != key} for name, pairs in arms.items()}
        if len({(*pairs.values(),) for pairs in shorter.values()}) == len(arms) and all(shorter.values()):
            arms = shorter
    return {name: " ".join(k if k == v else f"{k}={v}" for k, v in pairs.items()) for name, pairs in arms.items()}


def _changed_keys(names_by_run: Collection[Collection[str]]) -> set[str]:
    """The keys that are in names because commands have changed them, not because they vary in the sweep.

    Either one word names each arm of a command without them, or all arms of a command have them, and no command has
    arms with and without them.
    """
    changed_keys: set[str] = set()
    varying_keys: set[str] = set()
    for names in names_by_run:
        arms = [_key_values(name) for name in {name.removesuffix(" tuned") for name in names}]
        keys = {key for pairs in arms for key, value in pairs.items() if key != value}
        words = [next((key for key, value in pairs.items() if key == value), None) for pairs in arms]
        shared_keys = {key for key in keys if all(key in pairs for pairs in arms)}
        is_word_enough = None not in words and len({*words}) == len(arms)
        changed_keys |= keys if is_word_enough else shared_keys
        varying_keys |= set() if is_word_enough else keys - shared_keys
    return changed_keys - varying_keys


def _key_values(name: str) -> dict[str, str]:
    """The values in a name by their keys; a word without `=` is its own key."""
    return {word.partition("=")[0]: word.partition("=")[2] or word for word in name.split(" ")}

"""Shorter names of arms: `trained=5` for `trained=5 head_epochs=10`, if no arm has another value of `head_epochs`."""

from collections.abc import Collection


def shorten_names(names: Collection[str]) -> dict[str, str]:
    """The short name of each arm by its recorded name.

    A key is left out if only some arms have it, with the same value, and the short names still differ. Keys with
    numbers are left out before keys with words, and later keys before earlier ones.
    """
    arms = {name: _key_values(name) for name in names}
    values: dict[str, list[str]] = {}
    for pairs in arms.values():
        for key, value in pairs.items():
            values.setdefault(key, []).append(value)
    redundant_keys = [
        key for key, column in values.items() if key != column[0] and len({*column}) == 1 and len(column) < len(arms)
    ]
    words_first = sorted(redundant_keys, key=lambda k: _is_number(values[k][0]))
    for key in reversed(words_first):
        shorter = {name: {k: v for k, v in pairs.items() if k != key} for name, pairs in arms.items()}
        if len({(*pairs.values(),) for pairs in shorter.values()}) == len(arms) and all(shorter.values()):
            arms = shorter
    return {name: " ".join(k if k == v else f"{k}={v}" for k, v in pairs.items()) for name, pairs in arms.items()}


def _key_values(name: str) -> dict[str, str]:
    """The values in a name by their keys; a word without `=` is its own key."""
    return {word.partition("=")[0]: word.partition("=")[2] or word for word in name.split(" ")}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

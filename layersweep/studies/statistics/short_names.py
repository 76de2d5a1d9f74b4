"""Shorter names for arms: `trained=5` for `trained=5 head_epochs=10`, where no arm has another `head_epochs`."""

from collections.abc import Collection


def brief(names: Collection[str]) -> dict[str, str]:
    """What tells these arms apart, by their recorded names.

    Left out is a key that some arms state, all with one value, as long as the values of the others tell the arms apart:
    a number rather than a word, and of two the one that is stated later. The records keep the whole names.
    """
    arms = {name: _stated(name) for name in names}
    values: dict[str, list[str]] = {}
    for stated in arms.values():
        for key, value in stated.items():
            values.setdefault(key, []).append(value)
    companions = [key for key, seen in values.items() if key != seen[0] and len({*seen}) == 1 and len(seen) < len(arms)]
    by_word = sorted(companions, key=lambda k: _is_number(values[k][0]))
    for key in reversed(by_word):
        shorter = {name: {k: v for k, v in stated.items() if k != key} for name, stated in arms.items()}
        if len({(*stated.values(),) for stated in shorter.values()}) == len(arms) and all(shorter.values()):
            arms = shorter
    return {name: " ".join(k if k == v else f"{k}={v}" for k, v in stated.items()) for name, stated in arms.items()}


def _stated(name: str) -> dict[str, str]:
    """The values of a name by their keys; a word without a key is its own."""
    return {word.partition("=")[0]: word.partition("=")[2] or word for word in name.split(" ")}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

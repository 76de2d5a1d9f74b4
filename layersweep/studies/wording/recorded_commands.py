"""Recorded command lines in one line, quoted for a shell."""

import shlex
from collections.abc import Sequence
from typing import Final

_SEEDS: Final = "--seeds"


def one_line(command: str) -> str:
    """A recorded command in one line; spaces within a quoted word stay."""
    return _line(_words(command))


def with_seeds(command: str, seeds: int) -> str:
    """A recorded command with another number of seeds, in one line."""
    return _line(words_with_seeds(_words(command), seeds))


def words_with_seeds(words: Sequence[str], seeds: int) -> list[str]:
    """The words of a command with another number of seeds."""
    remaining, others = iter(words), []
    for word in remaining:
        if word == _SEEDS:
            next(remaining, None)
        elif not word.startswith(f"{_SEEDS}="):
            others.append(word)
    return [*others, _SEEDS, str(seeds)]


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # written by another program
        return command.split()


def _line(words: list[str]) -> str:
    return shlex.join(" ".join(word.split()) if len(word.splitlines()) > 1 else word for word in words)

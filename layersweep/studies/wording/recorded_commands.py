"""Recorded command lines and calls in one line, quoted for a shell or for Python."""

import ast
import shlex
from collections.abc import Sequence
from typing import Final

_SEEDS: Final = "--seeds"
CALL: Final = "ls.run("
"""How the call of a notebook begins, among the recorded commands."""


def one_line(command: str) -> str:
    """A recorded command in one line; spaces within a quoted word stay."""
    return " ".join(command.splitlines()) if command.startswith(CALL) else _line(_words(command))


def with_seeds(command: str, seeds: int) -> str:
    """A recorded command with another number of seeds, in one line."""
    return one_line(command_with_seeds(command, seeds))


def command_with_seeds(command: str, seeds: int) -> str:
    """A command line or a call with another number of seeds."""
    if command.startswith(CALL):
        return _call_with_seeds(command, seeds)
    return shlex.join(_words_with_seeds(_words(command), seeds))


def _call_with_seeds(call: str, seeds: int) -> str:
    """A call with another number of seeds; as it is if another program has written what is no call."""
    try:
        tree = ast.parse(call, mode="eval").body
    except (SyntaxError, ValueError):
        return call
    if not isinstance(tree, ast.Call):
        return call
    others = [keyword for keyword in tree.keywords if keyword.arg != "seeds"]
    tree.keywords = [*others, ast.keyword(arg="seeds", value=ast.Constant(value=seeds))]
    return ast.unparse(tree)


def _words_with_seeds(words: Sequence[str], seeds: int) -> list[str]:
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

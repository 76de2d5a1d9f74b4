"""The rules of names and sizes that no linter knows (CONTRIBUTING.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "layersweep", "search_spaces", "sweeps", "trainables")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]

LINES = 50
PARAMETERS = 6

NO_NAMES = frozenset(
    "said asked found made seen given kept wanted drawn told chosen taken brought fed probed watched narrowed settled "  # noqa: SIM905
    "unsaid lost held began begun home past absent twins".split()
)
"""Bare participles, and words of this project's own. With a noun they are names, such as `kept_weights`."""


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


def names(path: Path) -> Iterator[tuple[str, int]]:
    """The names that a file gives, with their lines: variables, parameters, attributes, functions, classes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_longer_than_a_screen_or_has_many_parameters(folder: str) -> None:
    for path in (path for path in FILES if path.is_relative_to(ROOT / folder)):
        for function in functions(path):
            arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
            parameters = [a for a in arguments if a.arg not in ("self", "cls")]
            place = f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
            assert (function.end_lineno or 0) - function.lineno + 1 <= LINES, place
            assert len(parameters) <= PARAMETERS, place


@pytest.mark.parametrize("folder", FOLDERS)
def test_names_are_nouns(folder: str) -> None:
    bad = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in FILES
        if path.is_relative_to(ROOT / folder)
        for name, line in names(path)
        if name.strip("_").lower() in NO_NAMES
    ]
    assert not bad, "\n".join(bad)


def test_the_glossary_is_short() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = page.partition("## Glossary")[2].partition("\n## ")[0].splitlines()
    words = [row for row in rows if row.startswith("| ")][2:]
    assert 0 < len(words) <= 30


def test_the_walk_visits_each_file_once() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = page.partition("## The walk of one value")[2].partition("\n## ")[0].splitlines()
    files = [row.split("`")[1] for row in rows if row.startswith("| ") and "`" in row]
    assert 0 < len(files) <= 20
    assert len(set(files)) == len(files)
    for file in files:
        assert (ROOT / file).is_file() or (ROOT / "layersweep" / "tuning" / file).is_file(), file

"""What a console shows does nothing else."""

import io
import re
import sys
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table
from rich.text import Text

from layersweep.terminal import Console, call_console, in_notebook

TEXTS = (
    "[/x]",
    "[red]a",
    "\x1b[2J",
    "\x1b]52;c;aGk=\x07",
    "a\rb\tc",
    "\u202eb",
    ":warning:",
    "\x9b2J",
    "\udce9",
    "1234",
)
_RICH = re.compile(r"\x1b\[\??[0-9;]*[mhlAK]|\r")
"""What Rich itself sends: colours, the cursor's lines and whether it is seen."""


def shown(show, **options) -> str:
    file = io.StringIO()
    show(Console(file=file, width=60, **options))
    return file.getvalue()


def table(text: str, cell=str) -> Table:
    result = Table("name", text, title=text, caption=text)
    result.add_row(cell(text), "1")
    return result


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("cell", [str, Text])
def test_texts_do_nothing_wherever_they_stand(text, cell):
    def show(console):
        console.print(text, style="red")
        console.print(cell(text), soft_wrap=True)
        console.rule(text)
        console.print(table(text, cell))

    for terminal in (True, False):
        out = shown(show, force_terminal=terminal, legacy_windows=False)
        out = _RICH.sub("", out) if terminal else out
        assert all(char == "\n" or unicodedata.category(char)[0] != "C" for char in out), out
    if text in ("[/x]", "[red]a", ":warning:"):
        assert text in out


@pytest.mark.parametrize("text", TEXTS)
def test_a_live_table_does_nothing(text):
    def show(console):
        with Live(console=console, auto_refresh=False, transient=True) as live:
            live.update(table(text), refresh=True)
            console.print(text)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", _RICH.sub("", shown(show, force_terminal=True)))


def test_columns_are_wide_enough_for_what_they_show():
    lines = shown(lambda console: console.print(table("\x1b\u202e"))).splitlines()
    assert sum(line.count(r"\x1b\u202e") for line in lines) == 4
    assert len({len(line) for line in lines if line[:1] in "│┏┃┡└├"}) == 1


def test_the_console_prints_numbers_and_colours_as_rich_does():
    assert shown(lambda console: console.print("12 of 'x'", True), force_terminal=True) == "12 of 'x' True\n"
    out = shown(lambda console: console.print("x", style="red"), force_terminal=True, color_system="standard")
    assert out == "\x1b[31mx\x1b[0m\n"


@settings(deadline=None)
@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_can_be_printed(text):
    out = shown(lambda console: console.print(text, soft_wrap=True))
    out.encode()
    assert all(char == "\n" or unicodedata.category(char) not in ("Cc", "Cs") for char in out)


@pytest.mark.parametrize(
    ("shell", "expected"), [(None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)]
)
def test_a_kernel_is_a_notebook_and_ipython_in_a_terminal_is_none(monkeypatch, shell, expected):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() == expected


def test_a_notebook_gets_plain_text_whatever_its_kernel_says_of_colours(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as ipykernel does
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))
    out = io.StringIO()
    call_console(file=out, soft_wrap=True).print("a warning", style="bold yellow")
    assert out.getvalue() == "a warning\n"

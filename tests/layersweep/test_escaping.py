"""Any text goes in; what comes out does nothing, and says the same."""

import csv
import io
import json
import math
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from layersweep import escaping

NASTY = st.sampled_from(
    ["\x1b[2J", "\x1b]52;c;aGk=\x07", "\u202e", "[/x]", "<i>", "&lt;", "|", "`", "**", "_", "~~", "$", "\\", "\r\n",
     "\t", "=1+1", "'", '"', "\udce9", "# ", "1. ", "- ", "](x)", "![", "http://a.b", ":warning:", "\x9b", "---"]
)  # fmt: skip
TEXT = st.lists(NASTY | st.text(st.characters(codec=None, exclude_categories=())), max_size=6).map("".join)


class Reader(HTMLParser):
    """The text between tags, and the values of attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.values = "", [], []
        self.feed(page)
        self.close()

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for _, value in attrs]


@settings(deadline=None)
@given(TEXT)
def test_a_terminal_gets_no_control_character_but_newline(text):
    out = escaping.terminal(text)
    assert all(char == "\n" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in out)
    assert all(
        unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for char in out
    )
    out.encode()
    assert escaping.terminal(out) == out


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "M"]) | st.just("\n")))
def test_what_can_be_seen_stays(text):
    assert escaping.terminal(text) == escaping.visible(text) == text


def test_hidden_characters_are_written_out():
    assert escaping.terminal("a\x1b[2J\u202e\udce9\tb\r\nc\rd\x9b\u2028\ufeff") == (
        "a\\x1b[2J\\u202e\\udce9    b\nc\\rd\\x9b\\u2028\\ufeff"
    )
    assert escaping.terminal("किताब می‌خواهم 👩‍🔬") == "किताब می‌خواهم 👩‍🔬"  # joiners belong to scripts and emoji


@settings(deadline=None)
@given(TEXT)
def test_html_gives_the_text_back(text):
    page = Reader(
        f"""<p title="{escaping.to_html(text)}" lang='{escaping.to_html(text)}'>{escaping.to_html(text)}</p>"""
    )
    assert (page.text, page.tags) == (escaping.visible(text), ["p"])
    assert page.values == [escaping.visible(text)] * 2


@settings(deadline=None)
@given(TEXT)
def test_markdown_gives_the_text_back(text):
    markdown = escaping.to_markdown(text)
    page = Reader(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown))
    assert " ".join(page.text.split()) == " ".join(escaping.visible(text).split())
    assert page.tags == ["p"] * bool(markdown)


@settings(deadline=None)
@given(TEXT)
def test_markdown_gives_the_text_back_in_bold_and_in_a_heading(text):
    text = f"a{text}b"
    page = Reader(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(f"## {escaping.to_markdown(text)}"))
    assert " ".join(page.text.split()) == " ".join(escaping.visible(text).split())
    assert page.tags == ["h2"]


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1))
def test_csv_gives_every_text_back_and_computes_none(texts):
    file = io.StringIO()
    csv.writer(file).writerow(map(escaping.to_csv, texts))
    (row,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert [*map(escaping.from_csv, row)] == texts
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")) for cell in row)


def test_csv_leaves_other_cells_alone():
    assert [*map(escaping.to_csv, ["a=1", "'a'", "''", "", "1-2", "(=1)"])] == ["a=1", "'a'", "''", "", "1-2", "(=1)"]
    assert [*map(escaping.to_csv, ["=1", "'=1", "-x"])] == ["'=1", "''=1", "'-x"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None)
@given(ANYTHING)
def test_json_is_json_and_numbers_that_are_none_are_null(value):
    def expected(value):
        if isinstance(value, dict):
            return {key: expected(item) for key, item in value.items()}
        if isinstance(value, list):
            return [expected(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    assert json.loads(escaping.to_json(value), parse_constant=pytest.fail) == expected(value)


@settings(deadline=None)
@given(ANYTHING)
def test_json_in_a_page_is_the_same_json_and_ends_no_script(value):
    value = {"names": ["</script><script>alert(1)</script>", "<!--<script", "]]>&\u2028"], "value": value}
    line = escaping.to_script_json(value)
    assert json.loads(line) == json.loads(escaping.to_json(value))
    assert line.isascii()
    assert not set(line) & set("<>&\n")
    page = Reader(f"<script>{line}</script><p>after</p>")
    assert page.tags == ["script", "p"]


def test_json_has_no_newline_and_writes_objects_as_text():
    line = escaping.to_json({"b": (math.nan, "a\nb\udce9"), "a": {1: -math.inf}, "c": 1 + 2j}, sort_keys=True)
    assert line == r'{"a": {"1": null}, "b": [null, "a\nb\udce9"], "c": "(1+2j)"}'


@settings(deadline=None)
@given(TEXT)
def test_valid_unicode_can_be_encoded(text):
    escaping.valid_unicode(text).encode()


@settings(deadline=None)
@given(st.text())
def test_valid_unicode_changes_no_other_text(text):
    assert escaping.valid_unicode(text) == text

"""Text from outside, escaped where it goes out: to a terminal, HTML, Markdown, CSV and JSON.

Names of arms and classes, errors, logs, paths, host names and configurations come from outside. Records hold them as
they came; only what Parquet cannot store is escaped there (`layersweep.records.storable`).
"""

import html
import json
import math
import re
from collections.abc import Mapping
from typing import Final

_HIDDEN: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but tab and newline
    r"\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    r"\ud800-\udfff\U000e0000-\U000e007f]"  # half characters, which UTF-8 does not have; tags
)
"""Characters that do something instead of being seen: they move the cursor, or turn the direction of the text."""

_COLOR: Final = re.compile(r"\x1b\[[0-9;]{0,20}m")

_MARKDOWN: Final = re.compile(r"[\\`*\[\]<>|~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|^(?:[-+#=]|\d+(?=[.)]))")
"""What Markdown does not show as it is: its marks, and at the beginning of a text those of headings and lists."""

_SCRIPT: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}
"""The signs by which HTML ends a script or begins a comment in it."""

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\uff0b\uff0d\uff20]")
"""The beginning of a cell that spreadsheets compute, or of one that is escaped already."""


def is_unicode(text: str) -> bool:
    """Whether UTF-8 has the text: a file name of other bytes holds half characters."""
    return valid_unicode(text) == text


def valid_unicode(text: str) -> str:
    r"""The text without half characters, which no UTF-8 has: a file name of other bytes becomes `caf\udce9`."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def visible(text: str) -> str:
    r"""The text with every hidden character written as `\x1b` or `\u202e`; tabs and newlines stay."""
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(_written_out, text.replace("\r\n", "\n"))


def terminal(text: str) -> str:
    """The text for a terminal, which obeys none of it: no control character but newline."""
    return visible(text).replace("\t", "    ")


def colored_terminal(text: str) -> str:
    """As `terminal`, but colours stay: for what another command of ours prints on another machine."""
    return "".join(part if _COLOR.fullmatch(part) else terminal(part) for part in re.split(f"({_COLOR.pattern})", text))


def to_html(text: str) -> str:
    """The text for HTML, between tags or in a quoted attribute."""
    return html.escape(visible(text))


def to_markdown(text: str) -> str:
    """The text for Markdown, in one line: it is shown, and formats nothing."""
    return _MARKDOWN.sub(_with_backslash, " ".join(visible(text).split()))


def to_file_name(text: str) -> str:
    """The text as the name of one file, never of a file in another folder."""
    return visible(text).replace("/", "_")


def to_csv(text: str) -> str:
    """The text for a cell of CSV: an apostrophe before what a spreadsheet would compute.

    A text that begins with apostrophes and then such a character gets one more, so that `from_csv` gives every text
    back.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_csv(cell: str) -> str:
    """The text of a cell that `to_csv` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def to_json(value: object, *, sort_keys: bool = False) -> str:
    """JSON by the standard: NaN and infinities, which it does not have, become null; other objects become text."""
    return json.dumps(_finite(value), sort_keys=sort_keys, allow_nan=False, default=str)


def to_script_json(value: object) -> str:
    """JSON as `to_json` writes it, for a page's `<script type="application/json">`: no text of it ends the script.

    It is ASCII, so the line separators U+2028 and U+2029 are written out; so is every sign that HTML knows.
    """
    return to_json(value).translate(_SCRIPT)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _written_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _with_backslash(match: re.Match[str]) -> str:
    text = match[0]
    return f"{text}\\" if text[-1].isdigit() else f"\\{text}"

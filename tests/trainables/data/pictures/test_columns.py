"""The columns that a person names."""

import pytest

from trainables.data.pictures.columns import Columns
from trainables.errors import DataError


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("file=a,label=b", Columns(file="a", label="b")),
        (" label = the breed , part=set", Columns(label="the breed", part="set")),
        ("file=x=y", Columns(file="x=y")),
    ],
)
def test_parse(text, columns):
    assert Columns.parse(text) == columns


@pytest.mark.parametrize("text", ["", "a", "file=", "=a", "image=a", "file=a,file=b", "file=a,"])
def test_a_text_of_another_form_is_refused(text):
    with pytest.raises(DataError, match="is not valid; valid: file=NAME,label=NAME,part=NAME"):
        Columns.parse(text)

"""What is said of files that cannot be understood as pictures with labels."""

import pytest

from trainables.data.layouts.layouts import pictures_of
from trainables.errors import DataError


def refusal(path, columns=None):
    """The error for a path: one line, which says what is valid."""
    with pytest.raises(DataError) as error:
        pictures_of(path, columns)
    text = str(error.value)
    assert "\n" not in text
    assert "valid: " in text
    return text

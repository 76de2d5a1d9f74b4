"""IDX files: a header that fits the bytes, or an error before any memory is taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trainables.data.idx_files import read


def idx(*sizes, content=b"", start="000008"):
    return bytes.fromhex(start) + bytes([len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes) + content


@given(array=arrays.arrays("u1", arrays.array_shapes(min_dims=1, max_dims=3, min_side=0)))
def test_an_array_is_read_as_it_was_written(array):
    values = read(idx(*array.shape, content=array.tobytes()), array.ndim)
    assert values.shape == array.shape
    assert np.array_equal(values, array)


@given(content=st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda end: idx(1, 1, 1)[:4] + end)))
def test_any_bytes_are_read_or_refused(content):
    try:
        assert read(content, 3).size == len(content) - 16
    except ValueError:
        return


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an IDX file of bytes in 3 dimensions, got ''"),
        (idx(1, content=b"a"), "in 3 dimensions, got '00000801'"),
        (idx(1, 1, 1, content=b"a", start="00000d"), "got '00000d03'"),
        (idx(*[2**32 - 1] * 3, content=b"a"), "expected 4294967295x4294967295x4294967295 bytes .* got 1"),
        (idx(2, 2, 2, content=bytes(7)), "expected 2x2x2 bytes after its header, got 7"),
        (idx(2, 2, 2, content=bytes(9)), "got 9"),
        (idx(0, 2**32 - 1, 2**32 - 1), "array"),
    ],
)
def test_a_header_that_does_not_fit_is_said(content, message):
    with pytest.raises(ValueError, match=message):
        read(content, 3)

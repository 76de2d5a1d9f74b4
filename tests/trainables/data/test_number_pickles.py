"""Pickles of strangers: numbers and texts are read as NumPy wrote them; whatever else one says, it is an error."""

import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trainables.data import number_pickles

START = b"\x80\x02}("
END = b"u."
TYPES = ["u1", "i1", "<u2", ">u2", "<i4", ">i8", "<u8"]


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def type_of(name, *, fields=b"NNN", size=b"I-1\n"):
    """A dtype as NumPy writes it, with any state."""
    state = b"(I3\n" + text("|") + fields + size + b"I-1\nI0\nt"
    return b"cnumpy\ndtype\n(" + text(name) + b"I0\nI1\ntR" + state + b"b"


def array_of(kind, content, shape=b"I4\n"):
    """An array as NumPy writes it, with any state."""
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt" + text("b") + b"tR"
    return empty + b"(I1\n(" + shape + b"t" + kind + b"I00\n" + content + b"tb"


def raw(value):
    return b"T" + struct.pack("<I", len(value)) + value


def pickled(value):
    return START + b"U\x04data" + value + END


PROTOCOLS = st.integers(0, 4)
PROTOCOLS = st.integers(0, 4)
NUMBERS = st.sampled_from(TYPES).flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=1, max_dims=4)))


@settings(max_examples=60, deadline=None)
@given(array=NUMBERS, labels=st.lists(st.integers(-(2**70), 2**70)), protocol=PROTOCOLS, order=st.sampled_from("CF"))
def test_arrays_lists_and_texts_are_read_as_they_were_written(array, labels, protocol, order):
    content = {b"a": np.asarray(array, order=order), b"labels": labels, b"names": [b"\xff", b"a"]}
    read = number_pickles.read(pickle.dumps(content, protocol))
    assert read[b"a"].values.dtype == array.dtype
    assert np.array_equal(read[b"a"].values, array)
    assert (read[b"labels"], read[b"names"]) == (labels, [b"\xff", b"a"])


@settings(max_examples=300, deadline=None)
@given(content=st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [
    b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n", b"(",
    text("u1"), text("O8"), type_of("u1"), array_of(type_of("u1"), raw(b"abcd")), b"tR", b"tb", b"I1\n", b"\x85", b"R",
]), max_size=30).map(b"".join))  # fmt: skip
def test_any_instructions_are_read_or_refused(content):
    for whole in (content, START + b"U\x01a" + content + END):
        try:
            assert isinstance(number_pickles.read(whole), dict)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (array_of(type_of("O8"), b"(I1\nI1\nI1\nI1\nl"), "type 'O8'; valid: i1, i2"),
        (array_of(type_of("f8"), raw(bytes(32))), "type 'f8'; valid"),
        (array_of(type_of("V8", fields=b"N(U\x01at}U\x01a(" + type_of("O8") + b"I0\nts", size=b"I8\n"), raw(b"A" * 32)),
         "type '[OV]8'"),
        (type_of("u1", fields=b"N(U\x01at}U\x01a(" + type_of("u1") + b"I0\nts"), "array of records"),
        (array_of(type_of("u1"), raw(b"abcd"), b"I1000000000000\nI1000\n"), "shape does not fit its 4 bytes"),
        (array_of(type_of("u1"), raw(b"abcd"), b"I-2\nI-2\n"), "shape does not fit its 4 bytes"),
        (array_of(b"N", raw(b"abcd")), "not of whole numbers"),
        (array_of(type_of("u1"), b"]"), "not of whole numbers"),
        (type_of("u1" * 200), "without a valid type"),
        (b"cnumpy\ndtype\n(" + b"I1\n" + b"\x85" * 1000 + b"tR", "without a valid type"),
        (b"cnumpy\nndarray\n}b", "not an array"),
        (b"c_codecs\nencode\n}b", "not an array"),
        (b"cos\nsystem\n", r"asks for os\.system"),
        (b"\x8c\x05numpy\x8c\x06memmap\x93", r"asks for numpy\.memmap"),
        (b"\x96" + struct.pack("<Q", 1 << 60), "instruction 150"),
        (b"(cnumpy\nndarray\no", "instruction 111"),
        (b"P0\n", "instruction 80"),
    ],
)  # fmt: skip
def test_all_that_is_not_numbers_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        number_pickles.read(pickled(value))


def test_tuples_in_tuples_are_no_keys():
    """Their hash overflows the stack of C: Python ends without an error."""
    deep = b"I1\n" + b"\x85" * 200_000
    for content in (b"\x80\x02}(" + deep + b"I1\nu.", b"\x80\x02}" + deep + b"I1\ns.", b"\x80\x02(" + deep + b"I1\nd."):
        with pytest.raises(ValueError, match="key that is not a text"):
            number_pickles.read(content)


def test_no_more_memory_is_taken_than_the_file_has_bytes():
    """In a process of its own, whose address space is limited: Python's unpickler in C takes 16 GiB."""
    code = (
        "import resource; from trainables.data import number_pickles\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, -1))\n"
        "number_pickles.read(b'\\x80\\x02}I1\\nr\\xff\\xff\\xff\\x3f0.')\n"
        "for code in b'\\x8e', b'\\x8d', b'\\x95':\n"
        "    try: number_pickles.read(b'\\x80\\x04' + code + (1 << 40).to_bytes(8, 'little') + b'abc.')\n"
        "    except ValueError: pass\n"
        "    else: raise SystemExit('read')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_instructions_are_counted(monkeypatch):
    monkeypatch.setattr(number_pickles, "MOST_INSTRUCTIONS", 100)
    with pytest.raises(ValueError, match="more than 100 instructions"):
        number_pickles.read(pickled(b"(" * 200))

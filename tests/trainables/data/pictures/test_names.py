"""Names: natural order, the parts that they mean, and how a message writes them."""

import pytest

from trainables.data.pictures.names import (
    in_natural_order,
    listed,
    part_named,
    part_of,
    printable,
    same_for_people,
)


@pytest.mark.parametrize(
    "names",
    [
        ("0", "1", "2", "10"),
        ("-2", "-1", "0.5", "3"),
        ("a1b2", "a1b10", "a2", "b"),
        ("1", "02", "2a", "10a"),
        ("B", "a", "\u00e4"),
        ("2", "1" * 400 + "a"),
    ],
)
def test_natural_order(names):
    assert in_natural_order([*reversed(names), *names]) == names


def test_order_by_value_and_by_name():
    assert in_natural_order(["10", "9", "-1", "0.5"]) == ("-1", "0.5", "9", "10")
    assert in_natural_order(["x10", "x9", "x"]) == ("x", "x9", "x10")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"), ("TRAIN", "train"), ("Training Set", "train"), ("seg_train", "train"),
        ("trainLabels", "train"), ("val2017", "validation"), ("Valid", "validation"), ("dev-set", "validation"),
        ("test1", "test"), ("testing", "test"), ("trains", None), ("retrain", None), ("train_test", None),
        ("contest", None), ("", None), ("cats", None),
    ],
)  # fmt: skip
def test_part_of(name, part):
    assert part_of(name) == part


def test_part_named():
    assert [part_named(name) for name in ("Val ", "dev", "test", "test_set", "cat")] == [
        "validation", "validation", "test", None, None,
    ]  # fmt: skip


def test_what_people_take_for_the_same():
    assert same_for_people("Caf\u00e9 ") == same_for_people("CAFE\u0301")
    assert same_for_people("cat") != same_for_people("cats")


def test_a_name_is_printed_on_one_line():
    assert printable("a\nb\x1b[31m\udcff\u00e9") == "a\\nb\\x1b[31m\\udcff\u00e9"
    assert printable("x" * 1000) == "x" * 300 + "\u2026"
    assert listed(["a", "b", "c"], 2) == "a, b, \u2026"

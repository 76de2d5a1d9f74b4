"""Texts that all packages format alike."""

import pytest

from layersweep.formatting import exact_duration, first_line, first_names, gib, last_line, shortened


@pytest.mark.parametrize(
    ("text", "first", "last"), [("", "", ""), ("a", "a", "a"), ("a\nb \n\n", "a", "b"), (" \n", " ", "")]
)
def test_the_first_line_is_unchanged_and_the_last_is_one_that_is_not_blank(text, first, last):
    assert (first_line(text), last_line(text)) == (first, last)


def test_of_many_names_the_first_are_shown():
    assert first_names(["a", "b", "c"]) == "a, b, c"
    assert first_names([*"abcde"]) == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("text", "whole"),
    [("", ""), ("sixsix", "sixsix"), ("sixsixs", "sixsi…"), ("four five", "four…"), ("🐈" * 7, "🐈" * 5 + "…")],
)
def test_a_text_that_is_cut_says_so(text, whole):
    assert shortened(text, 6) == whole


def test_sizes_and_durations_that_a_user_set():
    assert gib(3 << 29) == "1.5 GiB"
    assert exact_duration(5407.5) == "1 h 30 min 7.5 s"

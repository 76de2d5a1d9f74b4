"""Recorded commands in one line: what a shell reads in it is what was recorded."""

import shlex

import pytest

from layersweep.studies.wording.recorded_commands import one_line, with_seeds

WORDS = ["sweeps/made up.py", "--set", "name=a  b", "--set", "word=--seeds 3"]


def test_spaces_within_a_word_stay():
    assert shlex.split(one_line(shlex.join(WORDS))) == WORDS


@pytest.mark.parametrize("seeds", [["--seeds", "3"], ["--seeds=3"], []])
def test_the_seeds_alone_change(seeds):
    assert shlex.split(with_seeds(shlex.join([*WORDS, *seeds]), 20)) == [*WORDS, "--seeds", "20"]


def test_a_command_of_several_lines_is_one_line():
    assert one_line("sweeps/x.py --set 'a=b\n  c'") == "sweeps/x.py --set 'a=b c'"


def test_a_quote_without_an_end_is_quoted():
    assert shlex.split(one_line("sweeps/x.py --set a='b")) == ["sweeps/x.py", "--set", "a='b"]

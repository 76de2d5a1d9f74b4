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


CALL = "ls.run(width, epochs=2, set={'quality': [0.1, 0.2], 'name': 'a  b, seeds=3'})"


def test_a_call_of_a_notebook_stays_a_call():
    assert one_line(CALL) == CALL


@pytest.mark.parametrize("seeds", [", seeds=3", ""])
def test_the_seeds_of_a_call_alone_change(seeds):
    assert with_seeds(f"{CALL[:-1]}{seeds})", 20) == f"{CALL[:-1]}, seeds=20)"


@pytest.mark.parametrize("call", ["ls.run(width, epochs=<object at 0x1>)", "ls.run(width) + 1", "ls.run(\0"])
def test_what_begins_as_a_call_and_is_none_stays_as_it_is(call):
    assert with_seeds(call, 20) == call

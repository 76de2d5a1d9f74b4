"""Classes by name: what a name, an index or a range stands for, and one text for the same classes."""

import pytest

from trainables.data.class_names import index_text
from trainables.errors import DataError

PETS = ("cats", "dogs", "owls", "rare")
DIGITS = tuple(map(str, range(10)))
SHIFTED = ("1", "2", "3")
ODD = ("T-shirt/top", "a+b", "a", "b", "Doe, John", "red panda", "1-2", "all")


def text(words: str, names: tuple[str, ...], *, literal: bool = False) -> str:
    return index_text(words, names, "pets", literal=literal)


@pytest.mark.parametrize(
    ("words", "names", "indices"),
    [
        ("cats+dogs", PETS, "0-1"),
        ("dogs+cats", PETS, "0-1"),
        ("0+1", PETS, "0-1"),
        ("0-1", PETS, "0-1"),
        ("cats+2", PETS, "0+2"),
        ("cats-owls", PETS, "0-2"),
        ("without:rare", PETS, "0-2"),
        ("without:3", PETS, "0-2"),
        ("without:dogs+rare", PETS, "0+2"),
        ("all", PETS, "all"),
        ("cats+dogs+owls+rare", PETS, "all"),
        ("0-3", PETS, "all"),
        ("2+10", tuple(map(str, range(11))), "2+10"),
        ("0-4", DIGITS, "0-4"),
        ("1+2", SHIFTED, "0-1"),  # a word that is the name of a class is that class
        ("1-3", SHIFTED, "all"),
        ("without:1", SHIFTED, "1-2"),
        ("T-shirt/top+red panda", ODD, "0+5"),
        ("a+b", (*ODD, "c"), None),  # one class, whose name has a plus
        ("a+b+red panda", ODD, "1+5"),
        ("b+a", ODD, "2-3"),
        ("1-2+a", ODD, "2+6"),
        ("all+a", ODD, "2+7"),
        ("4+5", ODD, "4-5"),
    ],
)
def test_names_and_indices_of_the_same_classes_are_one_text(
    words: str, names: tuple[str, ...], indices: str | None
) -> None:
    if indices is None:
        with pytest.raises(DataError, match="at least two of"):
            text(words, names)
    else:
        assert text(words, names) == indices


@pytest.mark.parametrize("words", ["0-4", "0+1", "2-4+3-5", "3+1", "0-5"])
def test_indices_of_data_sets_with_recorded_trials_stay_as_they_were_given(words: str) -> None:
    names = ("a", "b", "c", "d", "e", "f")
    assert text(words, names, literal=True) == words
    assert text("a+b", names, literal=True) == "0-1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "cast+dogs",
            r"'cast' is no class of pets; did you mean 'cats'\? valid: cats \(0\), dogs \(1\), .*without:NAME",
        ),
        ("cats+7", r"'7' is no class of pets; valid: cats \(0\)"),
        ("without:rar", r"'rar' is no class of pets; did you mean 'rare'\?"),
        ("0-99999999999999", r"'0-99999999999999' is no class"),
        ("cats", r"valid: at least two of cats \(0\).*with \+ between"),
        ("without:cats+dogs+owls", r"valid: at least two of cats"),
        ("cats++dogs", "'' is no class"),
    ],
)
def test_what_is_no_class_is_named_with_what_is_valid(words: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        text(words, PETS)


def test_a_name_with_a_comma_is_given_by_its_index() -> None:
    """`--set` splits its values at commas, so only a piece of the name arrives."""
    with pytest.raises(DataError, match=r"a comma ends a value; valid: the index of 'Doe, John', which is 4"):
        text("John", ODD)


def test_of_many_classes_the_first_and_the_last_are_listed() -> None:
    with pytest.raises(DataError, match=r"valid: c0 \(0\), .*c11 \(11\), … c199 \(199\), or"):
        text("nothing", tuple(f"c{k}" for k in range(200)))

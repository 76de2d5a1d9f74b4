"""What is said of classes: too frequent ones, names behind indices; long and strange names."""

import json

import polars as pl
import pytest

from layersweep.studies.statistics.classes.class_counts import ClassCounts
from layersweep.studies.statistics.classes.class_notes import (
    class_names_notes,
    majority_caution,
    names_by_classes,
    shown_name,
    shown_names,
)


def rows_of(*classes, share=None, balanced=None):
    return pl.DataFrame(
        {
            "config_json": [json.dumps({"classes": one} if one else {}) for one in classes],
            "majority_share": [share] * len(classes),
            "last_val_balanced_accuracy": [balanced] * len(classes),
        },
        schema_overrides={"majority_share": pl.Float64, "last_val_balanced_accuracy": pl.Float64},
    )


def counts_of(**images):
    return ClassCounts(names=tuple(images), supports=tuple(images.values()))


@pytest.mark.parametrize(("common", "is_warned"), [(70, False), (71, True), (99, True)])
def test_from_which_share_on_accuracy_misleads(common, is_warned):
    text = majority_caution(rows_of("", balanced=0.9), [counts_of(rare=100 - common, common=common)])
    assert bool(text) is is_warned
    if is_warned:
        expected = f"'common' reaches .{common}: judge by --metric val_balanced_accuracy."
        assert text == f"A model that always says {expected}"


def test_a_share_near_one_is_not_rounded_to_it():
    text = majority_caution(rows_of("", balanced=0.9), [counts_of(common=9990, rare=10)])
    assert "reaches .9990" in text


def test_the_recorded_share_serves_where_classes_are_not_recorded():
    assert majority_caution(rows_of("", share=0.9, balanced=0.8), [None]) == (
        "A model that always says the most frequent class reaches .90: judge by --metric val_balanced_accuracy."
    )
    assert majority_caution(rows_of(""), [None]) == ""
    assert majority_caution(rows_of().drop("majority_share"), []) == ""


def test_names_stand_for_indices_but_not_for_names():
    counts = [counts_of(cats=5, dogs=5)] * 2
    assert class_names_notes(rows_of("0+2", "0+2"), counts) == ["classes=0+2 are cats, dogs."]
    assert class_names_notes(rows_of("cats+dogs", "cats+dogs"), counts) == []
    assert class_names_notes(rows_of("", ""), counts) == []
    assert class_names_notes(rows_of("0+2", "0-1"), counts) == []  # they differ: the sentence about that names them
    assert names_by_classes(rows_of("0+2", "without:birds"), counts) == {
        "0+2": "cats, dogs", "without:birds": "cats, dogs",
    }  # fmt: skip


def test_of_many_classes_the_first_ones_are_named():
    counts = [ClassCounts(names=tuple(f"n{i:03}" for i in range(200)), supports=(1,) * 200)]
    assert class_names_notes(rows_of("0-199"), counts) == ["classes=0-199 are n000, n001, n002 and 197 more."]


def test_a_name_is_one_visible_line_of_bounded_length():
    assert shown_name("two\nlines\tand  more") == "two lines and more"
    assert shown_name("\u202egnp.exe") == "\\u202egnp.exe"
    assert len(shown_name("x" * 300)) == 60
    assert shown_names(["x" * 100, "x" * 101, "cat"], 10) == ["xxxxxxxxx… (0)", "xxxxxxxxx… (1)", "cat"]

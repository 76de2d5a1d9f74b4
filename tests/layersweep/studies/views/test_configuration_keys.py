"""The keys that vary, their axes and their values."""

import json

import polars as pl

from layersweep.studies.views.configuration_keys import configuration_keys


def keys_of(configs, **defaults):
    """The keys of trials with these configurations; `defaults` are columns of the table `trials`."""
    ids = [f"t{n}" for n in range(len(configs))]
    texts = [None if config is None else json.dumps(config) for config in configs]
    rows = pl.DataFrame(
        {"trial_id": ids, "config_json": texts}, schema={"trial_id": pl.String, "config_json": pl.String}
    )
    trials = pl.DataFrame({"trial_id": pl.Series(ids, dtype=pl.String), **defaults})
    return {key.name: key for key in configuration_keys(rows, trials)}


def test_only_keys_that_vary():
    keys = keys_of([{"rate": 0.1, "width": 8, "seed": 1}, {"rate": 0.2, "width": 8, "seed": 2}])
    assert [*keys] == ["rate"]
    assert (keys["rate"].levels, keys["rate"].values) == (None, [0.1, 0.2])


def test_a_wide_range_of_positive_numbers_has_a_logarithmic_axis():
    keys = keys_of([{"rate": 10.0**-n, "offset": n - 1, "two": 100**n} for n in (0, 1, 1, 3)])
    assert keys["rate"].log
    assert not keys["offset"].log
    assert not keys_of([{"a": 1}, {"a": 1000}])["a"].log  # two values need no axis


def test_words_and_flags_are_levels_in_their_order():
    keys = keys_of([{"size": value, "flag": value == "8"} for value in ("16", "8", "128", "all")])
    assert keys["size"].levels == ["8", "16", "128", "all"]
    assert (keys["flag"].levels, keys["flag"].values) == (["false", "true"], ["false", "true", "false", "false"])


def test_numbers_among_words_are_levels():
    keys = keys_of([{"a": 1}, {"a": "auto"}])
    assert keys["a"].levels == ["1", "auto"]


def test_a_default_is_the_value_of_a_trial_that_does_not_state_the_key():
    keys = keys_of([{"rate": 0.1}, {}, {}], rate=[0.1, 0.001, None])
    assert keys["rate"].values == [0.1, 0.001, None]


def test_a_key_that_no_configuration_states():
    assert keys_of([None, None], width=[8, 16])["width"].values == [8, 16]


def test_nested_and_countless_values_are_left_out():
    assert keys_of([{"choices": json.dumps({"a": n}), "b": n} for n in range(3)]).keys() == {"b"}
    assert keys_of([{"name": f"word {n}"} for n in range(201)]) == {}


def test_no_trial():
    assert keys_of([]) == {}

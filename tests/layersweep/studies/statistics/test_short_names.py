"""Names that tell arms apart, and no more."""

import pytest

from layersweep.studies.statistics.short_names import shorten_names


@pytest.mark.parametrize(
    ("whole", "short"),
    [
        (
            ["none", "trained=5 head_epochs=10 learning_rate=0.0001", "trained=all head_epochs=10 learning_rate=0.0001",
             "begin=scratch trained=all"],
            ["none", "trained=5", "trained=all", "begin=scratch trained=all"],
        ),
        (
            ["mobilenet_v2 alpha=0.9 truncate_after=whole", "mobilenet_v2 alpha=0.9 truncate_after=a head_filters=9",
             "mobilenet_v2 alpha=0.9 truncate_after=a head_filters=9 upsampling=2", "mobilenet"],
            ["mobilenet_v2 truncate_after=whole", "mobilenet_v2 truncate_after=a",
             "mobilenet_v2 truncate_after=a upsampling=2", "mobilenet"],
        ),
        (
            ["pooling=flatten dropout=0.5", "pooling=average dropout=0.5", "begin=scratch trained=all pooling=flatten"],
            ["pooling=flatten", "pooling=average", "begin=scratch pooling=flatten"],
        ),
    ],
)  # fmt: skip
def test_what_only_comes_with_another_key_is_left_out(whole, short):
    assert [*shorten_names(whole).values()] == short


@pytest.mark.parametrize(
    "whole",
    [
        [],
        ["adam", "sgd", "adam tuned"],
        ["0.1", "0.2", "train_share=0.1 begin=scratch", "train_share=0.2 begin=scratch"],  # a key left out of the first
        ["optimizer=adam learning_rate=0.1", "optimizer=sgd learning_rate=0.01"],  # two values
        ["optimizer=adam learning_rate=0.1", "optimizer=sgd learning_rate=0.1"],  # what all arms state
        ["trained=5", "trained=5 head_epochs=10"],
        ["quality=0.1", "batch_size=8"],
        ["32-64-64-32", "relu selu", ""],
    ],
)
def test_all_else_stays(whole):
    assert shorten_names(whole) == {name: name for name in whole}

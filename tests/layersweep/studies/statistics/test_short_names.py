"""Names that tell arms apart, and no more."""

import pytest

from layersweep.studies.statistics.short_names import short_labels, shorten_names


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


@pytest.mark.parametrize(
    ("runs", "short"),
    [
        ([["adam"], ["sgd learning_rate=0.05"]], ["adam", "sgd learning_rate=0.05"]),
        ([["adam learning_rate=0.01", "sgd"]], ["adam learning_rate=0.01", "sgd"]),  # .01 is the default of sgd
        ([["adam", "sgd learning_rate=0.05", "sgd learning_rate=0.05 tuned"]],
         ["adam", "sgd learning_rate=0.05", "sgd learning_rate=0.05 tuned"]),
        ([["filters=1 depth=2"], ["filters=2 depth=2 batch_size=64"]],
         ["filters=1 depth=2", "filters=2 depth=2 batch_size=64"]),
        # a sweep whose spaces have different keys, and a command that narrows it to one arm
        ([["none", "trained=5 head_epochs=10", "trained=8 head_epochs=10"], ["trained=5 head_epochs=10"]],
         ["none", "trained=5", "trained=8"]),
    ],
)  # fmt: skip
def test_what_a_command_has_changed_stays(runs, short):
    names = [*dict.fromkeys(name for names in runs for name in names)]
    assert [*shorten_names(names, runs).values()] == short


LONG = [f"optimizer={name} learning_rate=0.00{i} weight_decay=0.0001" for i, name in enumerate(("adam", "sgd"), 2)]


def test_a_label_leaves_out_what_all_names_share() -> None:
    assert list(short_labels(LONG).values()) == [
        "optimizer=adam\nlearning_rate=0.002",
        "optimizer=sgd\nlearning_rate=0.003",
    ]


def test_short_names_stay_as_they_are() -> None:
    assert short_labels(["adam shared=1", "sgd shared=1"]) == {
        "adam shared=1": "adam shared=1",
        "sgd shared=1": "sgd shared=1",
    }


@pytest.mark.parametrize(
    "names",
    [
        LONG,
        LONG[:1],
        ["a" * 50, "a" * 50 + " tuned"],
        ["x y " + "shared " * 6, "x " + "shared " * 6, "y " + "shared " * 6],
        ["block-type=conv/batch-normalisation/relu kernel_size=3", "block-type=conv/relu kernel_size=3"],
        ["one two " * 8 + str(i) for i in range(20)],
    ],
)
def test_no_word_or_number_is_cut_and_labels_differ(names: list[str]) -> None:
    labels = short_labels(names)
    assert list(labels) == names
    assert len({*labels.values()}) == len(names)
    for name, label in labels.items():
        assert {*label.split()} <= {*name.split()}
        assert all(len(line) <= 30 or " " not in line for line in label.splitlines())


def test_a_word_that_no_figure_has_room_for_is_cut() -> None:
    labels = short_labels(["a" * 300, "a" * 299, "sgd"])
    assert len({*labels.values()}) == 3
    assert max(len(line) for label in labels.values() for line in label.split("\n")) == 50

"""What tells arms apart besides the question."""

import json

import polars as pl

from layersweep.studies.statistics.comparability import data_differences

SCHEMA = {
    "arm": pl.String, "fold": pl.Int32, "outcome": pl.String, "family": pl.String, "dataset": pl.String,
    "data_fingerprint": pl.String, "train_images": pl.Int64, "validation_images": pl.Int64, "epochs": pl.Int32,
    "epochs_asked": pl.Int32, "config_json": pl.String,
}  # fmt: skip


def trained(arm, *, config=None, outcome="completed", epochs=10, asked=None, **more):
    row = {
        "arm": arm, "outcome": outcome, "family": "cifar_cnn", "dataset": "cifar10", "data_fingerprint": "f0",
        "train_images": 2000, "validation_images": 400, "epochs": epochs, "epochs_asked": asked or epochs,
        "config_json": json.dumps({"optimizer": "adam", **(config or {})}),
    }  # fmt: skip
    return dict.fromkeys(SCHEMA) | row | more


def sentences(*rows, epoch=10):
    return [one.sentence for one in data_differences(pl.DataFrame(rows, schema=SCHEMA), epoch)]


def test_equal_data_and_epochs_need_no_word():
    assert sentences(trained("a"), trained("b", config={"optimizer": "sgd"})) == []
    assert sentences(trained("a", config={"train_share": 1}), trained("b", config={"optimizer": "sgd"})) == []
    assert sentences() == []


def test_another_image_size_is_named_with_the_arms():
    rows = [
        trained("a", config={"image_size": 32}, family="cifar_cnn"),
        trained("b", config={"image_size": 32}, family="residual_cnn"),
        trained("c", config={"image_size": 96}, family="mobilenet_v2"),
    ]
    assert sentences(*rows) == [
        "Arms differ in image_size: 32 (a, b), 96 (c). A difference between them may come from that."
    ]


def test_what_the_sweep_varies_is_said_without_a_warning():
    rows = [trained(str(size), config={"image_size": size} if size else {}) for size in (0, 32, 96)]
    assert sentences(*rows) == ["This sweep varies image_size: not resized (0), 32 (32), 96 (96)."]


def test_a_second_family_at_one_of_the_sizes_does_not_change_the_question():
    rows = [
        trained("residual 32", config={"image_size": 32}),
        trained("residual 96", config={"image_size": 96}),
        trained("alexnet", config={"image_size": 224}, family="alexnet"),
    ]
    assert sentences(*rows)[0].startswith("This sweep varies image_size: ")


def test_two_keys_that_change_together_are_both_warned_of():
    """No two arms differ in one of them alone, so nothing separates their effects."""
    rows = [trained("a", config={"image_size": 32, "train_share": 0.5}), trained("b", config={"image_size": 96})]
    assert [text.partition(":")[0] for text in sentences(*rows)] == [
        "Arms differ in image_size",
        "Arms differ in train_share",
    ]


def test_lists_are_short():
    arms = [trained(f"arm{n}", config={"image_size": 32}, family=f"f{n}") for n in range(5)]
    others = [trained(f"other{n}", config={"image_size": 100 + n}, family=f"g{n}") for n in range(5)]
    assert sentences(*arms, *others)[0].startswith(
        "Arms differ in image_size: 32 (arm0, arm1, arm2 and 2 more), 100 (other0), 101 (other1), 102 (other2) and 2 "
        "more values."
    )


def test_other_classes_are_other_validation_images_even_as_the_question():
    rows = [trained("all"), trained("two", config={"classes": "0-1"}, train_images=400, validation_images=80)]
    assert sentences(*rows) == [
        "This sweep varies classes: 0-1 (two), all (all). Their values are measured on different images."
    ]


def test_another_data_set_is_named_once():
    rows = [trained("a"), trained("b", dataset="cifar100", data_fingerprint="f1", validation_images=500)]
    assert sentences(*rows) == [
        "Arms differ in dataset: cifar10 (a), cifar100 (b). Their values are measured on different images."
    ]
    changed = [trained("a"), trained("b", data_fingerprint="f1")]
    assert sentences(*changed)[0].startswith("Arms differ in data_fingerprint: f0 (a), f1 (b). ")


def test_shares_of_other_numbers_of_images_are_seen():
    """The share hides from the study that a later command had --images 2000 and not 500 for some of the arms."""
    rows = [
        trained("a", config={"train_share": 0.5}, train_images=1000, validation_images=400),
        trained("b", config={"train_share": 0.1}, train_images=50, validation_images=100),
    ]
    assert sentences(*rows) == [
        "Arms differ in validation_images: 100 (b), 400 (a). Their values are measured on different images.",
        "This sweep varies train_share: .1 (b), .5 (a).",
    ]


def test_folds_of_unequal_size_are_no_difference():
    rows = [trained("a", fold=0, validation_images=34), trained("a", fold=1, validation_images=33)]
    rows += [trained("b", fold=1, validation_images=33, config={"optimizer": "sgd"})]
    assert sentences(*rows) == []


def test_a_first_phase_is_more_training():
    rows = [trained("none", config={"trained": "none"}), trained("5", config={"trained": "5", "head_epochs": 10})]
    assert sentences(*rows) == [
        "Arms differ in head_epochs: 0 (none), 10 (5). A difference between them may come from that."
    ]


def test_an_arm_that_was_planned_for_fewer_epochs_is_named():
    short = trained("short", outcome="unfinished", epochs=3)
    assert sentences(trained("a"), short) == [
        "Arms differ in epochs: 3 (short), 10 (a). Only trainings of equal epochs are compared."
    ]
    running = trained("running", outcome="unfinished", epochs=3, asked=10)
    longer = trained("longer", epochs=20)  # read at epoch 10
    assert sentences(trained("a"), running, longer) == []


def test_arms_without_a_result_do_not_count():
    assert sentences(trained("a"), trained("b", outcome="failed", config={"image_size": 96})) == []


def test_sizes_and_fits_of_one_folder_of_images_are_no_other_images():
    rows = [
        trained("a", config={"image_size": 64, "fit": "crop"}, dataset="image_folder"),
        trained("b", config={"image_size": 128}, dataset="image_folder"),
    ]
    assert sentences(*rows) == [
        "Arms differ in image_size: 64 (a), 128 (b). A difference between them may come from that.",
        "Arms differ in fit: crop (a), stretch (b). A difference between them may come from that.",
    ]
    asked = [trained("a", dataset="image_folder"), trained("b", config={"fit": "pad"}, dataset="image_folder")]
    assert sentences(*asked) == ["This sweep varies fit: pad (b), stretch (a)."]


def test_indices_of_classes_are_said_with_their_names():
    rows = [trained("a", config={"classes": "0+2"}), trained("b", config={"classes": "cats+birds"})]
    (one,) = data_differences(pl.DataFrame(rows, schema=SCHEMA), 10, {"0+2": "cats, dogs"})
    assert one.sentence == (
        "This sweep varies classes: 0+2 = cats, dogs (a), cats+birds (b). Their values are measured on different "
        "images."
    )

"""What a command asks of the data: how many images, which classes by name, which sizes of pictures."""

from dataclasses import replace

import numpy as np
import picture_folders
import pytest

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.selected_arms import with_arms
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import TrialFactory, visible_data
from search_spaces.ranges import Range
from trainables.data import cache
from trainables.errors import DataError
from trainables.families import fashion_cnn

SWEEP = Sweep(
    name="s", train=fashion_cnn.train, spaces=[{"optimizer": ["adam", "sgd"]}], quick={"epochs": 1, "images": 50},
    tuned=[{"optimizer": ["adam"], "image_size": [8, 16], "batch_size": [8, 16]}],
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "cache"))


@pytest.fixture
def pets(tmp_path):
    return picture_folders.parts(tmp_path / "pets", {".": 15}, ("cats", "dogs", "owls"))


def prepared(place, *words, sweep=SWEEP, dataset="image_folder"):
    """The request, its data, and what was said."""
    lines = []
    options = parse(["--dataset", dataset, *(["--data", str(place)] if place else []), *words], program="s.py")
    request, data = Request.of(sweep, resolve(sweep, options), lines.append).prepared(lines.append)
    return request, data, lines


def ids(request, data):
    factory = TrialFactory(sweep=request.sweep, data=data, epochs=1, precision="float32")
    return [trial.trial_id for trial in factory.trials(request.arms, "comparison", [1])]


def test_what_was_understood_is_said_first_and_then_how_to_check_it(pets):
    _, _, lines = prepared(pets)
    assert "cats, dogs, owls" in lines[0]
    checks = [place for place, line in enumerate(lines) if line == f"check    uv run layersweep data {pets}"]
    assert checks[0] < next(place for place, line in enumerate(lines) if "reading" in line)


def test_of_arrays_the_classes_are_said_and_how_to_check_them(tmp_path):
    place = tmp_path / "own.npz"
    np.savez(place, x_train=np.zeros((60, 9, 8), dtype=np.uint8), y_train=np.arange(60) % 3)
    _, data, lines = prepared(place)
    assert (data.name, data.image_shape) == ("npz", (9, 8, 1))
    assert lines[-2:] == [f"3 classes (0, 1, 2) in the arrays of {place}", f"check    uv run layersweep data {place}"]


@pytest.mark.parametrize(("n", "images", "line"), [(15, 31, "all 31 training images"), (40, 50, "")])
def test_quick_takes_what_there_is(tmp_path, n, images, line):
    folder = picture_folders.parts(tmp_path / "in", {".": n}, ("a", "b", "c"))
    _, data, lines = prepared(folder, "--quick")
    assert data.train_images == images
    assert [said for said in lines if "--quick" in said] == (
        [f"--quick: {line}, since there are no more than 50"] if line else []
    )


def test_quick_takes_more_where_a_class_would_have_no_image(tmp_path):
    folder = picture_folders.parts(tmp_path / "in", {".": 120}, ("a", "b"))
    picture_folders.folder(folder / "rare", 6, 2)
    sweep = replace(SWEEP, quick={"images": 20})
    _, data, lines = prepared(folder, "--quick", sweep=sweep)
    assert "--quick: 80 training images in place of 20, so that each class has some" in lines
    assert 2 in data.split(1).train.labels
    _, data, _ = prepared(folder, "--quick", "--set", "classes=without:rare", sweep=sweep)
    assert data.train_images == 20


def test_a_number_that_was_typed_is_refused_with_what_there_is(pets):
    with pytest.raises(DataError, match="images=50 is not valid for image_folder; valid: 3 to 31 training images"):
        prepared(pets, "--quick", "--images", "50")
    assert prepared(pets, "--quick", "--images", "31")[1].train_images == 31


def test_names_and_indices_of_classes_are_the_same_trials(pets):
    request, data, _ = prepared(pets, "--set", "classes=cats+dogs")
    assert {arm.config.classes for arm in request.arms} == {"0-1"}
    assert [arm.name for arm in request.arms] == ["adam classes=cats+dogs", "sgd classes=cats+dogs"]
    named = ids(request, data)
    for words in ("classes=0-1", "classes=1+0", "classes=without:owls", "classes=without:2"):
        assert ids(*prepared(pets, "--set", words)[:2]) == named
    assert ids(*prepared(pets, "--set", "classes=cats+dogs+owls")[:2]) == ids(*prepared(pets)[:2])


def test_two_values_that_are_the_same_classes_are_one_arm(pets):
    request, _, _ = prepared(pets, "--set", "classes=cats+dogs,0-1")
    assert len(request.arms) == 2


def test_indices_of_a_data_set_with_arrays_stay_as_they_were_given(fashion_mnist_files, monkeypatch):
    monkeypatch.delenv(cache.ENVIRONMENT)
    request, data, _ = prepared(None, "--set", "classes=0+1", dataset="fashion_mnist")
    assert {arm.config.classes for arm in request.arms} == {"0+1"}
    named, _, _ = prepared(None, "--set", "classes=T-shirt/top+Trouser", dataset="fashion_mnist")
    assert {arm.config.classes for arm in named.arms} == {"0-1"}
    assert visible_data(named.arms[0], data).classes == ("T-shirt/top", "Trouser")


def test_a_class_that_there_is_not_is_refused_with_the_arm(pets):
    with pytest.raises(UsageError, match=r"arm adam classes=cast\+dogs: .*'cast' is no class.* did you mean 'cats'"):
        prepared(pets, "--set", "classes=cast+dogs")


def test_the_classes_of_a_search_are_indices_too(pets):
    sweep = replace(SWEEP, tuned=[{"optimizer": ["adam"], "batch_size": [8, 16], "classes": ["cats+dogs", "0-1"]}])
    (tuned,) = prepared(pets, "--search", "random", sweep=sweep)[0].tuned_arms
    assert tuned.search_space["classes"] == ["0-1"]
    (tuned,) = prepared(pets, "--search", "random", "--set", "classes=without:owls")[0].tuned_arms
    assert tuned.fixed_values["classes"] == "0-1"


def test_pictures_have_the_sizes_of_all_arms_and_searches(pets):
    request, data, lines = prepared(pets, "--search", "random", "--set", "fit=pad")
    for arm in request.sampled_arms:
        arm_data = visible_data(arm, data)
        assert arm_data.split(1).train.images.shape[1:] == arm_data.image_shape
        assert arm_data.folder.name.endswith("-pad-bilinear")
    assert sum("decoding" in line for line in lines) == 3


def test_a_size_that_is_searched_in_a_range_is_refused(pets):
    sweep = replace(SWEEP, tuned=[{"optimizer": ["adam"], "image_size": Range(8, 64)}])
    with pytest.raises(UsageError, match=r"image_size is searched from 8 to 64.*valid: some sizes, such as --set"):
        prepared(pets, "--search", "random", sweep=sweep)


def test_fit_is_the_key_fit(pets):
    flagged, by_key = prepared(pets, "--fit", "crop")[0], prepared(pets, "--set", "fit=crop")[0]
    assert [arm.config for arm in flagged.arms] == [arm.config for arm in by_key.arms]
    assert {arm.config.fit for arm in flagged.arms} == {"crop"}
    with pytest.raises(UsageError, match=r"--fit crop and --set fit=pad set the same key; valid: one of them"):
        prepared(pets, "--fit", "crop", "--set", "fit=pad")


def test_columns_are_for_tables(pets):
    with pytest.raises(UsageError, match="--columns file=a,label=b is for a table of pictures; valid: --dataset image"):
        prepared(None, "--columns", "file=a,label=b", dataset="fashion_mnist")
    with pytest.raises(DataError, match="--columns a=b is not valid; valid: file=NAME,label=NAME"):
        prepared(pets, "--columns", "a=b")


@pytest.mark.parametrize("words", [["--folds", "3"], ["--set", "validation_share=0.3"]])
def test_another_validation_set_beside_a_given_one_is_refused(tmp_path, words):
    folder = picture_folders.split_folders(tmp_path / "in")
    with pytest.raises(UsageError, match="image_folder has a validation part of its own, with 40 images"):
        prepared(folder, *words)


def test_a_class_too_small_is_named_before_any_trial_and_the_way_out_works(tmp_path):
    folder = picture_folders.rare_class(tmp_path / "in")
    with pytest.raises(UsageError, match=r"class 'c' of image_folder has 1 training image.*--set classes=without:c"):
        prepared(folder)
    request, data, _ = prepared(folder, "--set", "classes=without:c")
    assert visible_data(request.arms[0], data).classes == ("a", "b")


PLAIN = Sweep(name="s", train=fashion_cnn.train, spaces=[{"optimizer": ["adam", "sgd"]}])


def test_a_sweep_without_tuned_spaces_searches_each_of_its_arms_in_a_range(pets):
    words = ["--search", "random", "--set", "learning_rate=1e-4..1e-1", "--set", "batch_size=8..32"]
    request, _, _ = prepared(pets, *words, sweep=PLAIN)
    assert request.arms == []
    assert [arm.name for arm in request.tuned_arms] == [
        f"{name} learning_rate=0.0001..0.1 batch_size=8..32 tuned" for name in ("adam", "sgd")
    ]
    for arm in request.tuned_arms:
        assert arm.search_space == {"learning_rate": Range(1e-4, 0.1, log=True), "batch_size": [8, 16, 32]}
        assert arm.holds(fashion_cnn.Config(optimizer=arm.name.split()[0], learning_rate=0.05, batch_size=16))
    assert request.tuned_arms[0].space_text == "learning_rate 0.0001..0.1 (logarithmic), batch_size 8,16,32"


def test_a_sweep_with_tuned_spaces_searches_these_in_a_range_beside_its_arms(pets):
    request, _, _ = prepared(pets, "--search", "random", "--set", "learning_rate=1e-4..1e-1", "--set", "image_size=8")
    assert [arm.name for arm in request.arms] == ["adam image_size=8", "sgd image_size=8"]
    (tuned,) = request.tuned_arms
    assert tuned.name == "image_size=8 learning_rate=0.0001..0.1 tuned"
    assert tuned.search_space == {"batch_size": [8, 16], "learning_rate": Range(1e-4, 0.1, log=True)}


def test_the_arms_of_a_command_are_searched_each_in_its_own_range(pets):
    options = parse(
        ["--arm", "optimizer=sgd,learning_rate=1e-3..1", "--arm", "family=residual_cnn,classes=cats+dogs", "--search",
         "random", "--set", "shift=0..0.5", "--dataset", "image_folder", "--data", str(pets)], program="s.py",
    )  # fmt: skip
    sweep = with_arms(SWEEP, options)
    request, _ = Request.of(sweep, resolve(sweep, options), lambda _: None).prepared(lambda _: None)
    first, second = request.tuned_arms
    assert (first.name, first.family) == ("sgd learning_rate=0.001..1.0 shift=0.0..0.5 tuned", "")
    assert (second.name, second.family) == ("residual_cnn classes=cats+dogs shift=0.0..0.5 tuned", "residual_cnn")
    assert second.fixed_values["classes"] == "0-1"
    assert {arm.family for arm in request.sampled_arms} == {"", "residual_cnn"}


def test_two_arms_of_the_same_classes_are_refused(pets):
    sets = ["--arm", "classes=cats+dogs", "--arm", "classes=0-1"]
    options = parse([*sets, "--dataset", "image_folder", "--data", str(pets)], program="s.py")
    sweep = with_arms(SWEEP, options)
    request = Request.of(sweep, resolve(sweep, options), lambda _: None)
    with pytest.raises(UsageError, match=r"adam classes=cats\+dogs and adam classes=0-1 have the same classes"):
        request.prepared(lambda _: None)


def test_a_range_of_sizes_of_stored_pictures_is_refused_and_one_of_arrays_is_checked(
    pets, fashion_mnist_files, monkeypatch
):
    words = ["--search", "random", "--set", "image_size=8..64"]
    with pytest.raises(UsageError, match=r"image_size is searched from 8 to 64, but pictures are stored at each size"):
        prepared(pets, *words, sweep=PLAIN)
    monkeypatch.delenv(cache.ENVIRONMENT)
    assert prepared(None, *words, dataset="fashion_mnist", sweep=PLAIN)[0].tuned_arms
    for sizes in ("0..64", "1..64"):
        with pytest.raises(UsageError, match=r"needs images of \d+x\d+ pixels or more, but these have 1x1"):
            prepared(None, "--search", "random", "--set", f"image_size={sizes}", dataset="fashion_mnist", sweep=PLAIN)


def test_a_key_that_does_nothing_is_told_and_one_for_nothing_is_refused(pets):
    assert any("momentum=0.9 does nothing in adam" in line for line in prepared(pets, "--set", "momentum=0.9")[2])
    with pytest.raises(UsageError, match=r"momentum=0\.9 does nothing in adam"):
        prepared(pets, "--set", "momentum=0.9", "--set", "optimizer=adam")

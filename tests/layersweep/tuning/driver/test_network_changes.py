"""An answer is about the network that is there now: what has changed since it was recorded is trained anew."""

from dataclasses import replace
from types import SimpleNamespace

import made_up
import made_up_tune
import pytest

from layersweep import Sweep
from layersweep.records.read import read
from layersweep.studies.recorded_comparison import load
from layersweep.tuning.command.sweep_command import plan_of
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.trials import network_key
from layersweep.tuning.storage.recorded_networks import RecordedNetworks
from trainables.errors import WeightsError
from trainables.worker import model_check

FIRST, OTHER, ONLY_SETTINGS = "a" * 16 + "1" * 16, "b" * 16 + "2" * 16, "a" * 16 + "3" * 16
SWEEP = Sweep(name="made_up", train=made_up.train, spaces=[{"quality": [0.4, 0.6]}], epochs=2, warm_up=made_up.WARM_UP)


@pytest.fixture
def code(monkeypatch):
    """The code as it is now: its source, the network that it builds, and how many were built only to compare."""
    state = SimpleNamespace(source="s" * 32, network=FIRST, parameters=12, built=0)

    def summaries(models):
        state.built += len(models)
        return [{"parameters": state.parameters, "layers": 1, "fingerprint": state.network} for _ in models]

    monkeypatch.setattr(Sweep, "source_of", lambda _sweep, _family: state.source)
    monkeypatch.setattr(model_check, "summaries", summaries)
    monkeypatch.setattr(RecordedNetworks, "keras_version", staticmethod(lambda: None))  # made-up runs record none
    return state


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def request(results, *flags):
    always = ("--scheduler", "none", "--slots", "1", "--seeds", "2", "--results", str(results))
    return Request.of(SWEEP, resolve(SWEEP, parse([*always, *flags], program="s.py")), print)


def train(results, code, monkeypatch, *flags):
    """Trains what has to be trained; the network and the source are recorded as they are now."""
    monkeypatch.setattr(made_up, "fingerprint", code.network)
    assert made_up_tune.run(request(results, *flags), made_up.data(results.parent)) == 0


def plan(results, *flags):
    """How many trials have to be trained, all ids, and what is said."""
    lines: list[str] = []
    result = plan_of(request(results, *flags), made_up.data(results.parent), lines.append)
    return len(result.to_run), {trial.trial_id for trial in result.trials}, lines


def test_the_same_source_builds_nothing(results, code, monkeypatch):
    train(results, code, monkeypatch)
    to_run, _, lines = plan(results)
    assert (to_run, lines, code.built) == (0, [], 0)


def test_a_changed_network_is_trained_anew_beside_the_recorded_one(results, code, monkeypatch):
    train(results, code, monkeypatch)
    _, first_ids, _ = plan(results)
    code.source, code.network, code.parameters = "z" * 32, OTHER, 7
    to_run, ids, lines = plan(results)
    assert (to_run, ids & first_ids) == (4, set())
    assert all(len(trial_id) == 16 for trial_id in ids)
    assert lines == [
        "the code has changed since results were recorded: building 2 networks to compare",
        (
            "the network of 0.6, 0.4 has changed since it was recorded (1 layer, 12 parameters before, 1 layer, "
            "7 parameters now): it is trained anew"
        ),
    ]
    train(results, code, monkeypatch)
    assert plan(results)[:2] == (0, ids)
    trials = read(results, "trials", "made_up")
    assert set(trials["trial_id"]) == first_ids | ids
    assert set(load(results, "made_up")[0].replicates.rows["trial_id"]) == ids
    code.source, code.network, code.parameters = "s" * 32, FIRST, 12  # back to the first network
    assert plan(results)[:2] == (0, first_ids)


def test_another_seed_belongs_to_the_changed_network(results, code, monkeypatch):
    """Not reported: a new seed has no record that could differ, but its arm has."""
    train(results, code, monkeypatch)
    code.source, code.network = "z" * 32, OTHER
    train(results, code, monkeypatch)
    to_run, _, _ = plan(results, "--seeds", "3")
    assert to_run == 2
    train(results, code, monkeypatch, "--seeds", "3")
    assert set(load(results, "made_up")[0].arms["completed"]) == {3}


def test_a_changed_source_alone_is_a_note(results, code, monkeypatch):
    train(results, code, monkeypatch)
    code.source = "z" * 32
    to_run, _, lines = plan(results)
    assert to_run == 0
    assert lines[1:] == [
        "note: made_up.py has changed since results were recorded; the networks are equal, so they are used"
    ]
    code.source = "s" * 16 + "z" * 16  # a helper module changed, the family's own file did not
    assert plan(results)[2][1:] == []


def test_networks_are_built_once_for_each_state_of_the_code(results, code, monkeypatch):
    train(results, code, monkeypatch)
    code.source = "z" * 32
    train(results, code, monkeypatch, "--seeds", "3")
    assert code.built == 2
    plan(results, "--seeds", "3")
    assert code.built == 2


def test_other_settings_of_equal_layers_are_a_change_but_not_after_an_upgrade_of_keras(results, code, monkeypatch):
    """Not reported: an activation changed inside a layer, which has the same shapes and parameters."""
    train(results, code, monkeypatch)
    code.source, code.network = "z" * 32, ONLY_SETTINGS
    to_run, _, lines = plan(results)
    assert to_run == 4
    assert "(other settings of its layers)" in lines[1]
    monkeypatch.setattr(RecordedNetworks, "keras_version", staticmethod(lambda: "99.0"))
    assert plan(results)[0] == 0


def test_records_without_fingerprints_are_compared_by_layers_and_parameters(results, code, monkeypatch):
    monkeypatch.setattr(made_up, "fingerprint", None)
    code.source = None
    assert made_up_tune.run(request(results), made_up.data(results.parent)) == 0
    trial = request(results).arms[0]
    key = network_key("made_up", trial.stated)
    (recorded,) = RecordedNetworks(results).of_key(key, made_up.data(results.parent).fingerprint)
    assert recorded.structure is not None
    code.network = recorded.structure + "9" * 16
    code.source = "y" * 32
    assert plan(results)[0] == 0
    code.network, code.source = OTHER, "x" * 32
    assert plan(results)[0] == 4


def test_a_network_that_cannot_be_built_now_is_left_to_its_training(results, code, monkeypatch):
    train(results, code, monkeypatch)
    code.source = "z" * 32
    monkeypatch.setattr(model_check, "summaries", lambda models: [None] * len(models))
    assert plan(results)[0] == 0


def test_a_network_whose_code_is_broken_now_is_one_line(results, code, monkeypatch):
    train(results, code, monkeypatch)
    code.source = "z" * 32

    def broken(_):
        raise WeightsError("the process that checks models failed: TypeError: one argument too many")

    monkeypatch.setattr(model_check, "summaries", broken)
    with pytest.raises(UsageError, match=r"could not be compared with the present ones: the process .* TypeError"):
        plan(results)


@pytest.mark.parametrize("second", [OTHER, ONLY_SETTINGS])
def test_an_upgrade_of_keras_alone_keeps_the_network_that_the_code_built(results, code, monkeypatch, second):
    """Found in review: after a change of the network, an upgrade retrained it, or showed the first one's numbers."""
    train(results, code, monkeypatch)
    code.source, code.network = "z" * 32, second
    train(results, code, monkeypatch)
    _, ids, _ = plan(results)
    built = code.built
    monkeypatch.setattr(RecordedNetworks, "keras_version", staticmethod(lambda: "99.0"))
    code.network = second[:16] + "f" * 16  # a new version adds an entry to the configuration
    assert plan(results)[:2] == (0, ids)
    assert code.built == built
    code.source = "s" * 32  # back to the first code, under the new Keras
    assert not plan(results)[1] & ids


def test_what_an_earlier_keras_built_is_not_remembered_after_an_upgrade(results, code, monkeypatch):
    train(results, code, monkeypatch)
    code.source = "z" * 32
    train(results, code, monkeypatch, "--seeds", "3")
    code.source = "y" * 32
    train(results, code, monkeypatch, "--seeds", "3")
    built = code.built
    monkeypatch.setattr(RecordedNetworks, "keras_version", staticmethod(lambda: "99.0"))
    code.source = "x" * 32
    plan(results, "--seeds", "3")
    assert code.built == built + 2


def test_other_content_of_the_same_data_is_said(results, code, monkeypatch):
    train(results, code, monkeypatch)
    lines: list[str] = []
    data = replace(made_up.data(results.parent), fingerprint="e" * 16)
    result = plan_of(request(results), data, lines.append)
    assert len(result.to_run) == 4
    assert lines == ["the files of none have changed since 4 trials were recorded: new trials"]


def test_trials_on_other_pictures_or_of_an_earlier_version_are_kept_apart(results, code, monkeypatch):
    """Two people's folders have the same name, so that other pictures need not be changed files."""
    train(results, code, monkeypatch)
    lines = []
    data = replace(made_up.data(results.parent), fingerprint="e" * 16, native=(2, 2))
    monkeypatch.setattr(type(data), "fitted", lambda self, *_: self)
    assert len(plan_of(request(results), data, lines.append).to_run) == 4
    (line,) = lines
    assert line.startswith("4 recorded trials of none are of other pictures, or of an earlier version")
    assert line.endswith("they are kept apart")


def test_a_first_phase_is_checked_as_well(results, code, monkeypatch):
    flags = ("--set", "before=1")
    train(results, code, monkeypatch, *flags)
    _, ids, _ = plan(results, *flags)
    code.source, code.network = "z" * 32, OTHER
    train(results, code, monkeypatch, *flags)
    parents = read(results, "trials", "made_up").filter(question="first phase")
    assert parents.select("trial_id", "network_revision").unique().height == 4
    assert set(parents["network_revision"]) == {None, OTHER}
    assert not plan(results, *flags)[1] & ids

"""Architecture searches through Ray: AutoKeras' oracles in a process, candidates as trials, a kill in the middle."""

import subprocess
import sys

import killable
import networks_sweep
import polars as pl
import pytest

from layersweep.records.read import read
from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.experiment import options, tuned_arms
from layersweep.tuning.experiment.key_values import key_values
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.search.autokeras_sampler import OracleProcess, OracleSampler
from layersweep.tuning.search.samplers import NOT_YET
from layersweep.tuning.storage.recorded_attempt import METRICS
from sweeps.nas import SWEEP as NAS
from trainables.nas.oracles import Proposal

SCRIPT = killable.SCRIPT.with_name("networks_sweep.py")
ASKED = ("--set", "oracle=random", "--trials", "7", "--checkpoint-every", "0", "--fail-fast", "0")
CANDIDATES = ("candidate", "config_json", "epoch", *METRICS)


def searched(results):
    """Each candidate's epochs: number, configuration, metrics."""
    plan = read(results, "plan").filter(pl.col("question") == "tuning").unique("trial_id")
    found = read(results, "epochs").join(plan.select("trial_id", "candidate", "config_json"), on="trial_id")
    return found.select(CANDIDATES).sort("candidate", "epoch")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, fashion_mnist, joining):
    results = tmp_path_factory.mktemp("undisturbed") / "results"
    running = killable.Running(results, *ASKED, script=SCRIPT, environment=joining)
    return results, running.wait(expected=1)  # some candidates fail


def test_candidates_that_end_badly_are_rows_with_reasons_and_the_search_goes_on(undisturbed):
    results, _ = undisturbed
    plan = read(results, "plan").filter(pl.col("question") == "tuning").unique("trial_id")
    ends = read(results, "trials").join(plan.select("trial_id", "candidate"), on="trial_id").sort("candidate")
    assert ends["candidate"].to_list() == list(range(ends.height))
    bad = ends.filter(pl.col("outcome").is_in(["failed", "diverged"]))
    assert set(bad["error_type"]) == {"MemoryError", "ValueError", None}
    assert set(bad.filter(pl.col("error_type").is_null())["outcome"]) == {"diverged"}
    assert bad["reason"].null_count() == 0
    assert ends.row(-1, named=True)["candidate"] > bad["candidate"].min()
    best = ends.filter(pl.col("outcome") == "completed").sort("last_val_accuracy").row(-1, named=True)
    (compared,) = read(results, "trials").filter(
        pl.col("question") == "comparison", pl.col("arm") == "random"
    ).to_dicts()  # fmt: skip
    assert compared["config_json"] == best["config_json"]


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_with_the_same_candidates(undisturbed, tmp_path):
    results = tmp_path / "results"
    first = killable.Running(results, *ASKED, script=SCRIPT)
    first.more(8)
    first.kill()
    finished = read(results, "trials").filter(pl.col("outcome") == "completed")["trial_id"]
    said = killable.Running(results, *ASKED, script=SCRIPT).wait(expected=1)
    assert "recorded already" in said
    assert searched(results).equals(searched(undisturbed[0]))
    ends = read(results, "trials").filter(pl.col("trial_id").is_in(finished.implode()))
    assert not ends["trial_id"].is_duplicated().any()
    assert first.left() == []


@pytest.mark.slow
def test_a_search_whose_candidates_have_all_ended_goes_on(undisturbed, joining):
    """With a larger budget: nothing runs when the plan is made, and the next candidate is asked for."""
    results, _ = undisturbed
    more = [word if word != "7" else "9" for word in ASKED]
    before = read(results, "trials").height
    said = killable.Running(results, *more, script=SCRIPT, environment=joining).wait(expected=1)
    assert "Traceback" not in said
    assert read(results, "trials").height > before


class Answers(OracleProcess):
    """OracleProcess without a process: what they answer is listed."""

    def __init__(self, *answers):
        super().__init__()
        self.answers, self.asked = list(answers), []

    def proposal(self, search, drawn):
        self.asked.append([(d.values.get("n"), d.metric) for d in drawn])
        return self.answers.pop(0)


def proposal(n):
    return Proposal(values={"n": n, "optimizer": "sgd", "learning_rate": 0.01})


def test_a_drawer_tells_the_oracle_what_was_drawn_and_how_it_ended():
    oracles = Answers(proposal(1), NOT_YET, proposal(2), None)
    (arm,) = tuned_arms.tuned_arms(networks_sweep.SWEEP, {"oracle": ["greedy"]})
    drawer = OracleSampler(oracles, search_of(arm))
    first = drawer.draw()
    assert (first.values, first.optimizer, first.block) == ({"n": 1}, "sgd", "vanilla")
    assert drawer.draw() is NOT_YET
    drawer.tell(first, None)
    second = drawer.draw()
    drawer.tell(second, 0.5)
    assert drawer.draw() is None
    assert oracles.asked[0] == []
    assert oracles.asked[1] == [(1, None)]
    assert [n for n, _ in oracles.asked[2]] == [1]
    assert oracles.asked[2][0][1] != oracles.asked[2][0][1]  # NaN: it failed
    assert oracles.asked[3][1] == (2, 0.5)
    with pytest.raises(KeyError):
        drawer.tell(arm.config_type(), 0.1)


def search_of(arm):
    from trainables.nas.oracles import Search

    return Search(
        name=arm.name, oracle=arm.oracle, config=arm.fixed_values, image_shape=(28, 28, 1), classes=10, seed=0, epochs=3
    )


def test_a_process_that_dies_is_said():
    (arm,) = tuned_arms.tuned_arms(networks_sweep.SWEEP, {"oracle": ["greedy"]})
    oracles = OracleProcess()
    oracles.start()
    oracles._process.kill()
    with pytest.raises(BrokenOffError, match=r"ended with code -9. To continue, run the same command"):
        oracles.first(search_of(arm))
    oracles.close()


class OneByOne:
    """A pipe to a process that answers when it is told to."""

    def __init__(self):
        self.sent, self.answers = [], []

    def send(self, question):
        self.sent.append(question[0].name)

    def poll(self):
        return bool(self.answers)

    def recv(self):
        return self.answers.pop(0)


def test_a_question_waits_until_the_one_before_is_answered(monkeypatch):
    """A process that thinks reads nothing: enough questions would fill its pipe, and stop the driver."""
    pipe, oracles = OneByOne(), OracleProcess()
    oracles._pipe, oracles.ready = pipe, True
    monkeypatch.setattr(oracles, "start", lambda: None)
    first, second = (
        search_of(arm) for arm in tuned_arms.tuned_arms(networks_sweep.SWEEP, {"oracle": ["greedy", "random"]})
    )
    assert [oracles.proposal(search, ()) for search in (first, second, first)] == [NOT_YET] * 3
    assert pipe.sent == [first.name]
    pipe.answers.append(proposal(1))
    assert oracles.proposal(second, ()) is NOT_YET
    assert pipe.sent == [first.name, second.name]
    assert oracles.proposal(first, ()) == proposal(1)
    pipe.answers.append(None)
    assert oracles.proposal(first, ()) is NOT_YET  # the next one; the other's answer is there
    assert oracles.proposal(second, ()) is None
    assert pipe.sent == [first.name, second.name, first.name]


def test_nothing_is_drawn_before_the_searches_were_checked():
    """A search whose recorded candidates have all ended asks for the next one while the plan is made."""
    (arm,) = tuned_arms.tuned_arms(networks_sweep.SWEEP, {"oracle": ["greedy"]})
    oracles = OracleProcess()
    assert OracleSampler(oracles, search_of(arm)).draw() is NOT_YET
    assert oracles._process is None
    oracles.close()


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["oracle=gredy"], "oracle='gredy' is not valid; valid: greedy, bayesian, hyperband, random"),
        (["block=vanila"], "block='vanila' is not valid; valid: any, resnet, xception, vanilla, efficient, or several"),
        (["optimizer=adam"], "optimizer is what the oracle chooses; valid: any other key"),
        (
            ["block=vanilla,resnet"],
            "block has several values, but an oracle does not search this key; valid: one value",
        ),
    ],
)
def test_bad_input_is_named_before_anything_starts(sets, said):
    with pytest.raises(UsageError, match=said):
        tuned_arms.tuned_arms(networks_sweep.SWEEP, key_values(networks_sweep.SWEEP, sets))


def test_what_leaves_nothing_to_train_or_to_search_is_refused(tmp_path):
    def asked(*sets, **more):
        settings = resolve(NAS, options.Options(set=sets, results=tmp_path, **more))
        return Request.of(NAS, settings, print)

    with pytest.raises(UsageError, match="the sweep 'nas' has nothing to train with these --set and --search"):
        asked("family=autokeras", search="grid")
    with pytest.raises(
        UsageError, match=r"--time-budget 1 h is the time of each search .* these --set leave no search"
    ):
        asked("family=fashion_cnn", time_budget=3600.0)
    with pytest.raises(UsageError, match="momentum is what the oracle chooses"):
        asked("family=autokeras", "momentum=0.9")
    assert [arm.name for arm in asked("family=autokeras", "oracle=random").tuned_arms] == ["random"]


def test_other_ways_of_searching_are_refused():
    with pytest.raises(UsageError, match="--search hyperopt: AutoKeras' oracles search the sweep 'networks'; valid"):
        resolve(networks_sweep.SWEEP, options.Options(search="hyperopt"))


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match="needs the package tensorboard, which is not installed: run `uv sync`"):
        tuned_arms.tuned_arms(networks_sweep.SWEEP, {})


def test_a_narrowed_space_is_in_its_arms_name():
    narrowed = key_values(networks_sweep.SWEEP, ["oracle=random,greedy", "normalize=on", "block=vanilla"])
    made = tuned_arms.tuned_arms(networks_sweep.SWEEP, narrowed)
    assert [arm.name for arm in made] == ["random normalize=on", "greedy normalize=on"]
    assert made[0].fixed_values == {"block": "vanilla", "normalize": "on"}


def test_any_oracle_may_be_asked_for():
    for said, names in (("all", ["greedy", "bayesian", "hyperband", "random"]), ("bayesian", ["bayesian"])):
        narrowed = key_values(networks_sweep.SWEEP, [f"oracle={said}"])
        assert [arm.name for arm in tuned_arms.tuned_arms(networks_sweep.SWEEP, narrowed)] == names


def test_a_budget_below_one_epoch_is_refused_with_its_estimate(tmp_path, fashion_mnist):
    root = killable.SCRIPT.parents[2]
    command = [sys.executable, root / "sweeps" / "nas.py", "--results", tmp_path / "results", "--time-budget", "0.05s"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert (
        "--time-budget 0.05 s: one epoch of the network that search greedy begins with takes at least" in ended.stderr
    )
    assert read(tmp_path / "results", "trials").height == 0

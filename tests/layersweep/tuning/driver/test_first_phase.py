"""A first phase that arms share is trained once; they wait for it, begin with its weights, and end if it does not."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import made_up
import pytest
from queues import end, queue, take

from layersweep.records.questions import COMPARISON, FIRST_PHASE
from layersweep.records.read import read
from layersweep.tuning.common import kept_weights
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import Ending, TrialContent, TrialFactory

COMPLETED = Ending(outcome="completed", epoch=2, value=0.5)
FAILED = Ending(outcome="failed", epoch=1, value=None)

SWEEP = """
import made_up
from layersweep import Sweep, main

main(Sweep(
    name="phases",
    train=made_up.train,
    spaces=[{"quality": [0.4, 0.8], "before": [2], "misdeed": ["talk"]}, {"quality": [0.6], "misdeed": ["talk"]}],
    epochs=3,
    seeds=2,
    warm_up=made_up.WARM_UP,
))
"""


def arm(name, **config):
    return Arm(name=name, config=made_up.Config(**config))


def asked(tmp_path, *arms):
    sweep = Sweep(name="phases", train=made_up.train, spaces=[])
    data = made_up.data(tmp_path)
    return TrialFactory(sweep=sweep, data=data, epochs=3, precision="float32").trials(arms, COMPARISON, [1])


def test_arms_that_share_a_first_phase_have_one_parent(tmp_path):
    a, b, c = sorted(asked(tmp_path, arm("a", quality=0.4, before=2), arm("b", quality=0.8, before=2), arm("c")),
                     key=lambda t: t.arm.name)  # fmt: skip
    assert a.parent == b.parent
    assert (a.parent.question, a.parent.epochs, a.parent.arm.config) == (FIRST_PHASE, 2, made_up.Config(quality=0.1))
    assert c.parent is None


def test_a_parent_is_part_of_what_a_trial_is(tmp_path):
    sweep, one, data = (
        Sweep(name="phases", train=made_up.train, spaces=[]),
        arm("a", quality=0.4),
        made_up.data(tmp_path),
    )
    parents = [None, *(t.parent for k in (1, 2) for t in asked(tmp_path, arm("a", quality=0.4, before=k)))]
    content = TrialContent(family=sweep.family_of(one), arm=one, seed=1, data=data, precision="float32")
    ids = {replace(content, parent=parent).trial_id for parent in parents}
    assert len(ids) == 3


def test_children_wait_for_their_first_phase(tmp_path):
    plan = queue(asked(tmp_path, arm("a", quality=0.4, before=2), arm("b", quality=0.8, before=2)))
    first = take(plan)
    assert first.question == FIRST_PHASE
    assert take(plan) is None
    assert not plan.finished
    assert len(plan.waiting) == 2
    end(plan, first, COMPLETED)
    children = take(plan), take(plan)
    assert {child.arm.name for child in children} == {"a", "b"}
    for child in children:
        end(plan, child, COMPLETED)
    assert plan.finished
    assert [t.question for t in plan.trials] == [FIRST_PHASE, COMPARISON, COMPARISON]


def test_children_of_a_first_phase_that_failed_are_named(tmp_path):
    plan = queue(asked(tmp_path, arm("a", quality=0.4, before=2)))
    changes = plan.end(take(plan), FAILED)
    assert [(child.arm.name, ending) for child, ending in changes.orphans] == [("a", FAILED)]
    assert plan.finished


def test_a_first_phase_is_not_asked_for_where_all_its_children_are_recorded(tmp_path):
    plan = queue(asked(tmp_path, arm("a", quality=0.4, before=2)), recorded=lambda t: COMPLETED)
    assert [t.question for t in plan.trials] == [COMPARISON]
    assert plan.finished


# a whole sweep


@pytest.fixture(scope="module")
def results(tmp_path_factory, fashion_mnist, joining):
    folder = tmp_path_factory.mktemp("phases")
    (folder / "phases.py").write_text(SWEEP)
    command = [sys.executable, folder / "phases.py", "--results", folder / "results", "--images", "100"]
    for more in ([], ["--seeds", "3"]):
        ended = subprocess.run(
            [*command, *more], check=False, capture_output=True, text=True, timeout=200, env=os.environ | joining
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder / "results"


def test_each_first_phase_is_recorded_once_and_named_by_its_children(results):
    rows = read(results, "trials").to_dicts()
    parents = {row["trial_id"]: row for row in rows if row["question"] == FIRST_PHASE}
    children = [row for row in rows if row["parent"] is not None]
    assert len(parents) == 3  # one a seed
    assert len(children) == 6
    assert {row["parent"] for row in children} == set(parents)
    assert all(parents[row["parent"]]["seed"] == row["seed"] for row in children)
    assert all(parents[row["parent"]]["ended_at"] <= row["started_at"] for row in children)
    assert {row["outcome"] for row in rows} == {"completed"}


def test_children_begin_with_its_weights(results):
    rows = read(results, "trials").to_dicts()
    for row in rows:
        if row["parent"] is not None:
            said = (results / "logs" / f"{row['trial_id']}.log").read_text()
            assert said.startswith(f"begins with epoch 2 of {row['parent']}-2.keras")


def test_its_weights_go_with_the_last_child(results):
    assert not list(kept_weights.folder_of(results).glob("*"))


# weights that are kept


def kept(folder, joining, *options):
    command = [sys.executable, Path(made_up.__file__).with_name("made_up_sweep.py"), "--results", folder, *options]
    ended = subprocess.run(
        [*command, "--images", "100", "--seeds", "1", "--set", "quality=0.4"],
        check=False, capture_output=True, text=True, timeout=200, env=os.environ | joining,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [path.name for path in kept_weights.folder_of(folder).glob("*")]


def test_weights_are_kept_if_asked_for_also_of_what_is_recorded(tmp_path, fashion_mnist, joining):
    assert kept(tmp_path, joining) == []
    (trial_id,) = read(tmp_path, "trials")["trial_id"]
    assert kept(tmp_path, joining, "--keep-weights", "last") == [f"{trial_id}-4.keras"]
    assert read(tmp_path, "epochs").height == 4  # trained again, compared and dropped
    assert kept_weights.resolve(trial_id, tmp_path) == f"{trial_id}@4"
    assert kept_weights.resolve("best:made_up", tmp_path) == f"{trial_id}@4"


@pytest.mark.slow
def test_the_last_epochs_weights_are_the_best_ones_where_it_is_the_best(tmp_path, fashion_mnist, joining):
    kept(tmp_path, joining, "--keep-weights", "last")
    (trial_id,) = read(tmp_path, "trials")["trial_id"]
    assert kept(tmp_path, joining, "--keep-weights", "best") == [f"{trial_id}-4.keras"]
    assert read(tmp_path, "trials").height == 1


@pytest.mark.slow
def test_networks_are_converted_if_asked_for_also_of_what_is_recorded(tmp_path, fashion_mnist, joining):
    kept(tmp_path, joining)
    assert read(tmp_path, "exports").height == 0
    kept(tmp_path, joining, "--lite")
    kept(tmp_path, joining, "--lite")
    rows = read(tmp_path, "exports").sort("form").to_dicts()
    assert [(row["form"], row["epoch"], row["size_bytes"], row["problem"]) for row in rows] == [
        ("float32", 4, 4000, None),
        ("int8", 4, None, "made to fail"),
    ]
    assert rows[0]["latency_ms_median"] == 2.0
    assert read(tmp_path, "epochs").height == 4
    assert read(tmp_path, "trials").height == 2  # the third command had nothing to run


@pytest.mark.slow
def test_a_source_without_weights_says_how_to_make_them(tmp_path, fashion_mnist, joining):
    kept(tmp_path, joining)
    with pytest.raises(
        kept_weights.UsageError, match="has no weights; its command makes them with --keep-weights best"
    ):
        kept_weights.resolve("best:made_up", tmp_path)
    with pytest.raises(kept_weights.UsageError, match="no trial 0123456789abcdef is recorded"):
        kept_weights.resolve("0123456789abcdef", tmp_path)
    with pytest.raises(kept_weights.UsageError, match="no trial of that sweep has completed; sweeps there: made_up"):
        kept_weights.resolve("best:nothing", tmp_path)

"""The networks of a user's family are checked once before any trial, without Keras here."""

import json
from dataclasses import dataclass, replace

import made_up
import pytest

import layersweep as ls
from layersweep.tuning.command.network_check import check_networks
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.sweep import Sweep
from trainables.worker import model_check


@dataclass(frozen=True, kw_only=True)
class Config(ls.Keys):
    width: int = ls.between(8, 1, 512, "filters")


def build(config: Config, image_shape, classes):
    raise AssertionError


SWEEP = ls.Sweep(name="mine", train=ls.trains(build), spaces=[{"width": [4, 16], "optimizer": ["adam", "sgd"]}])


class Checks:
    """Stands for the process that builds: notes what it is asked, and gives these problems."""

    def __init__(self, *problems):
        self.problems, self.widths, self.lines = problems, [], []

    def __call__(self, specs):
        self.widths.append([json.loads(spec.config_json)["width"] for spec in specs])
        return list(self.problems) or [None for _ in specs]


@pytest.fixture
def check(tmp_path, monkeypatch):
    def make(*problems, sweep=SWEEP, flags=()):
        checks = Checks(*problems)
        monkeypatch.setattr(model_check, "user_problems", checks)
        options = parse(["--results", str(tmp_path / "results"), *flags], program="s.py")
        request = Request.of(sweep, resolve(sweep, options), print)
        try:
            check_networks(request, made_up.data(tmp_path), checks.lines.append)
        except UsageError as error:
            return checks, str(error)
        return checks, None

    return make


def test_each_network_is_checked_once_whatever_its_optimizer(check):
    checks, problem = check()
    assert (checks.widths, problem) == ([[4, 16]], None)
    assert checks.lines == ["checking 2 networks of mine before any trial"]
    assert check()[0].widths == []
    assert check(flags=["--set", "width=4,5"])[0].widths == [[5]]


def test_a_problem_is_said_with_its_arm_and_what_was_good_before_is_remembered(check):
    _, problem = check(None, "build (mine.py, line 3) returns nothing")
    assert problem == "arm width=16 optimizer=adam: build (mine.py, line 3) returns nothing"
    assert check()[0].widths == [[16]]


def test_networks_are_checked_again_after_a_change_of_the_source(check, monkeypatch):
    assert check()[0].widths == [[4, 16]]
    monkeypatch.setattr(Sweep, "source_of", lambda _sweep, _family: "other")
    assert check()[0].widths == [[4, 16]]


def test_a_dry_run_checks_and_remembers_nothing(check):
    assert check(flags=["--dry-run"])[0].widths == [[4, 16]]
    assert check()[0].widths == [[4, 16]]


def test_a_search_is_checked_where_it_begins(check):
    sweep = replace(SWEEP, spaces=[{"width": [3]}], tuned=[{"width": [6, 7], "batch_size": [64]}])
    assert check(sweep=sweep, flags=["--search", "random"])[0].widths == [[3, 8]]


@pytest.mark.parametrize("train", [made_up.train, "fashion_cnn"])
def test_families_of_this_project_and_trainings_without_a_build_are_not_checked(check, train):
    assert check(sweep=replace(SWEEP, train=train, spaces=[{"batch_size": [4]}]))[0].widths == []


def test_what_ends_the_checking_process_is_one_line(check, monkeypatch):
    sweep = replace(SWEEP, spaces=[{"width": [4]}])

    def sealed(*_):
        raise model_check.WeightsError("the process that checks models failed: killed")

    check()
    monkeypatch.setattr(Checks, "__call__", sealed)
    _, problem = check(sweep=sweep, flags=["--set", "width=9"])
    assert problem == "the networks of mine could not be checked: the process that checks models failed: killed"

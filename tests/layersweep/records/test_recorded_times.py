"""The time left as the records tell it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from layersweep.records.recorded_times import CommandTimes, epoch_times, expected_stops, options_of
from layersweep.records.tables import TIME_CLASSES

START = datetime(2026, 11, 3, 9, tzinfo=UTC)
OPTIONS = {"epochs": 4, "seeds": 3, "folds": 0, "candidates": 2, "search_time": None}


def plan(*trials: tuple[str, str, str]) -> pl.DataFrame:
    rows = [{"trial_id": name, "arm": arm, "question": question, "epochs": 4} for name, arm, question in trials]
    return pl.DataFrame(
        rows, schema={"trial_id": pl.String, "arm": pl.String, "question": pl.String, "epochs": pl.Int32}
    )


def epochs(**trials: int) -> pl.DataFrame:
    """So many epochs of each trial, of 2 s each, and 3 s before the first."""
    rows = [
        {"trial_id": name, "attempt": 0, "epoch": epoch, "sequence": epoch,
         "at": START + timedelta(seconds=3 + 2 * epoch),
         "seconds_train": 1.5, "seconds_validate": 0.5, "seconds_build": 3.0 if epoch == 1 else 0.0,
         "seconds_features": None, "seconds_test": None, "seconds_measure": None}
        for name, number in trials.items() for epoch in range(1, number + 1)
    ]  # fmt: skip
    schema = {"trial_id": pl.String, "attempt": pl.Int32, "epoch": pl.Int32, "sequence": pl.Int64,
              "at": pl.Datetime("us", "UTC"), "seconds_train": pl.Float64, "seconds_validate": pl.Float64,
              "seconds_build": pl.Float64, "seconds_features": pl.Float64, "seconds_test": pl.Float64,
              "seconds_measure": pl.Float64}  # fmt: skip
    return epoch_times(pl.DataFrame(rows, schema=schema))


def ends(*trials: str, epochs: int = 4) -> pl.DataFrame:
    """Ends that took 2 s an epoch, 5 s once, and a minute for starting the process."""
    times = {f"seconds_{name}": 0.0 for name in TIME_CLASSES}
    times |= {"seconds_start": 50.0, "seconds_import": 10.0, "seconds_build": 3.0, "seconds_measure": 2.0}
    times |= {"seconds_train": 1.5 * epochs, "seconds_validate": 0.5 * epochs}
    span = {"started_at": START, "ended_at": START + timedelta(seconds=70)}
    rows = [{"trial_id": name, "epochs": epochs, **span, **times} for name in trials]
    schema: dict[str, Any] = {"trial_id": pl.String, "epochs": pl.Int32, "started_at": pl.Datetime("us", "UTC"),
                              "ended_at": pl.Datetime("us", "UTC"), **dict.fromkeys(times, pl.Float64)}  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


def command(**parts: Any) -> CommandTimes:
    empty = {"options": OPTIONS, "due": plan(), "epochs": epochs(), "ends": ends(), "slots": 1}
    return CommandTimes(**{**empty, **parts})


NOW = START + timedelta(seconds=80)


def test_trials_take_their_epochs_and_what_each_takes_once() -> None:
    due = plan(("a", "adam", "comparison"), ("b", "adam", "comparison"), ("c", "adam", "comparison"))
    left = command(due=due, epochs=epochs(a=4), ends=ends("a")).seconds_left(NOW)
    assert left == pytest.approx(2 * (4 * 2 + 5))  # not the minute that starting the process took


def test_a_running_trial_takes_what_is_left_since_its_last_epoch() -> None:
    due = plan(("a", "adam", "comparison"), ("b", "adam", "comparison"))
    at = START + timedelta(seconds=3 + 2 * 2 + 1)
    left = command(due=due, epochs=epochs(a=4, b=2), ends=ends("a")).seconds_left(at)
    assert left == pytest.approx(2 * 2 - 1)


def test_nothing_is_told_before_the_first_epoch() -> None:
    assert command(due=plan(("a", "adam", "comparison"))).seconds_left(NOW) is None
    assert command(due=plan(("a", "adam", "comparison")), priors={"adam": 2.0}).seconds_left(NOW) == pytest.approx(8.0)


def test_the_survivors_of_a_screening_are_compared() -> None:
    due = plan(*((name, name, "screening") for name in "abcd"))
    seen = {"due": due, "epochs": epochs(a=4, b=4, c=4, d=4), "ends": ends(*"abcd")}
    assert command(**seen).seconds_left(NOW) == pytest.approx(4 * 3 * (4 * 2 + 5))
    with_comparison = pl.concat([due, plan(("e", "a", "comparison"))])
    assert command(**{**seen, "due": with_comparison}).seconds_left(NOW) == pytest.approx(4 * 2 + 5)


def test_a_search_draws_and_compares_what_its_budget_allows() -> None:
    seen = {"due": plan(("a", "adam tuned", "tuning")), "epochs": epochs(a=4), "ends": ends("a")}
    assert command(**seen).seconds_left(NOW) == pytest.approx(4 * 13)  # a candidate and three replicates


def test_a_search_that_time_limits_takes_that_time() -> None:
    seen = {"due": plan(("a", "adam tuned", "tuning")), "epochs": epochs(a=4), "ends": ends("a")}
    left = command(**seen, options={**OPTIONS, "search_time": 100.0}).seconds_left(NOW)
    assert left == pytest.approx(100 - 70 + 3 * 13)


@pytest.mark.parametrize("text", ["", "{", "[1]", None])
def test_settings_that_cannot_be_read_are_none(text: str | None) -> None:
    assert options_of({"options_json": text}) == {}
    assert expected_stops({}) == {}


def test_each_rung_is_expected_to_stop_all_but_a_third() -> None:
    assert expected_stops({"rungs": [2, 6, 18], "reduction": 3.0}) == pytest.approx({2: 2 / 3, 6: 2 / 3, 18: 2 / 3})
    assert expected_stops({"rungs": []}) == {}


@pytest.mark.parametrize("value", ["x", [1], {}, -1, 1e300, True, float("nan"), None])
def test_odd_settings_of_another_machine_do_no_harm(value: object) -> None:
    odd = dict.fromkeys(("epochs", "seeds", "folds", "candidates", "search_time", "rungs", "reduction"), value)
    due = plan(("a", "adam tuned", "tuning"), ("b", "adam", "screening"))
    left = command(due=due, epochs=epochs(a=4, b=4), ends=ends("a", "b"), options=odd).seconds_left(NOW)
    assert left is None or 0 <= left < 1e9


def test_huge_numbers_of_epochs_take_no_time() -> None:
    due = plan(("a", "adam", "screening"), ("b", "adam", "screening"), ("c", "adam tuned", "tuning"))
    huge = due.with_columns(epochs=pl.lit(2_000_000_000, pl.Int32))
    options = {"epochs": 10**6, "seeds": 10**6, "candidates": 10**6}
    for ended in (ends(), ends("a", "b"), ends("a", "b", "c")):
        left = command(due=huge, epochs=epochs(a=4), ends=ended, options=options).seconds_left(NOW)
        assert left is None or left > 1e9

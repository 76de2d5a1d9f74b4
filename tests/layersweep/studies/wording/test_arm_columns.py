"""One definition of the columns of the table of arms."""

import io

import pytest
from compared_sweep import compared
from recorded_sweep import Sweep

from layersweep.studies.study import findings_of, print_comparison, write_study
from layersweep.studies.wording.arm_columns import arm_columns
from layersweep.studies.wording.comparison_table import terminal_columns, terminal_heading
from layersweep.terminal import Console


def record(sweep: Sweep, arms: dict[str, tuple[float, ...]]) -> None:
    for name, values in arms.items():
        for seed, value in enumerate(values, 1):
            sweep.trial(name, seed, [0.5, 0.7, value], test=value - 0.01)


ARMS = {"adam": (0.93, 0.94, 0.95), "sgd": (0.90, 0.91, 0.92)}


def test_headings_of_the_terminal_are_the_columns_headings(sweep: Sweep) -> None:
    record(sweep, ARMS)
    comparison = compared(sweep)
    rows = comparison.arms.to_dicts()
    headings = [column.heading for column in arm_columns(comparison)]
    shown = [" ".join(terminal_heading(column, rows).split()) for column in terminal_columns(comparison)]
    assert shown == ["arm", "at 3 epochs", "difference to the leader", "a new training", "test accuracy", "verdict"]
    assert set(shown) <= set(headings)
    console = Console(file=io.StringIO(), width=100)
    write_study(sweep.results, sweep.name, console=console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(word in printed for heading in shown for word in heading.split())


def test_only_the_page_has_intervals_counts_and_costs(sweep: Sweep) -> None:
    record(sweep, ARMS)
    comparison = compared(sweep)
    page_only = [column.name for column in arm_columns(comparison) if not column.is_in_terminal]
    assert page_only[:3] == ["interval", "n", "learned"]
    assert {"epochs", "seconds", "seconds_per_epoch"} <= set(page_only)


def test_a_column_sorts_by_its_number(sweep: Sweep) -> None:
    record(sweep, ARMS)
    comparison = compared(sweep)
    columns = {column.name: column for column in arm_columns(comparison)}
    leader, other = comparison.arms.to_dicts()
    assert columns["difference"].text(leader) == ""
    assert columns["difference"].value(leader) == 0.0
    assert columns["difference"].value(other) == other["difference"] < 0
    assert columns["seconds_per_epoch"].value(leader) == 15.0
    assert columns["learned"].value(leader) == 1.0
    assert columns["arm"].value(leader) == "adam"


def test_columns_without_a_value_are_left_out(sweep: Sweep) -> None:
    for seed in (1, 2):
        sweep.trial("adam", seed, [0.5, 0.7, 0.9 + seed / 100])
    names = {column.name for column in arm_columns(compared(sweep))}
    assert names.isdisjoint({"test", "latency", "common_mean", "tuning_epochs"})


def test_each_tuned_key_is_a_column_and_the_last_ones_give_way(sweep: Sweep) -> None:
    for number in range(4):
        config = {"optimizer": "adam", "learning_rate": 10.0**-number, "momentum": number / 10}
        sweep.trial("adam tuned", 9, [0.3, 0.6, 0.8], config=config, question="tuning", candidate=number,
                    trial_id=f"c{number}")  # fmt: skip
    for seed in (1, 2):
        config = {"optimizer": "adam", "learning_rate": 1e-2, "momentum": 0.2}
        sweep.trial("adam tuned", seed, [0.5, 0.7, 0.9 + seed / 100], config=config)
    comparison = compared(sweep)
    columns = {column.name: column for column in terminal_columns(comparison)}
    (row,) = comparison.arms.to_dicts()
    assert columns["setting.learning_rate"].heading == "learning rate"
    assert columns["setting.learning_rate"].text(row) == ".01"
    assert columns["setting.momentum"].value(row) == 0.2


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_table_fits_its_terminal_without_a_cut_word(sweep: Sweep, width: int) -> None:
    record(sweep, {f"optimizer={name} learning_rate=0.00{len(name)}": values for name, values in ARMS.items()})
    sweep.trial("ftrl", 1, [0.1], "stopped", rung=1, cutoff=0.4)
    console = Console(file=io.StringIO(), width=width)
    print_comparison(next(findings_of(sweep.write(), sweep.name)), console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert {"optimizer=adam", "learning_rate=0.004", "ftrl", "(3)", "verdict"} <= {*words}
    assert not [word for word in words if "…" in word]

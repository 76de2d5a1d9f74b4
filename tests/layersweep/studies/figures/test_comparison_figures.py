"""What figures show of curves and intervals that their axes do not hold."""

from typing import Any

import pytest
from compared_sweep import compared
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from recorded_sweep import Sweep

from layersweep.studies.figures import learning_rates
from layersweep.studies.figures.comparison_figures import differences, final_accuracy, learning_curves
from layersweep.studies.figures.drawing import WIDTH
from layersweep.studies.statistics.arm_comparison import Comparison

FALLS = [0.3, 0.7, 0.9, 0.97, 0.96, 0.94]
RISES = [0.2, 0.4, 0.7, 0.85, 0.92, 0.935]
DIPS = [0.2, 0.4, 0.95, 0.8, 0.9, 0.93]
WEAK = [0.1, 0.2, 0.3, 0.31, 0.33, 0.35]


def drawn(draw: Any, comparison: Comparison, height: float = 4.2) -> list[Any]:
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    draw(figure, comparison)
    return figure.axes


def record(sweep: Sweep, **curves: list[float]) -> Comparison:
    sweep.epochs = 6
    for name, curve in curves.items():
        for seed in (1, 2):
            sweep.trial(name, seed, [value + seed / 1000 for value in curve])
    return compared(sweep)


def lines(axes: Any) -> list[Any]:
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 1]


def markers(axes: Any, marker: str) -> list[Any]:
    return [line for line in axes.get_lines() if line.get_marker() == marker]


@pytest.mark.parametrize("curve", [FALLS, DIPS])
def test_no_curve_is_cut_at_the_top_of_the_enlarged_band(sweep: Sweep, curve: list[float]) -> None:
    _, right = drawn(learning_curves, record(sweep, odd=curve, rises=RISES, weak=WEAK))
    top = max(value for line in lines(right) for value in line.get_ydata())
    assert right.get_ylim()[1] > top


def test_a_curve_that_crosses_the_edge_of_the_band_has_a_mark_there(sweep: Sweep) -> None:
    _, right = drawn(learning_curves, record(sweep, dips=DIPS, rises=RISES, weak=WEAK))
    assert "enter or leave" in right.get_title()
    ups, downs = markers(right, "^"), markers(right, "v")
    assert (len(ups), len(downs)) == (3, 1)  # dips enters, leaves and enters again
    assert all(line.get_ydata()[0] == right.get_ylim()[0] for line in (*ups, *downs))


@pytest.mark.parametrize("draw", [final_accuracy, differences])
def test_what_is_beyond_the_axis_is_an_arrow(sweep: Sweep, draw: Any) -> None:
    sweep.epochs = 1
    for name, values in {"a": (0.951, 0.963, 0.941), "b": (0.95, 0.937, 0.937), "wide": (1.0, 0.732, 0.691)}.items():
        for seed, value in enumerate(values, 1):
            sweep.trial(name, seed, [value])
    (axes,) = drawn(draw, compared(sweep), 2.0)
    low, _ = axes.get_xlim()
    assert min(x for line in lines(axes) for x in line.get_xdata() if line.get_ydata()[0] == 0) < low
    (arrow,) = markers(axes, "<")
    assert (arrow.get_xdata()[0], arrow.get_ydata()[0]) == (low, 0)


def test_each_tuned_key_has_a_panel(sweep: Sweep) -> None:
    for number in range(4):
        config = {"optimizer": "adam", "learning_rate": 10.0**-number, "momentum": number / 10}
        sweep.trial("adam tuned", 9, [0.3, 0.6, 0.8], config=config, question="tuning", candidate=number,
                    trial_id=f"c{number}")  # fmt: skip
    comparison = compared(sweep)
    axes = drawn(learning_rates.rate_curves, comparison, learning_rates.height_of(comparison))
    assert [one.get_xlabel() for one in axes if one.get_visible()] == ["learning rate", "momentum"]


def test_the_spread_of_a_default_stays_among_possible_values(sweep: Sweep) -> None:
    for number in range(3):
        config = {"optimizer": "adam", "learning_rate": 10.0**-number}
        sweep.trial("adam tuned", 9, [0.3, 0.6, 0.8], config=config, question="tuning", candidate=number,
                    trial_id=f"c{number}")  # fmt: skip
    for seed, value in enumerate((1.0, 0.999, 0.3), 1):
        sweep.trial("adam", seed, [0.3, 0.4, value], config={"optimizer": "adam", "learning_rate": 1e-2})
    comparison = compared(sweep)
    axes = drawn(learning_rates.rate_curves, comparison, learning_rates.height_of(comparison))[0]
    (bars,) = axes.containers
    (segments,) = (line.get_segments() for line in bars.lines[2])
    assert max(y for segment in segments for _, y in segment) <= 1.0

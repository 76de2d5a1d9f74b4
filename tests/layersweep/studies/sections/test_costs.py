"""What arms cost beside what they reach, and which are on the Pareto front."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import polars as pl

from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.sections.costs import costs, draw, section
from layersweep.studies.sections.section import Section
from layersweep.studies.statistics.arm_rows import NEVER_LEARNED
from layersweep.studies.statistics.judgement import Criteria
from layersweep.terminal import Console


def arm(name, mean, flops, *, seconds=20.0, epochs=10, latency=1.5, status="compared"):
    return {
        "arm": name, "status": status, "mean": mean, "sd": 0.01, "n": 3, "flops": flops,
        "parameters": 10 * flops if flops else None,
        "size_bytes": 40 * flops if flops else None,
        "latency": latency, "latency_unit": "ms", "seconds_training": seconds, "epochs": epochs,
    }  # fmt: skip


def comparison(*arms, shown_difference=0.05):
    """A comparison in which differences of at least so much are shown."""
    means = {one["arm"]: one["mean"] for one in arms}
    return SimpleNamespace(
        criteria=Criteria(),
        arms=pl.DataFrame(arms, infer_schema_length=None),
        is_better=lambda first, second: means[first] - means[second] >= shown_difference - 1e-9,
    )


def names(rows, column):
    return {row["arm"] for row in rows if row[column]}


COMPARISON = comparison(
    arm("cheap", 0.7, 100),
    arm("good", 0.9, 1000, seconds=50.0),
    arm("dear", 0.9, 5000),
    arm("worse", 0.6, 100),
    arm("middle", 0.8, 500),
    arm("failed", None, None, epochs=0),
)


def test_on_the_front_is_what_is_shown_to_gain():
    rows = costs(COMPARISON)
    assert names(rows, "front") == {"cheap", "middle", "good"}
    assert names(rows, "undecided") == {"dear"}  # worse costs as much as cheap, and is shown to be worse


def test_three_arms_that_no_test_tells_apart_are_no_front():
    """Finding 12: by their means alone, all three would be on it."""
    three = comparison(arm("small", 0.90, 100), arm("medium", 0.91, 200), arm("large", 0.92, 300))
    assert names(costs(three), "front") == {"small"}
    assert section(three, Path("no-records")).answer == (
        "On the Pareto front of accuracy against FLOPs: small. medium and large cost more, and no test shows that they "
        "gain."
    )


def test_many_arms_that_are_not_shown_to_gain_are_counted():
    many = comparison(*(arm(f"a{n}", 0.9, 100 * n) for n in range(1, 7)))
    assert section(many, Path("no-records")).answer.endswith(
        ": a1. a2, a3, a4 and 2 more cost more, and no test shows that they gain."
    )


def test_without_a_test_the_cheapest_alone_is_on_the_front():
    one_seed = comparison(arm("small", 0.5, 100), arm("large", 0.9, 300), shown_difference=1.0)
    assert section(one_seed, Path("no-records")).answer == (
        "On the Pareto front of accuracy against FLOPs: small. large costs more, and no test shows that it gains."
    )


def test_an_arm_at_chance_is_on_no_front():
    """It is the cheapest, but guessing costs nothing at all."""
    guess = comparison(arm("guess", None, 10, status=NEVER_LEARNED), arm("good", 0.9, 1000), arm("dear", 0.9, 2000))
    assert section(guess, Path("no-records")).answer.startswith("On the Pareto front of accuracy against FLOPs: good. ")


def test_no_front_while_no_arm_beats_chance():
    guesses = comparison(*(arm(name, None, 10 * n, status=NEVER_LEARNED) for n, name in enumerate("ab", 1)))
    extra = section(guesses, Path("no-records"))
    assert extra.answer == "No arm beats chance, so there is no Pareto front."
    assert extra.files == {}


def test_equal_arms_are_both_on_it():
    assert all(row["front"] for row in costs(comparison(arm("a", 0.5, 10), arm("b", 0.5, 10))))


def test_the_most_accurate_comes_first_with_its_seconds_per_epoch():
    rows = costs(COMPARISON)
    assert [row["arm"] for row in rows] == ["good", "dear", "middle", "cheap", "worse"]
    assert rows[0]["seconds_per_epoch"] == 5.0


def test_it_is_printed_and_drawn(tmp_path):
    console = Console(record=True, width=200)
    extra = section(COMPARISON, tmp_path)
    for one in extra.terminal:
        console.print(one)
    sentence = "On the Pareto front of accuracy against FLOPs: cheap, middle, good. dear costs more, and no test shows"
    assert sentence in console.export_text()
    assert sentence in "".join(extra.html)
    assert "<svg" in "".join(extra.html)
    assert extra.files["costs.png"].startswith(b"\x89PNG")


def test_names_stay_inside_the_figure():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 7.2))
    rows = [
        arm(f"residual_cnn image_size={size}", 0.5 + size / 1000, size**3, seconds=size, latency=size / 10)
        for size in (32, 64, 96, 128, 224)
    ]
    draw(figure, costs(comparison(*rows)))
    figure.canvas.draw()
    labels = [text for axes in figure.axes for text in axes.texts]
    assert len(labels) == 4 * 5
    for text in labels:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1


def test_costs_that_are_alike_have_no_panel_and_no_front(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.6))
    equal_costs = comparison(*(arm(f"trained={n}", 0.9 + n / 1000, 100, seconds=1.0 + n) for n in range(5)))
    draw(figure, costs(equal_costs))
    figure.canvas.draw()
    (axes,) = figure.axes
    assert axes.get_xlabel() == "seconds per epoch"
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    extra = section(equal_costs, tmp_path)
    assert extra.answer == ""
    assert "Pareto" not in "".join(extra.html)


def test_without_a_compared_arm_nothing_is_shown(tmp_path):
    assert section(comparison(arm("failed", None, None, status="failed")), tmp_path) == Section()


def test_a_cost_that_is_not_known_is_left_out_of_the_picture():
    rows = costs(comparison(arm("a", 0.5, 10), arm("b", 0.6, 20, latency=None)))
    assert Drawing(draw=draw, data=rows, height=7.2).png().startswith(b"\x89PNG")

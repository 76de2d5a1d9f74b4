"""The classes of the leading arm: names stay readable, and many classes do, too."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from recorded_sweep import Sweep

from layersweep.studies.figures.style import style
from layersweep.studies.recorded_comparison import load
from layersweep.studies.sections.by_class import by_class, draw, section


def with_classes(results: Path, names: list[str], epochs: int = 1) -> Sweep:
    """Two arms on two seeds; of each class 10 images, of which the last class loses most to the first one."""
    sweep = Sweep(results, epochs=epochs)
    for arm, accuracy in (("adam", 0.9), ("sgd", 0.8)):
        for seed in (1, 2):
            trial_id = sweep.trial(arm, seed, [accuracy + seed / 1000], test=0.9)
            for index, name in enumerate(names):
                row = [0] * len(names)
                row[index] = 10
                if index == len(names) - 1:
                    row[index], row[0] = 3, 7
                facts = {"class_index": index, "class_name": name, "support": 10, "predicted": row}
                sweep.add("classes", {"trial_id": trial_id, "attempt": 0, "epoch": 1, "set_name": "test", **facts})
    sweep.write()
    return sweep


def test_200_classes_stay_readable(tmp_path):
    sweep = with_classes(tmp_path / "results", [f"class {index:03}" for index in range(200)])
    comparison, _ = load(sweep.results, sweep.name)
    made = section(comparison, sweep.results)
    (terminal, sentence) = made.terminal
    assert terminal.row_count == 20
    assert "the 20 classes with the lowest F1 of 200; the page has all" in str(terminal.title)
    assert sentence.startswith("The hardest class is class 199")
    page = "".join(made.html)
    assert page.count("<tr>") == 201
    assert "The 50 most confused of 200 classes." in page
    report = by_class(comparison, sweep.results)
    assert report is not None
    part = report.part([0, 199])
    assert part.classes == ["class 000", "class 199"]
    assert part.confusion.tolist() == [[20, 0], [14, 6]]
    assert part.row_images is not None
    assert part.row_images.tolist() == [20, 20]


def test_shares_of_a_part_are_of_all_images_of_a_class(tmp_path):
    sweep = with_classes(tmp_path / "results", ["a", "b", "c"])
    comparison, _ = load(sweep.results, sweep.name)
    report = by_class(comparison, sweep.results)
    assert report is not None
    figure = Figure()
    draw(figure, report.part([1, 2]))
    (axes,) = figure.axes
    assert np.asarray(axes.images[0].get_array()).round(2).tolist() == [[1.0, 0.0], [0.0, 0.3]]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("<i>cat</i>\n\u202egod", "<i>cat</i> \\u202egod"), ("$x^2$ _a_", "$x^2$ _a_"), ("ß" * 200, "ß" * 59 + "…")],
)
def test_strange_names_do_nothing_and_keep_inside_the_figure(tmp_path, name, shown):
    sweep = with_classes(tmp_path / "results", ["plain", name])
    comparison, _ = load(sweep.results, sweep.name)
    report = by_class(comparison, sweep.results)
    assert report is not None
    assert report.classes == ["plain", shown]
    page = "".join(section(comparison, sweep.results).html)
    assert "<i>" not in page
    with style():
        figure = Figure(figsize=(9.6, 4))
        draw(figure, report)
        figure.canvas.draw()
        (axes,) = figure.axes
        left = min(label.get_window_extent().x0 for label in axes.get_yticklabels())
        bottom = min(label.get_window_extent().y0 for label in axes.get_xticklabels())
    assert left >= 0
    assert bottom >= 0

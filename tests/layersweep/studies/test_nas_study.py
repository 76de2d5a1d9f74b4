"""Searches of architectures: the best so far by the clock, sizes, networks, refusals, on made-up records."""

import io
from math import inf, nan

import page_content
import pytest
from compared_sweep import compared
from recorded_sweep import Sweep
from searched_sweep import at, candidate, chosen, config, fixed

from layersweep.records.spans import length_before, merge_spans, training_spans
from layersweep.studies import gallery
from layersweep.studies.figures import network_drawing
from layersweep.studies.figures.network_drawing import Layer, fold
from layersweep.studies.recorded_comparison import load
from layersweep.studies.sections import best_so_far, candidate_sizes, networks, refusals
from layersweep.studies.sections.networks import short_keys
from layersweep.studies.sections.section import Section
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.statistics.searches import Step, Trajectory, trajectories
from layersweep.studies.study import findings_of, write_study
from layersweep.terminal import Console


@pytest.fixture
def sweep(tmp_path):
    boxes = Sweep(tmp_path / "results", "nas")
    boxes.run(at=at(0))
    return boxes


def trajectories_by_name(sweep: Sweep) -> dict[str, Trajectory]:
    return {course.name: course for course in trajectories(compared(sweep), sweep.results)}


def steps(course: Trajectory) -> list[tuple[float, float, float]]:
    return [(step.seconds, step.epochs, step.best) for step in course.steps]


def printed(extra: Section) -> str:
    console = Console(file=io.StringIO(), record=True, width=200)
    for renderable in extra.terminal:
        console.print(renderable)
    return console.export_text()


def section_of(sweep: Sweep, module) -> Section:
    return module.section(compared(sweep), sweep.results)


def test_the_best_so_far_steps_up_with_each_better_epoch(sweep):
    candidate(sweep, "greedy", 0, [0.5, 0.7], start=0)
    candidate(sweep, "greedy", 1, [0.6, nan, 0.8], start=21)
    course = trajectories_by_name(sweep)["greedy"]
    assert steps(course) == [(10, 1, 0.5), (20, 2, 0.7), (31, 3, 0.7), (41, 4, 0.7), (51, 5, 0.8)]
    assert (course.seconds, course.epochs) == (52, 5)
    assert course.best == Step(seconds=51, epochs=5, best=0.8)
    assert [course.after(seconds) for seconds in (9, 10, 50, 51, inf)] == [None, 0.5, 0.7, 0.8, 0.8]


def test_an_accuracy_that_is_none_is_no_best(sweep):
    candidate(sweep, "greedy", 0, [nan], "diverged")
    candidate(sweep, "greedy", 1, [nan, 0.3], start=11)
    assert steps(trajectories_by_name(sweep)["greedy"]) == [(31, 3, 0.3)]


def test_candidates_side_by_side_take_the_time_of_one(sweep):
    candidate(sweep, "random", 0, [0.5, 0.6], start=0)
    candidate(sweep, "random", 1, [0.55], start=5)
    candidate(sweep, "random", 2, [0.7], start=100)
    course = trajectories_by_name(sweep)["random"]
    assert steps(course) == [(10, 1, 0.5), (15, 2, 0.55), (20, 3, 0.6), (31, 4, 0.7)]
    assert course.seconds == 32


def test_time_between_a_kill_and_the_next_command_does_not_count(sweep):
    candidate(sweep, "greedy", 0, [0.5, 0.6], None, start=5)  # from 5 to 25 s; killed in its third epoch
    sweep.run("r2", at=at(3600))
    candidate(sweep, "greedy", 0, [0.7], start=3604, after=2, planned=False, run="r2")
    candidate(sweep, "greedy", 1, [0.4], start=3620)
    course = trajectories_by_name(sweep)["greedy"]
    assert steps(course) == [(10, 1, 0.5), (20, 2, 0.6), (30, 3, 0.7), (41, 4, 0.7)]
    assert course.seconds == 42
    assert course.candidates[0].end == "completed"


def test_a_search_that_was_killed_twice_and_runs(sweep):
    candidate(sweep, "greedy", 0, [0.5], None, start=0)
    sweep.run("r2", at=at(1000))
    candidate(sweep, "greedy", 0, [0.6], None, start=1010, after=1, planned=False)
    course = trajectories_by_name(sweep)["greedy"]
    assert (course.seconds, course.unfinished) == (20, 1)
    assert "Some candidates have not ended, so these numbers may rise: greedy (1)." in printed(
        section_of(sweep, best_so_far)
    )


def test_spans_of_work():
    assert merge_spans([(5, 6), (0, 2), (1, 3), (3, 4)]) == ((0, 4), (5, 6))
    assert [length_before([(0, 4), (5, 6)], until) for until in (-1, 2, 4.5, 5.5, inf)] == [0, 2, 4, 4.5, 5]
    # two epochs of a killed command; one after it, within an end's span; two of a command that runs
    epochs = [(20, 4), (14, 4), (105, 4), (214, 4), (210, 4)]
    assert training_spans([(100, 110)], epochs, [0, 90, 200]) == ((10, 20), (100, 110), (206, 214))
    # an end between two killed stretches parts them, too
    assert training_spans([(100, 110)], [(20, 4), (130, 4)], []) == ((16, 20), (100, 110), (126, 130))


def test_outcomes_are_counted_with_refusals_apart(sweep):
    candidate(sweep, "greedy", 0, [0.5, 0.6, 0.7])
    candidate(sweep, "greedy", 1, [0.5], "stopped", rung=1, cutoff=0.6)
    candidate(sweep, "greedy", 2, [0.5, 0.6], "stopped", reason="the search's time was spent")
    candidate(sweep, "greedy", 3, [], "failed", error_type="TooLarge", error_message="needs 3 GiB", start=200)
    candidate(sweep, "greedy", 4, [0.1], "failed", error_type="OutOfMemory")
    candidate(sweep, "greedy", 5, [nan], "diverged")
    course = trajectories_by_name(sweep)["greedy"]
    assert course.outcomes == "6: 1 completed, 2 stopped (1 out of time), 1 refused, 1 diverged, 1 failed"
    assert course.seconds == 31 + 1  # what was refused took its second
    assert course.epochs == 8


def test_a_candidate_that_is_asked_for_fewer_epochs_completes_them(sweep):
    for number, epochs in enumerate((1, 3, 3)):
        candidate(sweep, "hyperband", number, [0.5, 0.6, 0.7][:epochs], epochs_asked=epochs)
        sweep.rows["plan"][-1]["epochs"] = epochs
    assert trajectories_by_name(sweep)["hyperband"].outcomes == "3: 3 completed"
    (tuning,) = compared(sweep).tunings
    assert tuning.outcomes == "3: 3 completed"
    assert [one.accuracy for one in tuning.candidates] == [0.5, 0.7, 0.7]


def test_a_fixed_network_is_the_mean_of_its_seeds_as_far_as_all_came(sweep):
    candidate(sweep, "greedy", 0, [0.5])
    fixed(sweep, "fashion_cnn", [[0.5, 0.8, 0.7], [0.7, 0.6]], seconds=20)
    course = trajectories_by_name(sweep)["fashion_cnn"]
    assert steps(course) == [(20, 1, pytest.approx(0.6)), (40, 2, pytest.approx(0.75))]
    assert (course.candidates, course.seeds, course.seconds) == ((), 2, 40)


def test_searches_are_seen_after_parts_of_the_longest_ones_time(sweep):
    for number in range(8):
        candidate(sweep, "random", number, [0.1 * number], start=11 * number)  # 88 s
    candidate(sweep, "greedy", 0, [0.3, 0.65], start=500)  # 21 s
    head, rows = best_so_far.best_by_time(trajectories(compared(sweep), sweep.results))
    assert head == ["search", "11 s (1/8)", "22 s (1/4)", "44 s (1/2)", "1 min 28 s (all)"]
    assert rows == [
        ["greedy", ".3000", ".6500*", ".6500*", ".6500*"],
        ["random", ".0000", ".1000", ".3000", ".7000"],
    ]
    # in the 21 s that both had
    answer = section_of(sweep, best_so_far).answer
    assert answer.startswith(
        "The best validation accuracy of a candidate after 21 s, the time of the shortest search: "
    )
    assert "greedy .6500 and random .1000. Each search ran only once: there is no test as long as" in answer
    for search in ("greedy", "random"):
        chosen(sweep, search, 0, (0.6, 0.7))
    assert "the test is the comparison of their best networks on fresh seeds" in section_of(sweep, best_so_far).answer


def test_nothing_beats_what_is_on_the_front(sweep):
    for number, (parameters, accuracy) in enumerate(
        [(100, 0.5), (100, 0.4), (200, 0.5), (300, 0.7), (300, 0.7), (900, 0.6), (1000, 0.9)]
    ):
        candidate(sweep, "greedy" if number % 2 else "random", number, [0.1, accuracy], parameters=parameters)
    candidate(sweep, "random", 7, [0.99, nan], "diverged", parameters=1)
    candidate(sweep, "random", 8, [], "failed", error_type="TooLarge", parameters=10)
    candidate(sweep, "random", 9, [0.2], parameters=None)
    comparison = candidate_sizes.sizes(compared(sweep), sweep.results)
    assert [one.number for one in comparison.front] == [0, 3, 4, 6]
    assert len(comparison.candidates) == 7
    text = printed(section_of(sweep, candidate_sizes))
    assert (
        "4 candidates of 7 are on the observed Pareto front (one training each: no test). Not shown: 3 candidates that "
        "failed or diverged, or without an epoch" in text
    )
    assert section_of(sweep, candidate_sizes).files["sizes.png"].startswith(b"\x89PNG")


def test_candidates_at_chance_are_on_no_front(sweep):
    candidate(sweep, "random", 0, [0.1], parameters=100)
    candidate(sweep, "random", 1, [0.1, 0.105], parameters=200)
    text = printed(section_of(sweep, candidate_sizes))
    assert "No candidate beats chance, so there is no Pareto front." in text
    candidate(sweep, "random", 2, [0.1, 0.9], "stopped", parameters=300, rung=2, cutoff=0.95)
    data = candidate_sizes.sizes(compared(sweep), sweep.results)
    assert [one.number for one in data.front] == [2]
    assert section_of(sweep, candidate_sizes).files["sizes.png"].startswith(b"\x89PNG")


def layer(kind: str, shape: str, parameters: int = 0) -> Layer:
    return Layer(name=kind.lower(), kind=kind, filters=None, kernel="3x3" if kind == "Conv2D" else None, stride=None,
                 parameters=parameters, output_shape=shape)  # fmt: skip


def test_few_layers_have_a_box_each():
    boxes = fold([layer("Conv2D", "26x26x32", 320), layer("Dense", "10", 1010)], 2)
    assert [(box.title, box.note) for box in boxes] == [
        ("Conv2D 3×3", "conv2d → 26×26×32 · 320"),
        ("Dense", "dense → 10 · 1,010"),
    ]


def test_runs_of_a_kind_are_one_box_where_layers_are_too_many():
    boxes = fold([*[layer("Conv2D", "8x8x4", 100)] * 53, layer("Flatten", "256"), layer("Dense", "10", 2570)], 3)
    assert [(box.title.replace("\N{NO-BREAK SPACE}", " "), box.layers) for box in boxes] == [
        ("53 × Conv2D", 53), ("Flatten", 1), ("Dense", 1)
    ]  # fmt: skip
    assert boxes[0].note == "8×8×4 · 5,300"


def test_deep_networks_have_a_box_for_each_size_of_images():
    block = [("Conv2D", 1), ("BatchNormalization", 2), ("Activation", 0)]
    padded = [layer(kind, f"{size}x{size}x8", n) for size in (8, 10, 4, 6, 2) for _ in range(9) for kind, n in block]
    boxes = fold([*padded, layer("Dense", "10", 5), layer("Softmax", "10")], 22)
    # what is padded is larger than before: it stays with the size that it is of
    assert [(box.layers, box.parameters, box.note) for box in boxes] == [
        (54, 54, "8×8×8 to 10×10×8 · 54"),
        (54, 54, "4×4×8 to 6×6×8 · 54"),
        (27, 27, "2×2×8 · 27"),
        (2, 5, "10 · 5"),
    ]


def test_a_network_of_more_sizes_than_boxes_is_folded_in_the_middle():
    layers = [layer(kind, f"{size}x{size}x1", 1) for size in range(60, 0, -1) for kind in ("Conv2D", "ReLU")]
    boxes = fold(layers, 10)
    assert len(boxes) == 10
    assert sum(box.layers for box in boxes) == 120
    assert max(box.layers for box in boxes) == 2 * (60 - 9)


VANILLA = [("Conv2D", "26x26x32", 320), ("Conv2D", "24x24x8", 100), ("Flatten", "4608", 0), ("Dense", "10", 46_090)]


def test_the_network_is_the_one_that_is_compared(sweep):
    candidate(sweep, "greedy", 0, [0.1, 0.2, 0.9])
    candidate(sweep, "greedy", 1, [0.1, 0.2, 0.8], layers=VANILLA)
    chosen(sweep, "greedy", 1, (0.7, 0.72))
    (network,) = networks.networks(compared(sweep), sweep.results)
    assert (network.candidate.number, network.is_compared, network.depth) == (1, True, 3)
    assert network.kinds == {"Conv2D": (2, 420), "Flatten": (1, 0), "Dense": (1, 46_090)}
    text = printed(section_of(sweep, networks))
    assert "greedy: candidate 1, .8000 after 3 epochs (compared on fresh seeds); 4 layers, 3 with parameters." in text
    assert "3 (46,510)" in text


def test_else_it_is_the_best_of_those_that_came_furthest(sweep):
    candidate(sweep, "greedy", 0, [0.1, 0.9], "stopped", rung=2, cutoff=0.95)
    candidate(sweep, "greedy", 1, [0.1, 0.2, 0.7])
    candidate(sweep, "greedy", 2, [0.1, 0.2, 0.8])
    candidate(sweep, "greedy", 3, [0.1, 0.2, 0.95, nan], "diverged")
    (network,) = networks.networks(compared(sweep), sweep.results)
    assert (network.candidate.number, network.is_compared, network.layers) == (2, False, ())
    extra = section_of(sweep, networks)
    assert "the most accurate one with the most epochs; not compared); its layers are not recorded." in printed(extra)
    assert extra.files == {}


def test_layers_of_the_compared_trials_stand_for_those_that_a_candidate_has_not(sweep):
    candidate(sweep, "greedy", 0, [0.1, 0.2, 0.9])
    chosen(sweep, "greedy", 0, (0.7,))
    for index, (kind, shape, parameters) in enumerate(VANILLA):
        row = {"trial_id": "greedy-1", "attempt": 0, "epoch": 3, "index": index, "name": kind, "kind": kind}
        sweep.add("layers", row | {"output_shape": shape, "parameters": parameters})
    (network,) = networks.networks(compared(sweep), sweep.results)
    assert [one.kind for one in network.layers] == ["Conv2D", "Conv2D", "Flatten", "Dense"]


def test_choices_are_read_by_the_end_of_their_names(sweep):
    assert short_keys(["a/b/kernel_size", "a/c/kernel_size", "x/b/units", "y/b/units", "learning_rate"]) == {
        "a/b/kernel_size": "b/kernel_size",
        "a/c/kernel_size": "c/kernel_size",
        "x/b/units": "x/b/units",
        "y/b/units": "y/b/units",
        "learning_rate": "learning_rate",
    }
    candidate(sweep, "greedy", 0, [0.5], choices={"image_block_1/conv_block_1/kernel_size": 3, "learning_rate": 0.01})
    candidate(sweep, "random", 0, [0.4], choices={"image_block_1/conv_block_1/kernel_size": 5})
    table = [line.split() for line in printed(section_of(sweep, networks)).splitlines()]
    assert ["hyperparameter", "greedy", "random"] in table
    assert ["conv_block_1/kernel_size", "3", "5"] in table
    assert ["learning_rate", ".01", "–"] in table


def test_refusals_are_one_row_a_reason_whatever_its_numbers(sweep):
    for number, (search, size) in enumerate([("greedy", "3.2"), ("random", "17"), ("greedy", "4.0")]):
        candidate(sweep, search, number, [], "failed", error_type="TooLarge", error_message=f"needs {size} GiB\nmore")
    candidate(sweep, "greedy", 3, [], "failed", error_type="TooSlow", error_message="an epoch takes 900 s")
    candidate(sweep, "greedy", 4, [0.1], "failed", error_type="ValueError", error_message="no valid model")
    candidate(sweep, "greedy", 5, [nan], "diverged", reason="the loss was NaN or infinite in epoch 1")
    tried = [one for course in trajectories(compared(sweep), sweep.results) for one in course.candidates]
    assert [(one.end, one.error_type, one.reason, one.names) for one in refusals.refusals(tried)] == [
        ("refused", "TooLarge", "needs 3.2 GiB", "greedy 0 and 2, random 1"),
        ("refused", "TooSlow", "an epoch takes 900 s", "greedy 3"),
        ("diverged", "", "the loss was NaN or infinite in epoch 1", "greedy 5"),
        ("failed", "ValueError", "no valid model", "greedy 4"),
    ]
    note = next(text for text in compared(sweep).warnings if text.startswith("greedy, tuning: "))
    assert "2 failed: TooLarge: needs 3.2 GiB (the first one; the others differ only in numbers)" in note


def test_without_failures_a_sentence_says_so(sweep):
    candidate(sweep, "greedy", 0, [0.5])
    assert "No candidate was refused, failed or diverged." in printed(section_of(sweep, refusals))


def test_a_sweep_without_searches_says_so_once(sweep):
    fixed(sweep, "fashion_cnn", [[0.5, 0.6, 0.7]])
    texts = [printed(section_of(sweep, module)) for module in (best_so_far, candidate_sizes, networks, refusals)]
    assert texts == ["No search is recorded: this sweep has no candidates.\n", "", "", ""]


def test_a_search_without_an_epoch_says_so(sweep):
    candidate(sweep, "greedy", 0, [], None)
    candidate(sweep, "greedy", 1, [], "failed", error_type="TooSlow", error_message="slow")
    assert "No candidate has finished an epoch yet." in printed(section_of(sweep, best_so_far))
    assert "2: 1 refused, 1 unfinished" in printed(section_of(sweep, best_so_far))
    assert "No candidate has a recorded size and accuracy yet." in printed(section_of(sweep, candidate_sizes))
    assert "No search has a network yet: no candidate has completed its training." in printed(
        section_of(sweep, networks)
    )


def test_one_search_of_which_others_have_no_epoch(sweep):
    candidate(sweep, "greedy", 0, [0.5])
    candidate(sweep, "random", 0, [], None)
    text = printed(section_of(sweep, best_so_far))
    assert "The best validation accuracy of a candidate after 11 s of search: greedy .5000." in text
    assert "No candidate of these searches has finished an epoch yet: random." in text


def whole(sweep: Sweep) -> None:
    for place, search in enumerate(("bayesian", "greedy", "hyperband", "random")):
        for number in range(4):
            final = 0.6 + 0.05 * number + 0.01 * place
            choices = {"image_block_1/conv_block_1/kernel_size": 3 + 2 * (number % 2)}
            candidate(sweep, search, number, [0.3, 0.5, final], start=1000 * place + 40 * number, layers=VANILLA,
                      choices=choices, config=config(number, choices))  # fmt: skip


def test_searches_alone_are_a_study_of_their_own(sweep):
    whole(sweep)
    console = Console(file=io.StringIO(), width=100)
    write_study(sweep.write(), sweep.name, console=console)
    assert "settings" not in console.file.getvalue()  # the candidates differ in nothing that fits a cell
    folder = sweep.results / "studies"
    assert {path.name for path in folder.iterdir()} == {
        "nas.html",
        "nas_search.png",
        "nas_sizes.png",
        "nas_networks.png",
    }
    page = (folder / "nas.html").read_text()
    assert page_content.elements(page).count("<svg") == 3
    assert "image_block_1/conv_block_1" not in page_content.elements(page)  # the choices' JSON is in no table


def test_the_whole_study_with_its_figure_in_the_gallery(sweep, tmp_path):
    whole(sweep)
    for search in ("greedy", "random"):
        number = 3
        for seed in (1, 2, 3):
            choices = {"image_block_1/conv_block_1/kernel_size": 5}
            candidate(sweep, search, number, [0.3, 0.5, 0.7 + seed / 100], seed=seed, question="comparison",
                      trial_id=f"{search}-{seed}", config=config(number, choices), test=0.7)  # fmt: skip
    fixed(sweep, "fashion_cnn", [[0.3, 0.5, 0.6], [0.3, 0.5, 0.62], [0.3, 0.5, 0.63]])
    for index, counts in enumerate(([8, 2], [4, 6])):
        row = {"trial_id": "greedy-1", "attempt": 0, "epoch": 3, "set_name": "test", "class_index": index}
        sweep.add("classes", row | {"class_name": ("cat", "dog")[index], "support": 10, "predicted": counts})
    (findings,) = findings_of(sweep.write(), sweep.name)
    text = findings.page()
    assert "By class: greedy" in text
    assert '"image_block_1' not in text
    *_, page = gallery.write(sweep.results, tmp_path / "gallery.md")
    assert (
        "![Which way of searching finds the better network in the same time?](gallery/nas_search.png)"
        in page.read_text()
    )
    assert "The best validation accuracy of a candidate after 2 min" in page.read_text()


def test_the_drawing_is_one_page_and_its_texts_stay_inside(sweep):
    from matplotlib.figure import Figure

    deep = [(kind, f"{size}x{size}x2048", 1_048_576) for size in (14, 7, 4, 2, 1) for _ in range(12)
            for kind in ("Conv2D", "BatchNormalization", "Activation")]  # fmt: skip
    for search in ("a", "b", "c", "d", "e"):
        candidate(sweep, search, 0, [0.5], layers=deep if search in "ae" else VANILLA)
    comparison = compared(sweep)
    figure_data = networks._columns(networks.networks(comparison, sweep.results), comparison)
    high = network_drawing.height(figure_data)
    assert high < 11
    figure = Figure(figsize=(9.6, high))
    network_drawing.draw(figure, figure_data)
    figure.canvas.draw()
    (axes,) = figure.axes
    frames = [patch.get_window_extent() for patch in axes.patches]
    for text in (text for text in axes.texts if text.get_ha() == "center"):
        box = text.get_window_extent()
        assert any(f.x0 <= box.x0 and box.x1 <= f.x1 and f.y0 <= box.y0 and box.y1 <= f.y1 for f in frames)


def test_first_epochs_at_chance_do_not_squeeze_the_rest_and_every_end_is_seen(sweep):
    from matplotlib.figure import Figure

    for number in range(10):
        candidate(sweep, "greedy", number, [0.1, 0.88 + number / 1000], start=21 * number)
    fixed(sweep, "fashion_cnn", [[0.1, 0.3, 0.87]])
    comparison = compared(sweep)
    figure_data = best_so_far.FigureData(
        trajectories=trajectories(comparison, sweep.results),
        styles=best_so_far.line_styles(comparison.arms["arm"].to_list()),
    )
    figure = Figure(figsize=(9.6, 7))
    best_so_far.draw(figure, figure_data)
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert 0.8 < low < 0.87
        assert high > 0.889
    assert figure.axes[0].get_title().startswith("Enlarged: the lines start below .8")
    assert [axes.get_xlabel() for axes in figure.axes] == ["seconds of search or training", "epochs trained"]


def test_a_search_by_balanced_accuracy_is_shown_by_it(sweep):
    """The first candidate has the higher accuracy, the second one the higher balanced accuracy."""
    candidate(sweep, "greedy", 0, [0.5, 0.95], start=0)
    candidate(sweep, "greedy", 1, [0.5, 0.9], start=40)
    for row, value in zip(sweep.rows["epochs"], (0.2, 0.3, 0.2, 0.8), strict=True):
        row["val_balanced_accuracy"] = value
    comparison, _ = load(sweep.write(), sweep.name, criteria=Criteria(metric="val_balanced_accuracy"))
    (course,) = trajectories(comparison, sweep.results)
    assert [step.best for step in course.steps] == [0.2, 0.3, 0.3, 0.8]
    assert [one.accuracy for one in course.candidates] == [0.3, 0.8]
    for module in (best_so_far, candidate_sizes):
        made = module.section(comparison, sweep.results)
        text = printed(made) + "".join(made.html)
        assert "balanced accuracy" in text
        assert "validation accuracy" not in text
        assert ".8000" in text
        assert ".9500" not in text

"""Parts of studies: networks converted by LiteRT, first phases, the leading arm class by class, lines by a number."""

from pathlib import Path

import pytest
from compared_sweep import compared
from recorded_sweep import Sweep

from layersweep.studies.sections import by_class, exports, first_phases, numeric_key
from layersweep.studies.sections.section import Section
from layersweep.terminal import Console

NUMBERS = {"images": 400, "latency_ms_p95": 3.0, "latency_n": 50}


def printed(extra: Section) -> str:
    console = Console(record=True, width=160)
    for renderable in extra.terminal:
        console.print(renderable)
    return console.export_text()


def _latency(ms: float, *, older: bool) -> dict[str, float]:
    """What a call took, with the reference that it was timed beside, if there was one."""
    return {"latency_ms_median": ms} | ({} if older else {"latency_ratio": 2 * ms, "latency_ms_reference": 0.5})


def converted(sweep: Sweep) -> None:
    """Two arms of two seeds, in both forms; a third that was refused."""
    for seed in (1, 2):
        for arm, accuracy in (("sgd", 0.8), ("adam", 0.6)):
            own = accuracy + seed / 100
            trial_id = sweep.trial(arm, seed, [0.1, 0.2, own])
            for form, lost, size in (("float32", 0.0, 4_000_000), ("int8", 0.02 * seed, 1_000_000)):
                row = {"trial_id": trial_id, "attempt": 0, "epoch": 3, "form": form, "size_bytes": size, **NUMBERS}
                sweep.add("exports", row | {"accuracy": own - lost, **_latency(size / 1e6, older=seed == 1)})
        trial_id = sweep.trial("nadam", seed, [0.1, 0.2, 0.5 + seed / 100])
        row = {"trial_id": trial_id, "attempt": 0, "epoch": 3, "form": "int8", "problem": "no such operation"}
        sweep.add("exports", row)


def test_forms_are_compared_with_what_keras_gives_training_by_training(sweep: Sweep) -> None:
    converted(sweep)
    comparison, problems = exports.conversions(compared(sweep), sweep.write())
    assert [(row.arm, row.form, row.n) for row in comparison] == [
        ("sgd", "float32", 2), ("sgd", "int8", 2), ("adam", "float32", 2), ("adam", "int8", 2)
    ]  # fmt: skip
    assert comparison[0].difference == pytest.approx(0)
    assert comparison[1].difference == pytest.approx(-0.03)
    assert comparison[1].deviation == pytest.approx(0.02 / 2**0.5)
    assert problems == {"nadam": "no such operation"}


def test_they_are_printed_and_drawn(sweep: Sweep) -> None:
    converted(sweep)
    extra = exports.section(compared(sweep), sweep.write())
    output = printed(extra)
    assert "With int8, files are 4.0 times smaller and one image is 4.0 times as fast (2 arms); " in output
    assert "the largest loss of accuracy is -.0300 (" in output
    assert "nadam could not be converted: no such operation." in output
    assert "<svg" in "".join(extra.html)
    assert extra.files["exports.png"].startswith(b"\x89PNG")


def test_nothing_is_shown_where_nothing_was_converted(sweep: Sweep) -> None:
    sweep.trial("sgd", 1, [0.1, 0.2, 0.3])
    assert exports.section(compared(sweep), sweep.write()) == Section()


def test_first_phases_are_counted_once_and_apart(sweep: Sweep) -> None:
    for seed in (1, 2):
        parent = sweep.trial("first phase", seed, [0.1, 0.2], question="first phase")
        for arm in ("sgd", "adam"):
            sweep.trial(arm, seed, [0.1, 0.2, 0.3], parent=parent)
    comparison = compared(sweep)
    assert "first phase" not in comparison.arms["arm"].to_list()
    # each 9 s of importing and 2 epochs of 12 s
    assert "2 first phases took 1 min 06 s of slot time" in printed(first_phases.section(comparison, sweep.write()))


def test_without_first_phases_nothing_is_said(sweep: Sweep) -> None:
    sweep.trial("sgd", 1, [0.1, 0.2, 0.3])
    assert first_phases.section(compared(sweep), sweep.write()) == Section()


def test_the_leading_arm_is_seen_class_by_class_over_its_seeds(sweep: Sweep) -> None:
    for seed in (1, 2):
        sweep.trial("adam", seed, [0.1, 0.2, 0.3], test=0.3)
        trial_id = sweep.trial("sgd", seed, [0.1, 0.2, 0.8], test=0.7)
        for index, counts in enumerate(([8, 2], [4, 6])):
            row = {"trial_id": trial_id, "attempt": 0, "epoch": 3, "set_name": "test", "class_index": index}
            sweep.add("classes", row | {"class_name": ("cat", "dog")[index], "support": 10, "predicted": counts})
    comparison = compared(sweep)
    results = sweep.write()
    report = by_class.by_class(comparison, results)
    assert report is not None
    assert (report.arm, report.trials) == ("sgd", 2)
    assert report.confusion.tolist() == [[16, 4], [8, 12]]
    assert report.recall.tolist() == [0.8, 0.6]
    assert report.precision.tolist() == pytest.approx([2 / 3, 0.75])
    assert report.f1.tolist() == pytest.approx([2 * 16 / (20 + 24), 2 * 12 / (20 + 16)])
    extra = by_class.section(comparison, results)
    assert (
        "The hardest class is dog (F1 .6667); the most frequent confusion: dog is classified as cat (40%)."
        in printed(extra)
    )
    assert extra.files["classes.png"].startswith(b"\x89PNG")


def test_without_a_reading_of_the_test_set_no_class_is_seen(sweep: Sweep) -> None:
    sweep.trial("sgd", 1, [0.1, 0.2, 0.3])
    assert by_class.section(compared(sweep), sweep.write()) == Section()


def test_lines_follow_a_number_and_are_parted_by_a_key(sweep: Sweep) -> None:
    for seed in (1, 2):
        for rate in (0.1, 0.001):
            for optimizer in ("sgd", "adam"):
                config = {"optimizer": optimizer, "learning_rate": rate}
                accuracy = 0.5 + rate + (optimizer == "sgd") / 10 + seed / 1000
                sweep.trial(f"{optimizer} {rate}", seed, [0.1, 0.2, accuracy], config=config)
    comparison = compared(sweep)
    drawn = numeric_key.lines(
        comparison, "learning_rate", "optimizer", default=1.0, names={"adam": "Adam", "sgd": "SGD"}
    )
    assert set(drawn) == {"Adam", "SGD"}
    assert [point.x for point in drawn["SGD"]] == [0.001, 0.1]
    assert [point.mean for point in drawn["Adam"]] == pytest.approx([0.5025, 0.6015])
    assert numeric_key.section(comparison, Path()) == Section()


def test_accuracy_is_drawn_against_the_share_of_images(sweep: Sweep) -> None:
    for share, config in ((0.5, {"train_share": 0.5}), (1.0, {"begin": "scratch"})):
        for seed in (1, 2):
            sweep.trial(f"{share}", seed, [0.1, 0.2, 0.5 + share / 10 + seed / 1000], config=config)
    extra = numeric_key.section(compared(sweep), Path())
    assert extra.files["train_share.png"].startswith(b"\x89PNG")
    assert "the network from new weights" in "".join(extra.html)

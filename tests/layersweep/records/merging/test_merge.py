"""Merged results have each epoch once, lose nothing, and do not depend on the order, on repetition, or on a kill."""

import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pyarrow.parquet as pq
import pytest
from compared_sweep import compared
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from recorded_rows import run, two_sweeps
from recorded_sweep import Sweep

from layersweep.records.command import main
from layersweep.records.derived.results_table import is_written, write_results
from layersweep.records.errors import BusyError, ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.records.merging.merge import merge
from layersweep.records.read import part_name, parts, read
from layersweep.records.tables import RESULTS, TABLES
from layersweep.records.write import Writer

START = datetime(2026, 11, 3, 9, tzinfo=UTC)
QUICK = [Phase.explicit, Phase.reuse, Phase.generate]  # a smaller example costs minutes to find
ENDS = [(), ("completed",), ("failed",), ("failed", "completed"), ("stopped",)]

course = st.fixed_dictionaries(
    {"machine": st.sampled_from([0, 1]), "epochs": st.integers(0, 3), "ends": st.sampled_from(ENDS)}
).filter(lambda course: course["epochs"] or course["ends"] == ("failed",))
folder_of_trials = st.dictionaries(
    st.sampled_from(["t1", "t2", "t3"]), st.lists(course, min_size=1, max_size=2), min_size=1
)


@contextmanager
def folder():
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield Path(place)


def write(results, name, trials, *, hour=0):
    """A folder with a command `name`: each trial has its attempts in this order, each epoch two layers."""
    sequence = 0
    with Writer(results, "s", config_types={"filters": int}) as writer:
        at = START + timedelta(hours=hour)
        writer.append("runs", [run(name, at=at, first_sequence=0), run(name, "end", at=at, outcome="ended")])
        for trial_id, courses in trials.items():
            writer.append(
                "plan", [{"run": name, "trial_id": trial_id, "arm": "a", "seed": 1, "question": "comparison"}]
            )
            for attempt, course in enumerate(courses):
                ids = {"trial_id": trial_id, "attempt": attempt}
                for epoch in range(1, course["epochs"] + 1):
                    loss = float(f"{course['machine']}.{epoch}{trial_id[1]}")
                    metrics = {"loss": loss, "accuracy": 0.5, "val_loss": loss, "val_accuracy": loss / 4}
                    writer.append("layers", [ids | {"epoch": epoch, "index": n, "parameters": 7} for n in range(2)])
                    writer.append("epochs", [ids | metrics | {"epoch": epoch, "sequence": sequence, "at": at}])
                    sequence += 1
                for continuation, course_end in enumerate(course["ends"]):
                    outcome, reached = (course_end, course["epochs"]) if isinstance(course_end, str) else course_end
                    end = {"continuation": continuation, "outcome": outcome, "epochs": reached, "run": name}
                    more = {"arm": "a", "seed": 1, "question": "comparison", "filters": 8, "ended_at": at}
                    writer.append("trials", [ids | end | more])
    return results


def attempts(results):
    """For each trial, its attempts without their numbers, the one that counts last."""
    epochs, trials = read(results, "epochs").sort("epoch"), read(results, "trials").sort("continuation")
    layers = read(results, "layers")
    found = {}
    for trial_id, attempt in sorted(
        {*epochs.select("trial_id", "attempt").rows(), *trials.select("trial_id", "attempt").rows()}
    ):
        mine = (pl.col("trial_id") == trial_id) & (pl.col("attempt") == attempt)
        curve = tuple(epochs.filter(mine)["loss"])
        ends = tuple(trials.filter(mine).select("outcome", "epochs").rows())
        assert sorted(layers.filter(mine)["epoch"]) == sorted([*range(1, len(curve) + 1)] * 2)
        found.setdefault(trial_id, []).append((curve, ends))
    return found


def unordered(attempts_by_trial):
    return {trial: (sorted(some), some[-1][0]) for trial, some in attempts_by_trial.items()}


def epochs_of_runs(results):
    """The epochs of each command, as `first_sequence` says: until the next command's."""
    starts = read(results, "runs").filter(pl.col("event") == "start").sort("first_sequence")
    first, names = starts["first_sequence"].to_list(), starts["run"].to_list()
    epochs = read(results, "epochs").sort("sequence")
    assert epochs["sequence"].is_unique().all()
    by_run = {name: [] for name in names}
    for row in epochs.to_dicts():
        name = [name for name, number in zip(names, first, strict=True) if number <= row["sequence"]][-1]
        by_run[name].append((row["trial_id"], row["loss"]))
    return by_run


def everything(results):
    return {table: read(results, table).to_dicts() for table in TABLES}


def assert_unique(results):
    for name, table in TABLES.items():
        rows = read(results, name).select(table.key)
        assert rows.is_unique().all(), name


@pytest.mark.slow
@settings(max_examples=20, deadline=None, phases=QUICK)
@given(one=folder_of_trials, other=folder_of_trials)
def test_a_merge_is_idempotent_commutative_and_loses_nothing(one, other):
    with folder() as place:
        a, b = write(place / "a", "ra", one), write(place / "b", "rb", other, hour=1)
        before = everything(a), everything(b)
        merge([a, b], place / "c")
        content = everything(place / "c")
        assert_unique(place / "c")

        result = merge([a, b], place / "c")
        assert not sum(sum(rows.values()) for rows in result.rows.values())
        assert everything(place / "c") == content

        merge([b, a], place / "d")
        merged = attempts(place / "c")
        assert unordered(attempts(place / "d")) == unordered(merged)
        merge([b], write(place / "into_a", "ra", one))
        merge([a], write(place / "into_b", "rb", other, hour=1))
        for results, own in ((place / "into_a", attempts(a)), (place / "into_b", attempts(b))):
            for trial_id, (some, last) in unordered(attempts(results)).items():
                expected, expected_last = unordered(merged)[trial_id]
                assert some == expected
                own_last = own[trial_id][-1][0] if trial_id in own else None  # the target's attempts keep their order
                assert last in (expected_last, own_last)
        for source in (a, b):
            for trial_id, some in attempts(source).items():
                for curve, ends in some:
                    assert any(curve == c[: len(curve)] and ends == e[: len(ends)] for c, e in merged[trial_id])
        assert (everything(a), everything(b)) == before


@pytest.mark.slow
@settings(max_examples=20, deadline=None, phases=QUICK)
@given(one=folder_of_trials, other=folder_of_trials, writes=st.integers(0, 12))
def test_a_merge_that_was_killed_goes_on(one, other, writes):
    class KillError(BaseException):
        pass

    original, left = Writer._write, [writes]

    def write_or_die(self, *arguments):
        if not left[0]:
            raise KillError
        left[0] -= 1
        original(self, *arguments)

    with folder() as place:
        a, b = write(place / "a", "ra", one), write(place / "b", "rb", other, hour=1)
        merge([a, b], place / "undisturbed")
        with patch.object(Writer, "_write", write_or_die):
            try:
                merge([a, b], place / "c")
                killed = False
            except KillError:
                killed = True
        assert (place / "c" / ".state" / "merging.json").exists() == killed
        merge([a, b], place / "c")
        assert unordered(attempts(place / "c")) == unordered(attempts(place / "undisturbed"))
        assert epochs_of_runs(place / "c") == epochs_of_runs(place / "undisturbed")
        assert_unique(place / "c")
        assert not [*(place / "c" / ".state").rglob("*.tmp")]
        assert not (place / "c" / ".state" / "merging.json").exists()


def training(epochs, *ends, machine=0):
    return {"machine": machine, "epochs": epochs, "ends": ends}


def test_epochs_of_each_command_stay_together(results):
    a = write(results / "a", "ra", {"t1": [training(3, "completed")]})
    b = write(results / "b", "rb", {"t2": [training(2, "completed")], "t3": [training(1)]}, hour=1)
    merge([b, a], results / "c")
    assert {name: len(epochs) for name, epochs in epochs_of_runs(results / "c").items()} == {"ra": 3, "rb": 3}
    merge([b], a)
    assert epochs_of_runs(a) == epochs_of_runs(results / "c")


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_what_another_machine_trained_further_is_one_attempt(results, order):
    write(results / "a", "ra", {"t1": [training(1, ("failed", 1))]})
    write(results / "b", "rb", {"t1": [training(3, ("failed", 1), ("completed", 3))]})
    merge([results / name for name in order], results / "c")
    assert attempts(results / "c") == attempts(results / "b")
    merge([results / "b"], results / "a")
    assert attempts(results / "a") == attempts(results / "b")
    assert read(results / "a", "trials").select("attempt", "continuation").rows() == [(0, 0), (0, 1)]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_attempts_that_differ_the_one_that_got_furthest_counts(results, order):
    write(results / "a", "ra", {"t1": [training(3, "completed", machine=0)]})
    write(results / "b", "rb", {"t1": [training(1, "failed", machine=1)]}, hour=1)
    merge([results / name for name in order], results / "c")
    assert attempts(results / "c")["t1"] == [((1.11,), (("failed", 1),)), ((0.11, 0.21, 0.31), (("completed", 3),))]
    merge([results / "b"], results / "a")  # the target's attempt keeps its number, and still counts
    assert attempts(results / "a") == attempts(results / "c")
    assert sorted({*read(results / "a", "epochs")["attempt"]}) == [-1, 0]


def test_what_a_source_itself_replaced_does_not_count(results):
    """Machine b began again although its first attempt had completed: so it would be on one machine."""
    write(results / "a", "ra", {"t1": [training(3, "completed")]})
    write(results / "b", "rb", {"t1": [training(3, "completed"), training(1, "failed", machine=1)]})
    merge([results / "a", results / "b"], results / "c")
    assert attempts(results / "c") == attempts(results / "b")


def test_the_study_of_merged_results_is_that_of_all_trainings_together(results):
    """Two machines train some seeds each, one of them both; a third sweep has it all."""
    curves = {("adam", n): [0.5, 0.6, 0.7 + n / 100] for n in range(1, 4)} | {
        ("sgd", n): [0.4, 0.5, 0.6] for n in range(1, 4)
    }
    together = Sweep(results / "together")
    machines = Sweep(results / "a"), Sweep(results / "b")
    for number, ((arm, seed), curve) in enumerate(curves.items()):
        own = [machines[number % 2], *([machines[1 - number % 2]] if number == 3 else [])]
        for sweep in (together, *own):
            sweep.trial(arm, seed, curve, test=curve[-1])
    together.run()
    machines[0].run("ra")
    machines[1].run("rb")
    for sweep in machines:
        sweep.write()
    merge([sweep.results for sweep in machines], results / "c")
    expected = compared(together).arms
    merged = Sweep(results / "c", together.name)
    from layersweep.studies.recorded_comparison import load

    assert load(merged.results, merged.name)[0].arms.equals(expected)
    assert expected.height == 2
    alone = load(machines[0].results, together.name)[0].arms
    assert not alone.equals(expected)


def test_the_table_of_a_study_and_the_origin_on_a_cluster_go(results):
    """Both say something of the records that there were before."""
    write(results / "a", "ra", {"t1": [training(1)]})
    write(results / "b", "rb", {"t1": [training(1)]})
    write_results(results / "a", "s", pl.DataFrame(pl.from_arrow(RESULTS.schema.empty_table())).drop("sweep"))
    (results / "a" / ".state" / "s.cluster").write_text("cluster:results\n")
    merge([results / "b"], results / "a")
    assert not is_written(results / "a", "s")
    assert not (results / "a" / ".state" / "s.cluster").exists()


def test_trials_of_several_sweeps_are_numbered_together(results):
    two_sweeps(results / "a")
    two_sweeps(results / "b")
    before = everything(results / "a")
    result = merge([results / "b"], results / "a")
    assert not any(number for rows in result.rows.values() for number in rows.values())
    assert everything(results / "a") == before
    assert not result.renumbered_attempts


def test_weights_checkpoints_and_logs_come_with_them(results):
    write(results / "a", "ra", {"t1": [training(3, "completed", machine=0)], "t2": [training(1)]})
    write(results / "b", "rb", {"t1": [training(1, "failed", machine=1)], "t2": [training(2)]}, hour=1)
    for name in ("a", "b"):
        for file in (
            "weights/t1-3.keras",
            ".state/checkpoints/t2-1.keras",
            "logs/t1.log",
            f"weights/t9-{name == 'a'}.keras",
        ):
            (results / name / file).parent.mkdir(parents=True, exist_ok=True)
            (results / name / file).write_text(f"of {name}")
    (results / "b" / "weights" / "t8-1.keras").symlink_to("/etc/hostname")
    merge([results / "b", results / "a"], results / "c")
    files = {
        str(p.relative_to(results / "c")): p.read_text()
        for p in (results / "c").rglob("*.*")
        if p.suffix in (".keras", ".log")
    }
    assert files["weights/t1-3.keras"] == "of a"  # whose attempt counts
    assert files["logs/t1.log"] == "of b"
    assert files["logs/t1.2.log"] == "of a"
    assert not [name for name in files if "t8" in name]
    assert merge([results / "b", results / "a"], results / "c").files == 0


def refusal(*words):
    return pytest.raises(ResultsError, match=".*".join(words))


def test_what_cannot_be_merged_is_refused_in_one_line_and_nothing_is_written(results, capsys):
    a = write(results / "a", "ra", {"t1": [training(1)]})
    b = write(results / "b", "rb", {"t1": [training(1)]})
    with refusal("is given twice"):
        merge([a, b, results / "b" / ".." / "a"], results / "c")
    with refusal("would be merged into itself"):
        merge([a, b], a)
    with refusal(r"a/inner is within .*/a"):
        merge([a, b], a / "inner")
    with refusal("no sweep is recorded in .*gone"):
        merge([results / "gone", b], results / "c")
    (results / "file").touch()
    with refusal("file is a file; valid: --into a folder"):
        merge([a, b], results / "file")
    with refusal("nothing to merge"):
        merge([], results / "c")
    with sweep_lock(a, "s"), pytest.raises(BusyError, match=r"another command is running the sweep 's' in .*/a"):
        merge([b], a)
    assert main(["merge", str(a), str(a), "--into", str(results / "c")]) == 2
    assert capsys.readouterr().err == f"error: {a} is given twice; valid: each results folder once\n"
    assert not (results / "c").exists()


def rewritten(path, change):
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def test_a_newer_schema_and_damage_are_refused_before_anything_is_written(results):
    a = write(results / "a", "ra", {"t1": [training(1)]})
    b = write(results / "b", "rb", {"t2": [training(1)]})
    path = parts(b / "epochs" / "s")[-1]
    content = path.read_bytes()
    rewritten(path, lambda t: t.replace_schema_metadata({b"schema_version": b"99"}))
    with refusal("has schema version 99"):
        merge([a, b], results / "c")
    path.write_bytes(content[:-20])
    with pytest.warns(match="is damaged"), refusal("is damaged, and its rows would be missing after the merge"):
        merge([a, b], results / "c")
    assert not (results / "c").exists()


def test_a_key_of_two_types_is_refused(results):
    a = write(results / "a", "ra", {"t1": [training(1, "completed")]})
    with Writer(results / "b", "s", config_types={"filters": float}) as writer:
        end = {"trial_id": "t2", "attempt": 0, "continuation": 0, "outcome": "completed"}
        writer.append("trials", [end])
    with refusal("key 'filters' of sweep 's' has the type float", "but int elsewhere"):
        merge([a, results / "b"], results / "c")
    assert not (results / "c").exists()


def test_an_interrupted_merge_of_other_folders_comes_first(results):
    a, b = (write(results / name, name, {"t1": [training(1)]}) for name in ("a", "b"))
    with (
        patch("layersweep.records.merging.merge._merge_sweep", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        merge([a, b], results / "c")
    with refusal("a merge of .*/a, .*/b into .*/c was interrupted: run it again first"):
        merge([b], results / "c")
    merge([a, b], results / "c")
    merge([b], results / "c")


def test_large_tables_are_copied_piece_by_piece(results):
    trials = {"t1": [training(3, "completed")], "t2": [training(3, machine=1)]}
    a = write(results / "a", "ra", trials)
    merge([a], results / "whole")
    with patch("layersweep.records.read._PIECE_ROWS", 2):
        merge([a], results / "c")
    assert attempts(results / "c") == attempts(results / "whole") == attempts(a)
    assert part_name(0, 0) not in {path.name for path in parts(results / "c" / "layers" / "s")[1:]}


def test_the_command_says_what_it_added(results, capsys):
    write(results / "a", "ra", {"t1": [training(2, "completed")]})
    write(results / "b", "rb", {"t1": [training(1, "failed", machine=1)]})
    assert main(["merge", str(results / "a"), str(results / "b"), "--into", str(results / "c")]) == 0
    out = capsys.readouterr().out
    assert "s: 2 rows of plan, 4 rows of runs, 6 rows of layers, 3 rows of epochs, 2 rows of trials" in out
    assert "1 attempt renumbered" in out

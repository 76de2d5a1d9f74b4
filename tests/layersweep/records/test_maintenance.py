"""What is deleted is what was asked for and nothing else, whenever it is killed."""

import itertools
import shutil
from pathlib import Path

import pytest
from epoch_rows import epochs, flush, numbers
from recorded_rows import curve, plan, record, trial, two_sweeps

import layersweep.records.maintenance
from layersweep.records import overview, requests
from layersweep.records.errors import ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.records.maintenance import deletable_files, delete, prune, trials_to_repeat
from layersweep.records.read import read
from layersweep.records.requests import STOP_SWEEP
from layersweep.records.tables import TABLES
from layersweep.records.write import Writer

TRIALS = ("aa11", "ab22", "cc33", "dd44", "ee55", "ff66")
HEX = "0123456789abcdef" * 2


def touch(path, size=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def checkpoints(results):
    return [p.stem.partition("-")[0] for p in sorted((results / ".state" / "checkpoints").glob("*"))]


def logs(results):
    return [p.stem for p in sorted((results / "logs").glob("*"))]


@pytest.fixture
def full_results(results):
    """Two sweeps with a checkpoint and a log of every trial, and of one that nobody knows."""
    two_sweeps(results)
    for name in (*TRIALS, "stray"):
        touch(results / ".state" / "checkpoints" / f"{name}-3.keras", 100)
        touch(results / "logs" / f"{name}.log")
    touch(results / "studies" / "big.html")
    return results


def content(results):
    files = [p for p in results.rglob("*") if p.is_file() and p.suffix != ".lock"]
    return {p.relative_to(results).as_posix(): p.read_bytes() for p in files}


# Deleting


def test_what_deleting_would_remove_is_told(full_results):
    groups = {group.name: group for group in deletable_files(full_results, "big")}
    assert list(groups) == ["checkpoints", "logs", "table trials", "table epochs", "table runs", "table plan"]
    assert [p.stem for p in groups["checkpoints"].paths] == ["ab22-3", "cc33-3", "dd44-3", "ee55-3"]
    assert (groups["checkpoints"].size_bytes, groups["logs"].size_bytes) == (400, 40)
    assert groups["table epochs"].paths == (full_results / "epochs" / "big",)
    assert groups["table epochs"].size_bytes == sum(
        p.stat().st_size for p in (full_results / "epochs" / "big").iterdir()
    )


def test_a_sweep_is_deleted_and_all_else_stays(full_results):
    before = content(full_results)
    delete(full_results, "big")
    remaining = content(full_results)
    assert overview.names(full_results) == ["small"]
    assert checkpoints(full_results) == logs(full_results) == ["aa11", "ff66", "stray"]  # `small` plans both
    gone = set(before) - set(remaining)
    assert all("/big/" in name or name.split("/")[-1][:4] in TRIALS for name in gone)
    assert {name: before[name] for name in remaining} == remaining
    assert {"studies/big.html"} < set(remaining)
    assert list((full_results / ".state" / "deleted").iterdir()) == []


def test_the_last_sweep_takes_what_the_first_had_to_leave(full_results):
    delete(full_results, "big")
    delete(full_results, "small")
    assert checkpoints(full_results) == logs(full_results) == ["stray"]
    assert overview.names(full_results) == []


def test_trials_that_other_sweeps_ask_for_are_counted(results):
    record(results, "a", plan=[plan("t"), plan("u"), plan("v")], trials=[trial("t"), trial("u")])
    record(results, "b", plan=[plan("t"), plan("v")])
    record(results, "c", plan=[plan("t"), plan("u")], trials=[trial("u")])
    assert trials_to_repeat(results, "a") == {"b": 1, "c": 1}  # v has no end that could be lost
    assert trials_to_repeat(results, "b") == {}
    assert trials_to_repeat(results, "c") == {}


def test_its_requests_are_deleted_with_a_sweep(full_results):
    requests.put(full_results, "big", STOP_SWEEP)
    other = requests.put(full_results, "small", STOP_SWEEP)
    delete(full_results, "big")
    assert requests.pending(full_results, "big") == []
    assert requests.pending(full_results, "small") == [other]
    assert not requests.folder_of(full_results, "big").exists()


def test_an_unfinished_request_is_pruned(full_results):
    put = requests.put(full_results, "small", STOP_SWEEP)
    unfinished = requests.folder_of(full_results, "small") / f".{put.id}.json.{'0' * 32}.tmp"
    unfinished.write_text("{")
    prune(full_results)
    assert not unfinished.exists()
    assert requests.pending(full_results, "small") == [put]


def test_an_unknown_sweep_is_not_deleted(full_results):
    before = content(full_results)
    for name in ("medium", "..", ".", ""):
        with pytest.raises(ResultsError, match="recorded sweeps: big, small"):
            delete(full_results, name)
    assert content(full_results) == before


class Kill(BaseException):
    """The process dies here."""


def killed_at(monkeypatch, step, action):
    """Runs an action until just before its `step`-th change of the disk; whether it came so far."""
    count = itertools.count()

    def dying(touch):
        def wrapped(*args, **options):
            if next(count) == step:
                raise Kill
            return touch(*args, **options)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink", "mkdir"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        patch.setattr(layersweep.records.maintenance.shutil, "rmtree", dying(shutil.rmtree))
        try:
            action()
        except Kill:
            return True
    return False


def test_a_kill_while_deleting_leaves_no_end_without_its_epochs_and_the_next_command_finishes(results, monkeypatch):
    for step in itertools.count():
        case = results / str(step)
        two_sweeps(case)
        touch(case / ".state" / "checkpoints" / "ee55-3.keras")
        small = read(case, "trials", "small")
        killed = killed_at(monkeypatch, step, lambda case=case: delete(case, "big"))
        trials, trained = (read(case, table, "big") for table in ("trials", "epochs"))
        assert (trials.height, trained.height) in [(6, 9), (0, 9), (0, 0)]
        if "big" in overview.names(case):
            delete(case, "big")
        prune(case)
        assert overview.names(case) == ["small"]
        assert checkpoints(case) == list((case / ".state" / "deleted").glob("*")) == []
        assert read(case, "trials", "small").equals(small)
        if not killed:
            break
    assert step >= 5 * 2 + 1  # a checkpoint and four tables, each a folder and a renaming; then they go


def test_what_cannot_be_deleted_is_said(full_results, monkeypatch):
    touch(full_results / ".state" / "deleted")
    with pytest.raises(ResultsError, match="cannot delete the sweep 'big'"):
        delete(full_results, "big")
    assert overview.names(full_results) == ["big", "small"]


# Pruning


def what(pruned):
    return {group.name: [path.name for path in group.paths] for group in pruned.groups}


def test_logs_and_checkpoints_of_trials_that_need_none_go(full_results):
    pruned = prune(full_results)
    assert pruned.busy_sweeps == []
    assert checkpoints(full_results) == [
        "aa11",
        "ab22",
        "ee55",
        "ff66",
    ]  # ab22 failed; each other has no end in one of its plans
    assert logs(full_results) == ["ab22", "ee55", "stray"]  # failed, unfinished, unknown
    assert [group.size_bytes for group in pruned.groups] == [40, 300]
    assert prune(full_results).groups == []


@pytest.mark.parametrize(
    ("rows", "needed"),
    [
        ({"trials": [trial("t")]}, False),
        ({"trials": [trial("t", "hopeless", epochs=1)]}, False),
        ({"trials": [trial("t", "failed"), trial("t", continuation=1)]}, False),
        ({"trials": [trial("t", "failed", attempt=1), trial("t", continuation=1)]}, True),
        ({"trials": [trial("t")], "epochs": curve("t", 0.1, 0.2)}, False),
        ({"trials": [trial("t", "stopped", epochs=1)], "epochs": curve("t", 0.1, 0.2)}, True),  # was reopened
        ({"trials": [trial("t", "stopped", epochs=1)], "epochs": curve("t", 0.1, attempt=1)}, True),
        ({"trials": [trial("t")], "plan": [plan("t", epochs=3, run="r2")]}, True),  # is to train for longer
        ({}, True),
    ],
)
def test_a_checkpoint_stays_while_a_sweep_would_go_on_from_it(results, rows, needed):
    record(results, "s", plan=[plan("t")])
    record(results, "s", **rows)
    touch(results / ".state" / "checkpoints" / "t-3.keras")
    prune(results)
    assert checkpoints(results) == (["t"] if needed else [])


def test_a_dry_run_says_the_same_and_removes_nothing(full_results):
    touch(full_results / ".state" / "parts" / f"big.{HEX}.tmp")
    before = content(full_results)
    dry_run_result = what(prune(full_results, dry_run=True))
    assert content(full_results) == before
    assert dry_run_result == what(prune(full_results))
    assert list(dry_run_result) == [
        "leftovers of killed commands",
        "logs of trials that did not fail",
        "checkpoints that no trial needs",
    ]


def test_leftovers_of_killed_commands_go(results):
    two_sweeps(results)
    state = results / ".state"
    for name in (f"big.{HEX}.tmp", f"{HEX}.tmp", f"gone.{HEX}.tmp"):
        touch(state / "parts" / name)
    touch(state / "deleted" / f"gone.{HEX}" / "trials" / "gone" / "part", 70)
    pruned = prune(results)
    assert what(pruned) == {"leftovers of killed commands": [f"{HEX}.tmp", f"big.{HEX}.tmp", f"gone.{HEX}.tmp",
                                                            f"gone.{HEX}"]}  # fmt: skip
    assert pruned.groups[0].size_bytes == 100
    assert list((state / "parts").iterdir()) == list((state / "deleted").iterdir()) == []


def test_superseded_parts_go_unless_their_merger_is_damaged(results):
    with Writer(results, "s") as writer:
        for n in range(7):
            flush(writer, n)
        shutil.copytree(results / "epochs", results / "copy")
        flush(writer, 7)
    (merged,) = (results / "epochs" / "s").iterdir()
    shutil.copytree(results / "copy", results / "epochs", dirs_exist_ok=True)
    sound = merged.read_bytes()
    merged.write_bytes(b"torn")
    with pytest.warns(UserWarning, match="is damaged"):
        assert prune(results).groups == []
    assert numbers(results) == [0, 1, 2, 3, 4, 5, 6]
    merged.write_bytes(sound)
    assert len(what(prune(results))["superseded parts"]) == 7
    assert list((results / "epochs" / "s").iterdir()) == [merged]
    assert numbers(results) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_damaged_parts_go_only_when_asked_for(results):
    two_sweeps(results)
    aside = touch(results / ".state" / "damaged" / "epochs" / "big" / "00000000-00000000.parquet")
    gone = touch(results / ".state" / "damaged" / "epochs" / "gone" / "00000000-00000000.parquet")
    assert prune(results).groups == []
    assert aside.exists()
    assert what(prune(results, damaged=True)) == {"damaged parts": [aside.name, gone.name]}
    assert not aside.exists()
    assert not gone.exists()


def test_what_a_running_sweep_may_need_stays(full_results):
    for name in ("big", "small", "new", ""):
        touch(full_results / ".state" / "parts" / f"{name}.{HEX}.tmp".removeprefix("."))
    touch(full_results / ".state" / "damaged" / "epochs" / "big" / "00000000-00000000.parquet")
    with sweep_lock(full_results, "big"), sweep_lock(full_results, "new"):
        pruned = prune(full_results, damaged=True)
    assert pruned.busy_sweeps == ["big", "new"]
    assert what(pruned) == {"leftovers of killed commands": [f"small.{HEX}.tmp"]}
    assert checkpoints(full_results) == logs(full_results) == [*TRIALS, "stray"]
    with sweep_lock(full_results, "small"):
        assert what(prune(full_results)) == {
            "leftovers of killed commands": [f"big.{HEX}.tmp", f"new.{HEX}.tmp"],
            "logs of trials that did not fail": ["cc33.log", "dd44.log"],  # `small` plans aa11 and ff66
            "checkpoints that no trial needs": ["cc33-3.keras", "dd44-3.keras"],
        }
    assert "stray-3.keras" in what(prune(full_results))["checkpoints that no trial needs"]


def test_what_is_recorded_is_never_pruned(full_results):
    before = {table: read(full_results, table) for table in TABLES}
    prune(full_results, damaged=True)
    assert all(read(full_results, table).equals(before[table]) for table in TABLES)
    assert (full_results / "studies" / "big.html").exists()


def test_a_folder_that_does_not_exist_is_said(results):
    with pytest.raises(ResultsError, match=f"there is no results folder {results}"):
        prune(results)
    assert not results.exists()


def test_a_writer_goes_on_after_its_sweep_was_deleted_and_pruned(results):
    with Writer(results, "s") as writer:
        writer.append("epochs", epochs(1))
    delete(results, "s")
    prune(results)
    with Writer(results, "s") as writer:
        writer.append("epochs", epochs(2))
    assert numbers(results) == [2]


def test_files_that_a_killed_command_was_writing_go_once_nothing_runs(full_results):
    unfinished = [
        full_results / ".state" / f".networks.json.{HEX}.tmp",
        full_results / "studies" / f".big.html.{HEX}.tmp",
    ]
    for path in (*unfinished, full_results / "studies" / "mine.tmp"):
        touch(path)
    with sweep_lock(full_results, "small"):
        prune(full_results)
    assert all(path.exists() for path in unfinished)
    prune(full_results)
    assert not any(path.exists() for path in unfinished)
    assert (full_results / "studies" / "mine.tmp").exists()
    assert {path.stem for path in (full_results / ".state").glob("*.lock")} == {"big", "small"}


def test_leftovers_of_killed_doctors_studies_and_copies_are_pruned(full_results):
    leftovers = [
        f".state/{HEX}.tmp", f".doctor-{HEX[:16]}", f"studies/.big.html.{HEX}.tmp", "studies/.big.html.a1B2c3",
        "studies/.big.png.a1B2c3", "epochs/big/.00000001-00000001.parquet.a1B2c3",
    ]  # fmt: skip
    others = ["studies/.big.backup", "studies/big.html.backup", ".doctor-notes", "epochs/big/notes.txt"]
    for name in (*leftovers, *others):
        touch(full_results / name)
    prune(full_results, dry_run=True)
    assert all((full_results / name).exists() for name in leftovers)
    with sweep_lock(full_results, "small"):
        prune(full_results)
        assert [name for name in leftovers if not (full_results / name).exists()] == leftovers[-1:]
    prune(full_results)
    assert not any((full_results / name).exists() for name in leftovers)
    assert all((full_results / name).exists() for name in others)


def test_parts_that_are_missing_on_a_cluster_are_pruned_only_if_told(full_results):
    part = touch(full_results / ".state" / "lost" / "five.20261103T090000" / "epochs" / "big" / "p.parquet")
    prune(full_results)
    assert part.exists()
    assert "parts that are missing on a cluster" in [group.name for group in prune(full_results, missing=True).groups]
    assert not part.exists()


def test_earlier_halves_of_logs_go_with_their_logs(full_results):
    for name in TRIALS:
        touch(full_results / "logs" / f"{name}.log.1")
    prune(full_results)
    files = {path.name for path in (full_results / "logs").iterdir()}
    assert {f"{name}.1" for name in files if name.endswith(".log")} - {"stray.log.1"} <= files
    assert files.isdisjoint({"aa11.log", "aa11.log.1"})  # it completed

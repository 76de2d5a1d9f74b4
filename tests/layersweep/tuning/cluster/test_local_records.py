"""Records that come from a cluster, and those that were here."""

import pytest

from layersweep.records.read import part_name
from layersweep.tuning.cluster.local_records import LocalRecords, mark_as_local
from layersweep.tuning.common.errors import UsageError

DIGITS = "[0-9]" * 8


@pytest.fixture
def records(tmp_path):
    return LocalRecords(results=tmp_path / "results", sweep="made_up", cluster="five", remote_results="/there/results")


def write_part(records, first, last, table="epochs"):
    path = records.results / table / records.sweep / part_name(first, last)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first} to {last}")
    return path


def parts(*spans):
    return {"epochs": [part_name(*span) for span in spans]}


def test_an_empty_folder_is_taken_and_stays_taken(records):
    records.claim({})
    write_part(records, 0, 0)
    records.claim(parts((0, 0)))


def test_records_of_this_machine_are_refused(records):
    write_part(records, 0, 0)
    with pytest.raises(UsageError, match="that this machine made; those of five:/there/results would replace"):
        records.claim(parts((0, 0)))


def test_records_of_another_cluster_are_refused(records):
    other = LocalRecords(results=records.results, sweep="made_up", cluster="six", remote_results="/there/results")
    other.claim({})
    write_part(records, 0, 0)
    with pytest.raises(UsageError, match="of six:/there/results; those of five:/there/results would replace"):
        records.claim(parts((0, 0)))


def test_a_command_here_makes_them_this_machines(records):
    records.claim({})
    write_part(records, 0, 0)
    mark_as_local(records.results, "made_up")
    with pytest.raises(UsageError, match="that this machine made"):
        records.claim(parts((0, 0)))


@pytest.mark.parametrize("remote_spans", [[(0, 0), (1, 1)], [(0, 1)], [(0, 0), (1, 7)]])
def test_parts_that_are_there_or_were_merged_there_are_not_lost(records, remote_spans):
    write_part(records, 0, 0)
    write_part(records, 1, 1)
    assert records.lost_parts(parts(*remote_spans)) == []


def test_parts_that_the_head_has_lost_are_named(records):
    records.claim({})
    first, second = write_part(records, 0, 0), write_part(records, 1, 1)
    assert records.lost_parts(parts((0, 0))) == [second]
    assert records.lost_parts({}) == [first, second]
    with pytest.raises(UsageError, match=r"has lost records .* here: epochs/made_up/00000001-00000001\.parquet; valid"):
        records.claim(parts((0, 0)))


def test_lost_parts_are_set_aside_not_deleted(records):
    write_part(records, 0, 0)
    lost = write_part(records, 1, 1)
    (moved,) = records.set_aside_lost(parts((0, 0)))
    assert not lost.exists()
    assert moved.read_text() == "1 to 1"
    assert moved.relative_to(records.results).parts[:2] == (".state", "lost")


def test_only_the_sweeps_parts_are_seen_by_rsync(records):
    calls = []
    records.fetch(lambda *arguments: calls.append(arguments))
    ((source, target, *options),) = calls
    assert (source, target) == ("/there/results", records.results)
    assert f"--include=/epochs/made_up/{DIGITS}-{DIGITS}.parquet" in options
    assert "--include=/layers/" not in options
    assert options[-2:] == ["--exclude=*", "--delete-after"]


def test_everything_is_all_tables_and_the_pages_of_which_none_is_deleted(records):
    calls = []
    records.fetch(lambda *arguments: calls.append(arguments), everything=True)
    tables, pages = calls
    assert f"--include=/layers/made_up/{DIGITS}-{DIGITS}.parquet" in tables
    assert "--include=/studies/made_up.*" in pages
    assert "--delete-after" not in pages


@pytest.mark.parametrize(
    "place",
    [
        "epochs", "epochs/made_up", f"epochs/made_up/{part_name(0, 0)}", "layers/made_up", "studies",
        "results", "results/made_up",
        "studies/made_up.html", "studies/made_up.html.tmp", ".state", ".state/made_up.cluster",
    ],
)  # fmt: skip
def test_a_link_that_a_head_has_planted_is_refused(records, tmp_path, place):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    link = records.results / place
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    with pytest.raises(UsageError, match=rf"{place} is a link: records of five would be .*/victim; valid: remove the"):
        records.claim({})
    assert victim.read_text() == "mine"


def test_links_of_other_sweeps_and_of_the_results_folder_stay(records, tmp_path):
    (tmp_path / "disk" / "epochs").mkdir(parents=True)
    (tmp_path / "disk" / "epochs" / "other").symlink_to(tmp_path)
    records.results.symlink_to(tmp_path / "disk")
    records.claim({})
    assert (tmp_path / "disk" / ".state" / "made_up.cluster").is_file()

"""Records that come home from a cluster, and those that were here."""

import pytest

from layersweep.records.read import part_name
from layersweep.tuning.cluster.local_records import Home, disown
from layersweep.tuning.common.errors import UsageError


@pytest.fixture
def home(tmp_path):
    return Home(results=tmp_path / "results", sweep="made_up", cluster="five", there="/there/results")


def part(home, first, last, table="epochs"):
    path = home.results / table / home.sweep / part_name(first, last)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first} to {last}")
    return path


def named(*spans):
    return {"epochs": [part_name(*span) for span in spans]}


def test_an_empty_folder_is_taken_and_stays_taken(home):
    home.claim({})
    part(home, 0, 0)
    home.claim(named((0, 0)))


def test_records_of_this_machine_are_refused(home):
    part(home, 0, 0)
    with pytest.raises(UsageError, match="that this machine made, which those of five:/there/results would replace"):
        home.claim(named((0, 0)))


def test_records_of_another_cluster_are_refused(home):
    other = Home(results=home.results, sweep="made_up", cluster="six", there="/there/results")
    other.claim({})
    part(home, 0, 0)
    with pytest.raises(UsageError, match="of six:/there/results, which those of five:/there/results would replace"):
        home.claim(named((0, 0)))


def test_a_command_here_makes_them_this_machines(home):
    home.claim({})
    part(home, 0, 0)
    disown(home.results, "made_up")
    with pytest.raises(UsageError, match="that this machine made"):
        home.claim(named((0, 0)))


@pytest.mark.parametrize("there", [[(0, 0), (1, 1)], [(0, 1)], [(0, 0), (1, 7)]])
def test_parts_that_are_there_or_were_merged_there_are_not_lost(home, there):
    part(home, 0, 0)
    part(home, 1, 1)
    assert home.lost(named(*there)) == []


def test_parts_that_the_head_has_lost_are_named(home):
    home.claim({})
    kept, gone = part(home, 0, 0), part(home, 1, 1)
    assert home.lost(named((0, 0))) == [gone]
    assert home.lost({}) == [kept, gone]
    with pytest.raises(UsageError, match=r"has lost records .* here: epochs/made_up/00000001-00000001\.parquet; valid"):
        home.claim(named((0, 0)))


def test_lost_parts_are_set_aside_not_deleted(home):
    part(home, 0, 0)
    gone = part(home, 1, 1)
    (aside,) = home.set_aside(named((0, 0)))
    assert not gone.exists()
    assert aside.read_text() == "1 to 1"
    assert aside.relative_to(home.results).parts[:2] == (".state", "lost")


def test_only_the_sweeps_parts_are_seen_by_rsync(home):
    given = []
    home.bring(lambda *arguments: given.append(arguments))
    ((there, here, *options),) = given
    assert (there, here) == ("/there/results", home.results)
    assert "--include=/epochs/made_up/[0-9]*-[0-9]*.parquet" in options
    assert "--include=/layers/" not in options
    assert options[-2:] == ["--exclude=*", "--delete-after"]


def test_everything_is_all_tables_and_the_pages_of_which_none_is_deleted(home):
    given = []
    home.bring(lambda *arguments: given.append(arguments), everything=True)
    tables, pages = given
    assert "--include=/layers/made_up/[0-9]*-[0-9]*.parquet" in tables
    assert "--include=/studies/made_up.*" in pages
    assert "--delete-after" not in pages

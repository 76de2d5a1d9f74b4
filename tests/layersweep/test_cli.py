"""The command `layersweep`: its parts, what it refuses, what it imports, and what commands of before are called now."""

import subprocess
import sys

import pytest
from places import ROOT

from layersweep import cli

HEAVY = "{'ray', 'tensorflow', 'keras', 'polars', 'matplotlib', 'scipy'} & set(sys.modules)"


def test_help_names_every_part(capsys):
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: layersweep PART")
    assert [line.split()[0] for line in said.splitlines() if line.startswith("  ")] == [*cli.PARTS]


def test_without_a_part_it_says_what_there_is_and_ends_with_2(capsys):
    assert cli.main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_an_unknown_part_is_named_with_the_valid_ones(capsys):
    assert cli.main(["studies", "optimizers"]) == 2
    assert capsys.readouterr().err == (
        "layersweep: error: there is no part 'studies'; valid: study, gallery, records, doctor\n"
    )


@pytest.mark.parametrize("part", cli.PARTS)
def test_help_of_a_part_imports_nothing_heavy(part):
    code = (
        "import sys; from layersweep import cli\n"
        f"try: cli.main([{part!r}, '--help'])\n"
        f"except SystemExit as end: assert not end.code; print('heavy:', sorted({HEAVY}))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert f"usage: layersweep {part}" in ended.stdout
    assert ended.stdout.endswith("heavy: []\n")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["records", "show", "optimizers"], "layersweep records show optimizers"),
        (["studies.optimizers", "--results", "r"], "layersweep study optimizers --results r"),
        (["studies.of_my_own"], "layersweep study of_my_own"),
        (["studies.gallery"], "layersweep gallery"),
        (["tuning.doctor", "cluster.yaml"], "layersweep doctor cluster.yaml"),
        (["tuning"], "layersweep --help"),
    ],
)
def test_a_command_of_before_says_the_one_of_now(before, now):
    ended = subprocess.run([sys.executable, "-m", *before], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"python -m {before[0]} is now: {now}\n"

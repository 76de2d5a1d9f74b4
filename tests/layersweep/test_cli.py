"""The command `layersweep`: its subcommands, its errors, its imports, and the new forms of former commands."""

import subprocess
import sys
from importlib import metadata

import pytest
from places import ROOT

from layersweep import cli

HEAVY = "{'ray', 'tensorflow', 'keras', 'polars', 'matplotlib', 'scipy'} & set(sys.modules)"


def test_help_names_every_subcommand(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: layersweep COMMAND")
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  ")] == [*cli.SUBCOMMANDS]


def test_without_a_subcommand_it_prints_the_help_and_ends_with_2(capsys):
    assert cli.main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_the_version_is_that_of_the_installed_package(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"layersweep {metadata.version('layersweep')}\n"


def test_an_unknown_subcommand_is_named_with_the_valid_ones(capsys):
    assert cli.main(["studies", "optimizers"]) == 2
    assert capsys.readouterr().err == (
        "layersweep: error: unknown command 'studies'; valid: study, watch, gallery, records, export, data, doctor\n"
    )


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "\u202e", "\udce9"])
def test_an_error_does_nothing_to_the_terminal(name, tmp_path, capsys):
    for words in (["study", "s"], ["records", "show", "s"], ["gallery"]):
        assert cli.main([*words, "--results", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert error.isascii()
        assert error.removesuffix("\n").isprintable()


@pytest.mark.parametrize("name", cli.SUBCOMMANDS)
def test_help_of_a_subcommand_imports_nothing_heavy(name):
    code = (
        "import sys; from layersweep import cli\n"
        f"try: cli.main([{name!r}, '--help'])\n"
        f"except SystemExit as end: assert not end.code; print('heavy:', sorted({HEAVY}))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert f"usage: layersweep {name}" in result.stdout
    assert result.stdout.endswith("heavy: []\n")


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
def test_a_former_command_names_the_new_one(before, now):
    result = subprocess.run([sys.executable, "-m", *before], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"python -m {before[0]} is now: {now}\n"

"""`layersweep export`: its errors, its lock, its progress."""

import io
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from filelock import FileLock
from places import ROOT

from layersweep import cli
from layersweep.exporters import command
from layersweep.exporters.command import TARGETS, export
from layersweep.project import install_command
from layersweep.records.errors import BusyError, ResultsError
from layersweep.terminal import Console

TO = ("export", "optimizers", "--to", "tensorboard")


def test_it_says_what_it_wrote_and_how_to_open_it(mixed, capsys):
    results = mixed.write()
    assert cli.main([*TO, "--results", str(results)]) == 0
    text = capsys.readouterr().out
    folder = results / "exported" / "tensorboard" / "optimizers"
    assert text.splitlines() == [
        "optimizers: 11 trials added",
        "left out, since not started: 1 trial",
        f"tensorboard  {folder}",
        f"open it with  uv run tensorboard --logdir {folder}",
    ]


def test_an_unknown_sweep_is_an_error_of_one_line(mixed, capsys):
    results = mixed.write()
    assert cli.main(["export", "optimisers", "--to", "tensorboard", "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert error == f"error: no results of sweep 'optimisers' in {results}; recorded sweeps: optimizers\n"


@pytest.mark.parametrize("tool", TARGETS)
def test_a_missing_package_is_named_with_the_command_that_installs_it(mixed, tool, exporter, monkeypatch):
    mixed.write()
    missing = TARGETS[tool].packages[-1]
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == missing else find_spec("json"))
    message = f"an export to {tool} needs {missing}, not installed here: {install_command(TARGETS[tool].extra)}"
    with pytest.raises(ResultsError, match=f"^{message}$"):
        exporter(mixed, tool)
    assert not exporter.out.exists()


def test_the_options_name_every_tool(capsys):
    assert cli.main(["export", "optimizers", "--to", "tensorboard", "--results", "/nonexistent"]) == 2
    with pytest.raises(SystemExit):
        cli.main(["export", "--help"])
    text = capsys.readouterr().out
    assert "{" + ",".join(TARGETS) + "}" in text
    assert "layersweep records export" in text


def test_a_sweep_without_a_started_trial_is_an_error(sweep, exporter):
    sweep.plan("adam", 1, "a")
    sweep.write()
    with pytest.raises(ResultsError, match="no trial of sweep 'optimizers' has started: there is nothing to export"):
        exporter(sweep, "tensorboard")
    assert not exporter.out.exists()


def test_two_exports_do_not_write_to_one_folder_at_once(mixed, exporter):
    mixed.write()
    exporter.out.mkdir()
    with FileLock(exporter.out / ".layersweep.lock"), pytest.raises(BusyError, match="another export writes to"):
        exporter(mixed, "tensorboard")
    exporter(mixed, "tensorboard")


def test_a_file_in_place_of_the_folder_is_an_error(mixed, exporter):
    mixed.write()
    exporter.out.write_text("")
    with pytest.raises(ResultsError, match=r"cannot write to .*out: "):
        exporter(mixed, "tensorboard")


def test_a_folder_that_is_not_utf_8_is_refused(mixed, exporter):
    mixed.write()
    exporter.out /= os.fsdecode(b"caf\xe9")
    with pytest.raises(ResultsError, match="is not UTF-8: give another --out"):
        exporter(mixed, "tensorboard")


def test_a_terminal_sees_the_progress(mixed, tmp_path):
    mixed.write()
    text = io.StringIO()
    console = Console(file=text, width=200, force_terminal=True)
    export(mixed.results, "optimizers", "tensorboard", out=tmp_path / "out", console=console)
    assert "0/11" in text.getvalue()
    assert "11 trials added" in text.getvalue()


def test_an_interrupted_export_ends_with_130(mixed, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "export", interrupt)
    assert cli.main([*TO]) == 130


def test_the_results_are_not_written_to(mixed, exporter):
    results = mixed.write()
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    exporter(mixed, "tensorboard")
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


def test_values_are_prepared_without_ray_and_keras(mixed):
    code = (
        "import sys; from pathlib import Path; from layersweep.exporters.sweep_values import sweep_values\n"
        f"assert sweep_values(Path({str(mixed.write())!r}), 'optimizers').trials\n"
        "assert not {'ray', 'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)

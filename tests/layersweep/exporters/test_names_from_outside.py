"""Names that want to be more than names: an export writes them, and nothing beside its folder."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from recorded_sweep import Sweep

from layersweep.exporters.command import TARGETS
from layersweep.exporters.sweep_values import sweep_values

NAMES = (
    "../../escape", "/etc/passwd", "a/b\\c", ".", "..", "", " ", "\n", "a\nb\r\nc", "\x1b[2J\x07", "a\x00b", "b\u202ec",
    "\ufffe", "x" * 3000, "\N{GRINNING FACE}" * 200, "con: #?%&*|<>\"'", "[red]x[/red]", "${x} {y} %s", "_wandb", "-rf",
    "~root", "-inf", "NaN", "sqlite://", "'; DROP TABLE runs; --", "wandb.x", "mlflow.user", "nested.key", "KEY", "key",
)  # fmt: skip
EXTREMES = [float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, 0.0]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def hostile(tmp_path: Path) -> Sweep:
    """Arms, keys, values, reasons and ids of these names; a curve of values that no one expects."""
    sweep = Sweep(tmp_path / "results" / "inner", "a: b?#%\n*")
    for number, name in enumerate(NAMES):
        config = {
            name: name,
            "key": name,
            "Key!": number,
            "Key?": 1 << 80,
            "big": 10.0 ** (number * 10),
            "half": "\ud800",
        }
        trial_id = name[:200] + str(number)
        sweep.plan(name, number, trial_id, config=config)
        ids = {"trial_id": trial_id, "attempt": 0}
        for epoch, value in enumerate(EXTREMES, 1):
            row = ids | {"epoch": epoch, "val_accuracy": value, "loss": value, "learning_rate": value}
            sweep.add("epochs", row)
        end = {"continuation": 0, "arm": name, "seed": number, "question": "comparison", "run": "r1", "epochs": 7}
        sweep.add("trials", ids | end | {"outcome": "completed", "reason": name, "epochs_asked": 7})
    sweep.run()
    return sweep


@pytest.mark.parametrize("tool", TARGETS)
def test_every_name_is_exported_and_nothing_is_written_elsewhere(hostile, tool, exporter, tmp_path, request):
    if any(importlib.util.find_spec(name) is None for name in TARGETS[tool].packages):
        pytest.skip(f"uv sync --group {TARGETS[tool].extra}")
    hostile.write()
    exporter.out.mkdir()
    if tool == "mlflow":
        shutil.copy(request.getfixturevalue("mlflow_store"), exporter.out)
    before = {*tmp_path.rglob("*")}
    text = exporter(hostile, tool)
    assert f"{len(NAMES)} trials added" in text
    assert "\x1b" not in text
    written = {*tmp_path.rglob("*")} - before
    assert all(path.is_relative_to(exporter.out) for path in written)
    assert f"0 trials added, {len(NAMES)} unchanged" in exporter(hostile, tool)


def test_no_text_has_a_hidden_character(hostile):
    values = sweep_values(hostile.write(), hostile.name)
    assert len({trial.file_id for trial in values.trials}) == len(NAMES)
    for trial in values.trials:
        for text in (
            values.sweep,
            trial.title,
            *trial.labels.values(),
            *trial.config,
            *map(str, trial.config.values()),
        ):
            assert text.replace("\n", "").replace("\t", "").isprintable()
            text.encode()


@pytest.mark.parametrize("folder", ["a b", "a?b=1", "a#b", "a%41", "ü:@", "a\nb", "-x"])
@pytest.mark.parametrize("tool", TARGETS)
def test_a_folder_of_any_name_is_written_to(sweep, tool, folder, tmp_path, exporter, request):
    if any(importlib.util.find_spec(name) is None for name in TARGETS[tool].packages):
        pytest.skip(f"uv sync --group {TARGETS[tool].extra}")
    sweep.trial("adam", 1, [0.5, 0.6, 0.7], trial_id="a")
    sweep.write()
    exporter.out = tmp_path / "out" / folder
    exporter.out.mkdir(parents=True)
    if tool == "mlflow":
        if {*folder} & {*"?%"}:
            pytest.skip("refused: tests/layersweep/exporters/test_to_mlflow.py")
        shutil.copy(request.getfixturevalue("mlflow_store"), exporter.out)
    before = {*tmp_path.rglob("*")}
    assert "1 trial added" in exporter(sweep, tool)
    written = {*tmp_path.rglob("*")} - before
    assert written
    assert all(path.is_relative_to(exporter.out) for path in written)
    assert "1 unchanged" in exporter(sweep, tool)

"""Arms that are not to be compared with each other: tables, pages and pictures of their own."""

from pathlib import Path

from recorded_sweep import Sweep

from layersweep.studies.earlier_records import EARLIER
from layersweep.studies.study import write_study
from layersweep.terminal import Console


def test_arms_on_other_classes_are_kept_apart(sweep: Sweep, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        for optimizer, level in (("adam", 0.1), ("sgd", 0.6)):
            sweep.trial(optimizer, seed, [0.1, 0.3, level + seed / 100], config={"optimizer": optimizer})
            config = {"optimizer": optimizer, "classes": "0-1"}
            name = f"optimizer={optimizer} classes=0-1"
            sweep.trial(name, seed, [0.5, 0.9, 0.99 - level / 100 + seed / 1000], config=config)
    console = Console(record=True, width=120)
    sweep.run(**EARLIER["alexnet"].columns)
    write_study(sweep.write(), "optimizers", out=tmp_path / "out", console=console)
    output = console.export_text()
    first, second = output.index("classes all"), output.index("classes 0-1")
    assert first < second
    assert "classes=0-1" not in output[first:second]
    assert "sgd is best" in output[first:second]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"optimizers_classes_{group}.{kind}" for group in ("all", "0-1") for kind in ("html", "png")
    }
    assert "(classes 0-1)" in (tmp_path / "out" / "optimizers_classes_0-1.html").read_text()

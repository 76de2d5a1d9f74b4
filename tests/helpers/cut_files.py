"""Saves checkpoints and what is remembered of networks, over and over: `python cut_files.py <results>`.

It says, as lines of JSON, what is safe from now on. See `power_cut`.
"""

import json
import sys
import zipfile
from pathlib import Path

from layersweep.records.values import Epoch
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.storage.network_cache import write_cache
from trainables.worker.training_server import _save

TRIAL = "ab12"


def save(path):
    """Writes a file as large as a small network, in several writes."""
    with zipfile.ZipFile(path, "w") as file:
        for name in ("metadata.json", "weights"):
            file.writestr(name, bytes(range(256)) * 20)


def main(results):
    folder = checkpoints.folder_of(results)
    for number in range(1, 7):
        values = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"), 0.5)
        seconds = dict.fromkeys(("build", "train", "validate", "test", "measure"), 0.0)
        epoch = Epoch(epoch=number, **values, **{f"seconds_{name}": s for name, s in seconds.items()}, save=save)
        path = folder / checkpoints.name(TRIAL, number)
        assert _save(epoch, path) is None
        checkpoints.delete(folder, TRIAL, but=[path])  # a slot keeps two: the one before, too
        write_cache(results / ".state" / "networks.json", {"number": number})
        sys.stdout.write(json.dumps({"safe": number}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

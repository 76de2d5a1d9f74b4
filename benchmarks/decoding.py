"""How fast a folder of JPEG files becomes a data set, and how soon it is there the next time.

Command: `python -m benchmarks.decoding`: 10,000 real pictures (Fashion-MNIST, enlarged to 64x64 in colour) as JPEG
files, decoded by a loop over Pillow in one process, and by `trainables.data.image_files.decoded` on all cores; then a
whole first and second `prepare`.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tyro

from benchmarks.report import RESULTS, Circumstances, Measurement, Out, Report, finish, ratio, say
from trainables.data import cache, dataset
from trainables.data.image_files import decoded, files_below
from trainables.hardware import cores

_SIDE: Final = 64


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    images: int = 10_000
    """How many files."""
    repeat: int = 3
    """Rounds."""
    out: Out = RESULTS
    """Where the table is written."""


def write(folder: Path, images: int) -> None:
    """Writes the files, a folder a class."""
    from PIL import Image

    prepared = dataset.prepare("fashion_mnist", images=images)
    train = prepared.split(0).train
    for number, (pixels, label) in enumerate(zip(np.asarray(train.images), train.labels, strict=True)):
        place = folder / str(label)
        place.mkdir(exist_ok=True)
        large = Image.fromarray(pixels[..., 0]).convert("RGB").resize((_SIDE, _SIDE))
        large.save(place / f"{number:05}.jpg", quality=90)


def by_pillow(paths: list[Path]) -> npt.NDArray[np.uint8]:
    """Decodes them one after the other."""
    from PIL import Image

    images = []
    for path in paths:
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB")))
    return np.stack(images)


def by_us(paths: list[Path]) -> npt.NDArray[np.uint8]:
    """Decodes them as a data set is."""
    return decoded(paths, strict=True, say=lambda _: None).images


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main(options: Options) -> None:
    """Runs the rounds and writes the table."""
    circumstances = Circumstances.now()
    taken: dict[str, list[float]] = {name: [] for name in ("pillow", "ours", "first", "second")}
    with tempfile.TemporaryDirectory(prefix="layersweep-decoding-") as name:
        folder = Path(name) / "images"
        folder.mkdir()
        say(f"writing {options.images:,} files")
        write(folder, options.images)
        paths = files_below(folder)
        for number in range(1, options.repeat + 1):
            say(f"round {number} of {options.repeat}")
            if not np.array_equal(by_pillow(paths), by_us(paths)):
                raise AssertionError("the two ways decode differently")
            taken["pillow"].append(seconds(lambda: by_pillow(paths)))
            taken["ours"].append(seconds(lambda: by_us(paths)))
            os.environ[cache.ENVIRONMENT] = str(Path(name) / f"cache-{number}")
            taken["first"].append(seconds(lambda: dataset.prepare("image_folder", folder=folder)))
            taken["second"].append(seconds(lambda: dataset.prepare("image_folder", folder=folder)))
    ideal = [one / cores() for one in taken["pillow"]]
    rows = [
        Measurement(case="Pillow, one process", measure="decode", unit="s", values=taken["pillow"]),
        Measurement(case=f"Pillow / {cores()} cores", measure="decode", unit="s", values=ideal),
        Measurement(case="Layersweep", measure="decode", unit="s", values=taken["ours"]),
        Measurement(case="first start", measure="prepare", unit="s", values=taken["first"]),
        Measurement(case="second start", measure="prepare", unit="s", values=taken["second"]),
    ]
    rows.append(ratio(rows[1], rows[2], case="Layersweep's share of Pillow's speed on all cores"))
    title = f"{options.images:,} JPEG files of {_SIDE}x{_SIDE} pixels"
    finish(Report(benchmark="decoding", title=title, circumstances=circumstances, measurements=rows), options.out)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

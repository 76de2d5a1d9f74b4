"""How fast a folder of JPEG files becomes a data set, and how fast the next start finds it.

Command: `python -m benchmarks.decoding`: 10,000 real pictures (Fashion-MNIST, enlarged to 64x64 in colour) as JPEG
files, decoded by a Pillow loop in one process, and by `trainables.data.image_files.decoded` on all cores; then a
whole first and second `prepare`.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tyro

from benchmarks.report import Circumstances, Measurement, ratio, say
from benchmarks.rounds import Rounds, RoundsOptions, timed
from trainables.data import cache, dataset
from trainables.data.image_files import decoded, files_below
from trainables.hardware import cores

_SIDE: Final = 64
_IDEAL: Final = f"Pillow / {cores()} cores"


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    images: int = 10_000
    """Number of files."""


def write(folder: Path, images: int) -> None:
    """Writes the files, one folder per class."""
    from PIL import Image

    data = dataset.prepare("fashion_mnist", images=images)
    train = data.split(0).train
    for number, (pixels, label) in enumerate(zip(np.asarray(train.images), train.labels, strict=True)):
        place = folder / str(label)
        place.mkdir(exist_ok=True)
        large = Image.fromarray(pixels[..., 0]).convert("RGB").resize((_SIDE, _SIDE))
        large.save(place / f"{number:05}.jpg", quality=90)


def by_pillow(paths: list[Path]) -> npt.NDArray[np.uint8]:
    """Decodes the files one after another with Pillow."""
    from PIL import Image

    images = []
    for path in paths:
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB")))
    return np.stack(images)


def by_us(paths: list[Path]) -> npt.NDArray[np.uint8]:
    """Decodes the files as a data set does."""
    return decoded(paths, strict=True, say=lambda _: None).images


def one_round(folder: Path, empty: Path) -> dict[str, float]:
    """The seconds of both ways to decode, of a start with an empty cache, and of the next start."""
    paths = files_below(folder)
    if not np.array_equal(by_pillow(paths), by_us(paths)):
        raise AssertionError("the two ways decode differently")
    os.environ[cache.ENVIRONMENT] = str(empty)
    seconds = {"Pillow, one process": timed(lambda: by_pillow(paths))[1]}
    seconds[_IDEAL] = seconds["Pillow, one process"] / cores()
    seconds["Layersweep"] = timed(lambda: by_us(paths))[1]
    for start in ("first start", "second start"):
        seconds[start] = timed(lambda: dataset.prepare("image_folder", folder=folder))[1]
    return seconds


def measurements(rounds: Sequence[Mapping[str, float]]) -> list[Measurement]:
    """The rows of the table."""
    rows = {
        case: Measurement(
            case=case,
            measure="prepare" if "start" in case else "decode",
            unit="s",
            values=[one[case] for one in rounds],
        )
        for case in rounds[0]
    }
    share = ratio(rows[_IDEAL], rows["Layersweep"], case="Layersweep's share of Pillow's speed on all cores")
    return [*rows.values(), share]


def main(options: Options) -> None:
    """Runs the rounds and writes the table."""
    circumstances = Circumstances()
    with tempfile.TemporaryDirectory(prefix="layersweep-decoding-") as name:
        say(f"writing {options.images:,} files")
        write(Path(name), options.images)
        Rounds(
            benchmark="decoding",
            title=f"{options.images:,} JPEG files of {_SIDE}x{_SIDE} pixels",
            cases=[f"{options.images:,} files"],
            once=lambda _case, _number, folder: one_round(Path(name), folder / "cache"),
            rows=lambda rounds: measurements(*rounds.values()),
            circumstances=circumstances,
        ).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

"""Time and memory to prepare folders of pictures: by Layersweep, by Keras with its cache in a file, by Pillow alone.

Command: `python -m benchmarks.decoding`: 12 photos of 12 megapixels that are linked to 600 and to 6,000 names, and
8,000 JPEG files of 256x256. Each way runs in a process of its own. Memory is the peak of all its processes together,
imports included; a page that several share counts once (PSS).
"""

import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import tyro

from benchmarks.processes import run
from benchmarks.programs.prepare_pictures import WAYS
from benchmarks.report import Circumstances, Measurement, Readings, ratio, say, to_measurements
from benchmarks.rounds import Rounds, RoundsOptions

_PHOTOS: Final = 12
_WATCH_SECONDS: Final = 0.05
_PREPARE: Final = ("prepare", "s")
_PEAK: Final = ("memory of all processes, peak", "MiB")


@dataclass(frozen=True, kw_only=True)
class Options(RoundsOptions):
    """What to measure."""

    links: tuple[int, ...] = (600, 6000)
    """Numbers of names for the 12 photos of 12 megapixels."""
    images: int = 8000
    """Number of JPEG files of 256x256."""
    side: int = 128
    """Width and height that the pictures are brought to."""


def write_photos(folder: Path, links: Sequence[int]) -> dict[str, Path]:
    """Folders in which the same photos have these numbers of names, half of them in each of two classes."""
    from PIL import Image

    (folder / "photos").mkdir(parents=True)
    for number in range(_PHOTOS):
        small = np.random.default_rng(number).integers(0, 255, (75, 100, 3), dtype=np.uint8)
        size = ((4032, 3024), (3024, 4032))[number % 2]
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(folder / "photos" / f"{number}.jpg")
    cases = {}
    for names in links:
        case = cases[f"{_PHOTOS} photos, {names:,} names"] = folder / str(names)
        for name in range(names):
            (case / "ab"[name % 2]).mkdir(parents=True, exist_ok=True)
            (case / "ab"[name % 2] / f"{name}.jpg").hardlink_to(folder / "photos" / f"{name % _PHOTOS}.jpg")
    return cases


def write_images(folder: Path, images: int) -> dict[str, Path]:
    """A folder of JPEG files of 256x256 in two classes."""
    from PIL import Image

    for number in range(images):
        small = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        place = folder / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((256, 256), Image.Resampling.BICUBIC).save(place / f"{number}.jpg", quality=90)
    return {f"{images:,} JPEG files of 256x256": folder}


def tree_bytes(process: psutil.Process) -> int:
    """The memory of all children of a process and of their children; a shared page counts once in all."""
    total = 0
    for child in process.children(recursive=True):
        try:
            full = child.memory_full_info()
            total += getattr(full, "pss", full.rss)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total


@contextmanager
def watched_peak() -> Iterator[list[int]]:
    """Watches the memory of this process' children; the list's last entry is the peak so far."""
    peaks, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_WATCH_SECONDS):
            peaks.append(max(peaks[-1], tree_bytes(psutil.Process())))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        ended.set()
        watcher.join()


def once(way: str, case: Path, side: int, folder: Path) -> Readings:
    """Prepares a case in one way, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.programs.prepare_pictures", way, case, folder / "out", side]
    with watched_peak() as peaks:
        run(command, log=folder / "log")
    return {_PREPARE: float((folder / "out" / "seconds").read_text()), _PEAK: peaks[-1] / (1 << 20)}


def measurements(rounds: Mapping[tuple[str, str], Sequence[Readings]]) -> list[Measurement]:
    """The rows of the table: all readings, and how Layersweep's peak grows with the number of names."""
    rows = [row for (case, way), readings in rounds.items() for row in to_measurements(f"{case}: {way}", readings)]
    peaks = [row for row in rows if row.case.endswith("names: Layersweep") and row.unit == _PEAK[1]]
    return [*rows, *(ratio(more, peaks[0], case=f"{more.case}, to the fewest") for more in peaks[1:])]


def main(options: Options) -> None:
    """Runs the rounds and writes the table."""
    circumstances = Circumstances()
    with tempfile.TemporaryDirectory(prefix="layersweep-decoding-") as name:
        say("writing the pictures")
        folders = write_photos(Path(name) / "linked", options.links) | write_images(Path(name) / "many", options.images)
        Rounds(
            benchmark="decoding",
            title=f"folders of pictures prepared at {options.side}x{options.side}, once each",
            cases=[(case, way) for case in folders for way in WAYS],
            once=lambda case, _number, folder: once(case[1], folders[case[0]], options.side, folder),
            rows=measurements,
            label=": ".join,
            circumstances=circumstances,
        ).run(options)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))

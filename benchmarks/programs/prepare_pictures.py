"""Prepares a folder of pictures, a folder for each class, once: with Layersweep, with Keras, or with Pillow alone.

Writes the seconds that it took, without the imports, into the file `seconds` of its folder.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final


def by_layersweep(folder: Path, out: Path, side: int) -> Callable[[], object]:
    """As a sweep prepares its data: the size of each trial, a test part, both files in the cache."""
    from trainables.data import cache
    from trainables.data.dataset import prepare
    from trainables.data.pictures.picture_list import Fitting
    from trainables.data.pictures.variants import PictureOptions

    os.environ[cache.ENVIRONMENT] = str(out)
    return lambda: prepare("image_folder", folder=folder, pictures=PictureOptions(fittings=(Fitting(image_size=side),)))


def by_keras(folder: Path, out: Path, side: int) -> Callable[[], object]:
    """As Keras' guide does it, with its cache in a file; the first pass fills it."""
    os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
    import keras

    def passed() -> int:
        images = keras.utils.image_dataset_from_directory(str(folder), image_size=(side, side), shuffle=False)
        return sum(1 for _ in images.cache(str(out / "keras")))

    return passed


def by_pillow(folder: Path, out: Path, side: int) -> Callable[[], object]:
    """A loop in one process, which writes the pictures one behind another."""
    from PIL import Image

    def loop() -> None:
        with (out / "pillow").open("wb") as file:
            for path in sorted(folder.glob("*/*")):
                with Image.open(path) as image:
                    small = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
                file.write(small.tobytes())

    return loop


WAYS: Final[Mapping[str, Callable[[Path, Path, int], Callable[[], object]]]] = {
    "Layersweep": by_layersweep,
    "Keras": by_keras,
    "Pillow": by_pillow,
}
"""What prepares a folder, by name: it imports what it needs, and returns the work."""


def main() -> None:
    """Prepares a folder in one of the ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("side", type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    work = WAYS[options.way](options.folder, options.out, options.side)
    start = time.perf_counter()
    work()
    (options.out / "seconds").write_text(str(time.perf_counter() - start))


if __name__ == "__main__":
    main()

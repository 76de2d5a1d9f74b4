"""Decodes the pictures of a list straight into the arrays of a data set, on all cores, in bounded memory."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from trainables.data import cache
from trainables.data.arrays import ARRAYS, Arrays
from trainables.data.leftovers import scratch_folder
from trainables.data.pictures.all_cores import on_all_cores
from trainables.data.pictures.appearance import DamagedError, NoPictureError, appearance, memory_bytes, opened
from trainables.data.pictures.image_file import ImageFile
from trainables.data.pictures.picture_file import Item, item_lists, streams
from trainables.data.pictures.picture_list import PARTS, Fitting, PictureList
from trainables.data.pictures.survey import Survey, report, report_damage, say_empty_classes
from trainables.data.sources import Say

VERSION: Final = 1
"""Changes whenever a picture is decoded to other pixels than before."""

_BASE_MEMORY: Final = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What was decoded.

    Attributes:
        validation_rows: the number of pictures of a given validation part, the last of the training file.
        damages: why pictures that could be opened could not be decoded, by their places in the list.
    """

    validation_rows: int
    damages: dict[int, str]


def decode(
    pictures: PictureList, summary: Survey, folder: Path, fitting: Fitting, *, say: Say, strict: bool
) -> Decoded:
    """Writes the four arrays of a data set into a folder; a given validation part is the last of the training file.

    Rows are in the order of the list; the images have one channel if all are grey, else three. A picture that turns
    out to be damaged is named, and its row is taken out.

    Raises:
        DataError: if strict and a picture is damaged, or a file changes while it is read.
        OSError: if there is no room.
    """
    openable = [place for place in range(len(pictures.pictures)) if summary.digests[place]]
    by_part = {part: [place for place in openable if pictures.pictures[place].part == part] for part in PARTS}
    size = (fitting.image_size, fitting.image_size) if fitting.image_size else summary.native
    channels = 1 if summary.grey else 3
    say(f"decoding {len(openable):,} pictures to {size[0]}x{size[1]} …")
    rows = {"train": by_part["train"] + by_part["validation"], "test": by_part["test"]}
    files = [
        ImageFile.reserved(folder / f"{file}_images.npy", (len(places), size[1], size[0], channels))
        for file, places in rows.items()
    ]
    lists = item_lists(pictures.pictures, summary.states, rows["train"] + rows["test"])
    memory = _BASE_MEMORY + max(map(memory_bytes, summary.sizes))
    damages: dict[int, str] = {}
    for part_damages in on_all_cores(partial(_decode, files=files, fitting=fitting), lists, memory, say):
        damages |= part_damages
    report_damage(pictures, summary, damages, strict=strict, say=say)
    for (name, places), file in zip(rows.items(), files, strict=True):
        file.remove([row for row, place in enumerate(places) if place in damages])
        labels = [pictures.pictures[place].label for place in places if place not in damages]
        np.save(folder / f"{name}_labels.npy", np.array(labels, dtype=np.int64))
    if damages:
        say_empty_classes(pictures, set(openable) - set(damages), say)
    return Decoded(validation_rows=len(set(by_part["validation"]) - set(damages)), damages=damages)


def decoded_arrays(pictures: PictureList, summary: Survey, *, strict: bool, say: Say) -> Arrays:
    """The data set as arrays of files without names: only the parts that are read take memory.

    Raises:
        DataError: as `decode` does.
        OSError: if there is no room.
    """
    report(pictures, summary, strict=strict, say=say)
    with scratch_folder() as folder:
        decode(pictures, summary, folder, Fitting(), say=say, strict=strict)
        arrays = {name: cache.open_array(folder, name) for name in ARRAYS}
    return Arrays(**arrays, classes=pictures.classes)


def _decode(items: list[Item], *, files: Sequence[ImageFile], fitting: Fitting) -> dict[int, str]:
    """Decodes some pictures into their rows; the reasons why others cannot be, by their places in the list."""
    damages = {}
    with contextlib.ExitStack() as stack:
        descriptors = [stack.enter_context(file.opened()) for file in files]
        for stream in streams(items):
            first_test = files[0].shape[0]
            number, row = (0, stream.item.row) if stream.item.row < first_test else (1, stream.item.row - first_test)
            try:
                with stream.content as content, opened(content, stream.name, claimed=True) as image:
                    files[number].write(descriptors[number], row, pixels(image, files[number].shape, fitting))
            except (DamagedError, NoPictureError) as error:
                damages[stream.item.place] = str(error)
    return damages


def pixels(image: Image.Image, shape: tuple[int, int, int, int], fitting: Fitting) -> npt.NDArray[np.uint8]:
    """An opened picture as a row (height, width, channels) of an array of this shape."""
    shown = appearance(image, (shape[2], shape[1]), fitting)
    return np.asarray(shown.convert("L" if shape[3] == 1 else "RGB")).reshape(shape[1:])

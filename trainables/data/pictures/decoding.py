"""Decodes pictures into arrays (a small inside until the decoding is merged)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from trainables.data.pictures.picture_list import Fitting, PictureList
from trainables.data.pictures.survey import Survey
from trainables.data.sources import Say

VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What was decoded."""

    validation_rows: int


def decode(  # noqa: PLR0917
    pictures: PictureList,
    summary: Survey,
    folder: Path,
    fitting: Fitting,
    say: Say,
    strict: bool,  # noqa: ARG001
) -> Decoded:
    """Writes the arrays of a variant."""
    say(f"decoding to {folder}")
    native = max(summary.sizes.items(), key=lambda item: (item[1], item[0]))[0]
    scale = min(1, 512 / max(native))
    size = (fitting.image_size,) * 2 if fitting.image_size else (round(native[0] * scale), round(native[1] * scale))
    validation_rows = 0
    for file, parts in (("train", ("train", "validation")), ("test", ("test",))):
        images, labels = [], []
        for part in parts:
            for index, picture in enumerate(pictures.pictures):
                if picture.part != part or not summary.digests[index]:
                    continue
                with Image.open(picture.path) as image:
                    images.append(np.asarray(image.convert("L" if summary.grey else "RGB").resize(size)))
                labels.append(picture.label)
                validation_rows += part == "validation"
        np.save(folder / f"{file}_images.npy", np.array(images).reshape(len(images), size[1], size[0], -1))
        np.save(folder / f"{file}_labels.npy", np.array(labels, dtype=np.int64))
    return Decoded(validation_rows=validation_rows)

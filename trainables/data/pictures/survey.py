"""What a set of pictures is, without decoding it (a small inside until the survey is merged)."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from trainables.data.pictures.picture_list import PictureList
from trainables.data.sources import Say
from trainables.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a set of pictures is."""

    sizes: Counter[tuple[int, int]]
    grey: bool
    damages: Mapping[int, str]
    digests: Sequence[str]


def survey(pictures: PictureList, say: Say) -> Survey:  # noqa: ARG001
    """Reads all pictures."""
    sizes: Counter[tuple[int, int]] = Counter()
    digests, damages, grey = [], {}, True
    for index, picture in enumerate(pictures.pictures):
        try:
            with Image.open(picture.path) as image:
                sizes[image.size] += 1
                grey = grey and image.mode in ("1", "L")
                digests.append(hashlib.sha256(picture.path.read_bytes()).hexdigest())
        except OSError as error:
            damages[index] = str(error)
            digests.append("")
    return Survey(sizes=sizes, grey=grey, damages=damages, digests=digests)


def report(pictures: PictureList, summary: Survey, *, strict: bool, say: Say) -> None:  # noqa: ARG001
    """Says what cannot be read."""
    if summary.damages and strict:
        raise DataError(f"{len(summary.damages)} pictures cannot be read. Without --strict they are left out")

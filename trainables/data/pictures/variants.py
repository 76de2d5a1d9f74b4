"""Variants of a set of pictures: decoded once for each size that trials need, all with the same rows and one split.

A variant is a folder in the cache, named after the content of the pictures, then after their size and how they are
brought to it. What the name says of the content depends neither on size nor on files' names nor on their folder.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from trainables.data import cache
from trainables.data.pictures.columns import Columns
from trainables.data.pictures.decoding import VERSION, decode
from trainables.data.pictures.picture_list import LARGEST, Fitting, PictureList, at_most_largest
from trainables.data.pictures.survey import Survey, damage_text, report, say_copies, say_damage, survey
from trainables.data.sources import PictureSource, Say, log
from trainables.data.splits import stratified_mask

TEST_SHARE: Final = 1 / 6
"""The share of the training pictures that become the test part if there is none."""


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """How pictures are prepared.

    Attributes:
        fittings: the sizes to decode them to.
        columns: the columns of a table; None to find them.
        advice: a line that is said after what was understood of the files.
    """

    fittings: Sequence[Fitting] = (Fitting(),)
    columns: Columns | None = None
    advice: str = ""


def stored(fitting: Fitting, native: tuple[int, int], *, mixed: bool) -> Fitting:
    """How pictures of this most frequent size are stored for a trial.

    Small ones of one size keep it, and the network enlarges them. If there are several sizes (`mixed`), each picture is
    brought to the trial's size at once. Without a size of the trial, large ones have at most `LARGEST` pixels.
    """
    if fitting.image_size and (mixed or max(native) > min(fitting.image_size, LARGEST)):
        return fitting
    return replace(fitting, image_size=0)


def stored_size(fitting: Fitting, native: tuple[int, int], *, mixed: bool) -> tuple[int, int]:
    """The width and height of stored pictures."""
    if image_size := stored(fitting, native, mixed=mixed).image_size:
        return image_size, image_size
    return at_most_largest(native)


def folder_name(name: str, fingerprint: str, fitting: Fitting, size: tuple[int, int]) -> str:
    """The name of a variant's folder in the cache, with pictures of this width and height."""
    width, height = size
    return f"{name}-{fingerprint}-{width}x{height}-{fitting.fit}-{fitting.resizing}"


def folder_of(source: PictureSource, place: Path, options: PictureOptions, strict: bool, say: Say) -> Path:
    """The folder of the first variant in the cache; the variants that are missing are made. The caller holds the lock.

    Raises:
        DataError: if there are no pictures, or none can be read; with strict, if one is damaged.
    """
    pictures = source.pictures(place, columns=options.columns, say=say)
    for line in filter(None, (pictures.layout, *pictures.notes, options.advice)):
        say(line)
    summary = survey(pictures, say)
    native, mixed = summary.common, len(summary.sizes) > 1
    sizes = [stored_size(fitting, native, mixed=mixed) for fitting in options.fittings]
    report(pictures, summary, strict=strict, say=say, stored=sizes, fittings=options.fittings)
    pictures = with_test_part(pictures, summary)
    say_copies(pictures, summary, say)
    fingerprint = fingerprint_of(pictures, summary)
    folders = []
    for fitting in dict.fromkeys(stored(fitting, native, mixed=mixed) for fitting in options.fittings):
        size = stored_size(fitting, native, mixed=mixed)
        folder = cache.cache_root() / folder_name(source.NAME, fingerprint, fitting, size)
        folders.append(folder)
        if cache.is_intact(folder):
            damage = cache.Facts.of(folder).damage
            say_damage(damage, strict=strict, say=say if folder == folders[0] else log)
            continue
        with cache.replacement(folder) as new_folder:
            decoded = decode(pictures, summary, new_folder, fitting, say=say, strict=strict)
            facts = cache.Facts(
                classes=pictures.classes,
                native=native,
                mixed=mixed,
                validation_rows=decoded.validation_rows,
                damage=damage_text(pictures, summary, decoded.damages),
            )
            cache.seal(new_folder, facts)
    return folders[0]


def fingerprint_of(pictures: PictureList, summary: Survey) -> str:
    """16 hexadecimal digits that stand for the pictures' content, classes and parts, and for how they are decoded."""
    digest = hashlib.sha256(json.dumps([VERSION, pictures.classes]).encode())
    for index, picture in enumerate(pictures.pictures):
        if summary.digests[index]:
            digest.update(f"{picture.part} {picture.label} {summary.digests[index]}\n".encode())
    return digest.hexdigest()[:16]


def with_test_part(pictures: PictureList, summary: Survey) -> PictureList:
    """The pictures; if none belongs to a test part, a sixth of each class of those for training does then."""
    parts = {picture.part for picture in pictures.pictures}
    if "test" in parts:
        return pictures
    indices = [
        index for index, picture in enumerate(pictures.pictures) if picture.part == "train" and summary.digests[index]
    ]
    labels = np.array([pictures.pictures[index].label for index in indices], dtype=np.int64)
    test = {indices[place] for place in np.flatnonzero(stratified_mask(labels, TEST_SHARE))}
    return replace(
        pictures,
        pictures=[
            replace(picture, part="test") if index in test else picture
            for index, picture in enumerate(pictures.pictures)
        ],
    )

"""Looks at each picture of a list without decoding it: its content's hash, its size, and whether it can be opened."""

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from trainables.data.cache import cache_root
from trainables.data.pictures.all_cores import on_all_cores
from trainables.data.pictures.appearance import (
    BombError,
    DamagedError,
    NoPictureError,
    claims_picture,
    is_grey,
    opened,
    shown_size,
)  # fmt: skip
from trainables.data.pictures.picture_file import (
    Item,
    NoRegularFileError,
    State,
    Stream,
    item_lists,
    name,
    states,
    streams,
)  # fmt: skip
from trainables.data.pictures.picture_list import Fitting, Picture, PictureList, at_most_largest
from trainables.data.sources import Say
from trainables.errors import DataError

VERSION: Final = 1
_BLOCK: Final = 1 << 20
_EXAMPLES: Final = 5
_SIZES: Final = 3
_MEMORY: Final = 64 << 20
"""Bytes that a process takes at most while it opens pictures."""


class Look(NamedTuple):
    """What is known of a picture that was opened, or why it was not.

    Attributes:
        digest: the SHA-256 of its content; empty if it cannot be opened.
        width: as it is shown.
        height: as it is shown.
        grey: whether it has no colours.
        damage: why it cannot be opened.
        stranger: why it is no picture.
        too_large: the whole error message of a decompression bomb.
    """

    digest: str = ""
    width: int = 0
    height: int = 0
    grey: bool = True
    damage: str = ""
    stranger: str = ""
    too_large: str = ""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of the pictures of a list before they are decoded; all by their places in the list.

    Attributes:
        sizes: the number of pictures of each width and height, as they are shown.
        grey: whether all that can be opened are grey.
        digests: the SHA-256 of the content of each that can be opened, else an empty text.
        damages: why a picture cannot be opened.
        no_pictures: why a file is no picture at all.
        states: the state of each picture's file when it was read.
    """

    sizes: Counter[tuple[int, int]]
    grey: bool
    digests: Sequence[str]
    damages: Mapping[int, str]
    no_pictures: Mapping[int, str]
    states: Sequence[State]

    @property
    def common(self) -> tuple[int, int]:
        """The most frequent width and height, the larger one of a tie."""
        return max(self.sizes.items(), key=lambda item: (item[1], item[0]))[0]

    @property
    def native(self) -> tuple[int, int]:
        """The most frequent width and height, made smaller if they exceed `LARGEST`."""
        return at_most_largest(self.common)


def survey(pictures: PictureList, say: Say) -> Survey:
    """Opens each picture, on all cores; the result is remembered while no file changes.

    Raises:
        DataError: if a file may not be read, changes meanwhile, or is a decompression bomb; if nothing can be opened.
        OSError: if the cache cannot be written.
    """
    present = states(pictures.pictures)
    note = cache_root() / "surveys" / f"{_stamp(pictures.pictures, present)}.json"
    looks = _remembered(note, len(pictures.pictures))
    if looks is None:
        say(f"reading {len(pictures.pictures):,} files …")
        by_place: dict[int, Look] = {}
        lists = item_lists(pictures.pictures, present, range(len(pictures.pictures)))
        for part in on_all_cores(_looks, lists, _MEMORY, say):
            by_place |= part
        looks = [by_place[place] for place in range(len(pictures.pictures))]
        _refuse_bombs(looks)
        _remember(note, looks)
    return _survey(pictures, looks, present)


def report(
    pictures: PictureList,
    summary: Survey,
    *,
    strict: bool,
    say: Say,
    stored: Sequence[tuple[int, int]] = (),
    fittings: Sequence[Fitting] = (Fitting(),),
) -> None:
    """Says which files are no pictures, which are damaged, and the sizes of all, with those that they are stored at.

    Raises:
        DataError: if strict and a picture is damaged.
    """
    if summary.no_pictures:
        verb = "is no picture" if len(summary.no_pictures) == 1 else "are no pictures"
        count = f"{len(summary.no_pictures):,} of {len(pictures.pictures):,} files"
        say(f"{count} {verb}: {examples(pictures, summary.no_pictures)}")
    report_damage(pictures, summary, summary.damages, strict=strict, say=say)
    say_empty_classes(pictures, [place for place, digest in enumerate(summary.digests) if digest], say)
    say(f"pictures: {_sizes(summary.sizes)}{_stored(summary, stored, fittings)}")


def report_damage(
    pictures: PictureList, summary: Survey, damages: Mapping[int, str], *, strict: bool, say: Say
) -> None:
    """Says which pictures cannot be read, or refuses them."""
    say_damage(damage_text(pictures, summary, damages), strict=strict, say=say)


def damage_text(pictures: PictureList, summary: Survey, damages: Mapping[int, str]) -> str:
    """How many pictures cannot be read, and why the first of them; empty if all can be read."""
    total = len(pictures.pictures) - len(summary.no_pictures)
    count = f"{len(damages):,} of {total:,} pictures cannot be read"
    return f"{count}: {examples(pictures, damages)}" if damages else ""


def say_damage(text: str, *, strict: bool, say: Say) -> None:
    """Says what `damage_text` has said, or refuses it."""
    if text and strict:
        raise DataError(f"{text}. Without --strict they are left out")
    if text:
        say(f"{text}. They are left out")


def examples(pictures: PictureList, reasons: Mapping[int, str]) -> str:
    """The first files with their reasons, and how many more there are."""
    shown = "; ".join(f"{name(pictures.pictures[place])}: {reasons[place]}" for place in sorted(reasons)[:_EXAMPLES])
    return f"{shown}; and {len(reasons) - _EXAMPLES:,} more" if len(reasons) > _EXAMPLES else shown


def say_empty_classes(pictures: PictureList, sound: Iterable[int], say: Say) -> None:
    """Names each class that has no sound picture; a sweep is refused unless it leaves the class out."""
    labels = {pictures.pictures[place].label for place in sound}
    for label in sorted({picture.label for picture in pictures.pictures} - labels):
        n = sum(picture.label == label for picture in pictures.pictures)
        say(f"class {pictures.classes[label]!r} has no picture that can be read: none of its {n:,} files")


def say_copies(pictures: PictureList, summary: Survey, say: Say) -> None:
    """Says loudly which pictures to validate or test with are pictures to train with as well, byte by byte."""
    rows = list(zip(pictures.pictures, summary.digests, strict=True))
    train = {digest for picture, digest in rows if picture.part == "train" and digest}
    for part in ("validation", "test"):
        digests = [(picture, digest) for picture, digest in rows if picture.part == part and digest]
        copies = [picture for picture, digest in digests if digest in train]
        if copies:
            what = f"{len(copies):,} of {len(digests):,} {part} images are training images, too"
            say(f"WARNING: {what}, such as {name(copies[0])}: what is measured on them says too much")


def _stored(summary: Survey, stored: Sequence[tuple[int, int]], fittings: Sequence[Fitting]) -> str:
    """The sizes that pictures are stored at, if they are not simply their own, and how to choose others if none are."""
    if not stored or (len(summary.sizes) == 1 and summary.common in stored):
        return ""
    sizes = " and ".join(f"{width}x{height}" for width, height in dict.fromkeys(stored))
    why = ", the most frequent size" if summary.common in stored else ""
    shapes = {width * summary.common[1] == height * summary.common[0] for width, height in summary.sizes}
    advice = []
    if not any(fitting.image_size for fitting in fittings):
        advice.append("--set image_size=96 chooses another")
    if len(shapes) > 1 and all(fitting.fit == Fitting.fit for fitting in fittings):
        advice.append("--fit pad keeps proportions")
    return f"; stored at {sizes}{why}" + (f" ({', '.join(advice)})" if advice else "")


def _sizes(sizes: Counter[tuple[int, int]]) -> str:
    frequent = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    if len(frequent) == 1:
        (width, height), n = frequent[0]
        return f"{n:,}, all of {width}x{height}"
    parts = [f"{n:,} of {width}x{height}" for (width, height), n in frequent[:_SIZES]]
    if rest := frequent[_SIZES:]:
        parts.append(f"{sum(n for _, n in rest):,} of {len(rest):,} other sizes")
    return ", ".join(parts)


def _survey(pictures: PictureList, looks: Sequence[Look], present: Sequence[State]) -> Survey:
    openable = [look for look in looks if look.digest]
    damages = {place: look.damage for place, look in enumerate(looks) if look.damage}
    strangers = {place: look.stranger for place, look in enumerate(looks) if look.stranger}
    if not openable:
        reasons = damages or strangers
        first = f"; the first: {examples(pictures, dict(list(reasons.items())[:1]))}" if reasons else ""
        raise DataError(f"none of {len(looks):,} files is a picture that can be read{first}")
    return Survey(
        sizes=Counter((look.width, look.height) for look in openable),
        grey=all(look.grey for look in openable),
        digests=[look.digest for look in looks],
        damages=damages,
        no_pictures=strangers,
        states=present,
    )


def _stamp(pictures: Sequence[Picture], present: Sequence[State]) -> str:
    digest = hashlib.sha256(f"{VERSION}\n".encode())
    for picture, (size, changed) in zip(pictures, present, strict=True):
        digest.update(os.fsencode(picture.path.absolute()) + f"\0{picture.row} {size} {changed}\n".encode())
    return digest.hexdigest()[:16]


def _remembered(note: Path, n: int) -> list[Look] | None:
    try:
        looks = [Look(*row) for row in json.loads(note.read_bytes()) if len(row) == len(Look._fields)]
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return looks if len(looks) == n else None


def _remember(note: Path, looks: Sequence[Look]) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    part = note.with_suffix(f".{os.getpid()}")
    with part.open("w") as file:
        for start, look in zip(itertools.chain("[", itertools.repeat(",")), looks, strict=False):
            file.write(f"{start}\n{json.dumps(look)}")
        file.write("\n]")
    part.replace(note)


def _refuse_bombs(looks: Sequence[Look]) -> None:
    bombs = [look.too_large for look in looks if look.too_large]
    if bombs:
        more = f"; {len(bombs) - 1:,} more have too many, too" if len(bombs) > 1 else ""
        raise DataError(f"{bombs[0]}{more}")


def _looks(items: list[Item]) -> dict[int, Look]:
    """Opens some pictures; by their places in the list."""
    return {stream.item.place: _look(stream) for stream in streams(items)}


def _look(stream: Stream) -> Look:
    try:
        with stream.content as file:
            image = opened(file, stream.name, claimed=stream.file is None or claims_picture(stream.file))
            (width, height), grey = shown_size(image), is_grey(image)
            file.seek(0)
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
            return Look(digest=digest.hexdigest(), width=width, height=height, grey=grey)
    except BombError as error:
        return Look(too_large=str(error))
    except (NoPictureError, NoRegularFileError) as error:
        return Look(stranger=str(error))
    except DamagedError as error:
        return Look(damage=str(error))
    except OSError as error:
        return Look(damage=error.strerror or str(error))

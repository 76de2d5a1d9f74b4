"""The pictures of a data set before any is prepared for training, whatever they come from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from layersweep.data_check.thumbnails import Bytes, Thumbnails
from trainables.data.dataset import Data, prepare
from trainables.data.pictures.all_cores import on_all_cores
from trainables.data.pictures.appearance import (
    DamagedError,
    NoPictureError,
    appearance,
    memory_bytes,
    opened,
    shown_size,
)
from trainables.data.pictures.decoding import pixels
from trainables.data.pictures.picture_file import Item, item_lists, streams
from trainables.data.pictures.picture_list import LARGEST, PARTS, Fitting, Picture, PictureList
from trainables.data.pictures.survey import Survey, survey
from trainables.data.pictures.variants import stored, stored_size, with_test_part
from trainables.data.sources import PICTURES, PictureSource, Say, source
from trainables.errors import DataError

if TYPE_CHECKING:
    from trainables.data.pictures.columns import Columns

_Indices: TypeAlias = npt.NDArray[np.int64]

TRAIN, VALIDATION, TEST = range(len(PARTS))
_BASE_MEMORY: Final = 64 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """A data set's pictures that can be used, sorted by part and class, and what is wrong with the others.

    Attributes:
        title: what the data set is called.
        layout: how its files were understood.
        notes: one line for each thing that is not used, or was decided.
        names: of each picture.
        labels: (n,) the index of each picture's class.
        parts: (n,) the index of each picture's part in `PARTS`.
        draws_test: whether the test part was drawn from the pictures for training.
        damages: the names of pictures that cannot be read, with the reason.
        strangers: the names of files that are no pictures, with the reason.
        digests: of the content of each picture's file; of images that come as arrays, numbers that all differ.
        images: the pictures with these indices, as training reads them at a size, (k, height, width, channels).
        native: width and height of most pictures.
        fits: whether pictures are brought to a size before training; else the network resizes them.
        problem: why it cannot be trained on as it is; empty if it can.
    """

    title: str
    layout: str
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...]
    names: Sequence[str]
    labels: _Indices
    parts: _Indices
    draws_test: bool = False
    damages: Sequence[tuple[str, str]] = ()
    strangers: Sequence[tuple[str, str]] = ()
    thumbnails: Thumbnails
    digests: Sequence[str]
    images: Callable[[Sequence[int], Fitting], Bytes] = field(repr=False)
    native: tuple[int, int]
    fits: bool
    problem: str = ""

    @property
    def counts(self) -> _Indices:
        """The number of pictures of each class in each part, (classes, parts)."""
        table = np.zeros((len(self.classes), len(PARTS)), dtype=np.int64)
        np.add.at(table, (self.labels, self.parts), 1)
        return table


def collection(name: str, folder: Path | None, columns: "Columns | None", say: Say) -> Collection:
    """The pictures of a data set.

    Raises:
        DataError: if it is missing, is not understood, or has fewer than two classes; with what is valid.
        OSError: if the cache cannot be written.
    """
    data_source = source(name, folder)
    if isinstance(data_source, PictureSource):
        place = data_source.find(folder, say=say)
        return _of_pictures(data_source.pictures(place, columns=columns, say=say), place, say)
    if columns is not None:
        raise DataError("--columns is not valid here: these are arrays; valid: with a table, or Parquet or Arrow files")
    return _of_arrays(prepare(name, folder=folder, say=say), folder, say)


def _of_pictures(listed: PictureList, place: Path, say: Say) -> Collection:
    for line in (listed.layout, *listed.notes):
        say(line)
    look = survey(listed, say)
    openable = [index for index in range(len(listed.pictures)) if look.digests[index]]
    say(f"decoding {len(openable):,} pictures …")
    thumbnails = Thumbnails.empty(len(listed.pictures))
    memory = _BASE_MEMORY + max(map(memory_bytes, look.sizes))
    broken: dict[int, str] = {}
    for places, part, damages in on_all_cores(
        _thumbnails, item_lists(listed.pictures, look.states, openable), memory, say
    ):
        thumbnails.put(places, part)
        broken |= damages
    split = with_test_part(listed, look).pictures
    usable = [index for index in openable if index not in broken]
    usable.sort(key=lambda index: (PARTS.index(split[index].part), split[index].label, index))
    pictures = [split[index] for index in usable]
    damaged = {**look.damages, **broken}
    names = _names([*pictures, *(listed.pictures[k] for k in (*damaged, *look.no_pictures))], place)
    rest = iter(names[len(pictures) :])
    usable_pictures = Collection(
        title=place.resolve().name or str(place),
        layout=listed.layout,
        notes=listed.notes,
        classes=listed.classes,
        names=names[: len(pictures)],
        labels=np.array([picture.label for picture in pictures], dtype=np.int64),
        parts=np.array([PARTS.index(picture.part) for picture in pictures], dtype=np.int64),
        draws_test=not any(picture.part == "test" for picture in listed.pictures),
        damages=[(next(rest), reason) for reason in damaged.values()],
        strangers=[(next(rest), reason) for reason in look.no_pictures.values()],
        thumbnails=thumbnails.at(usable),
        digests=[look.digests[index] for index in usable],
        images=partial(_decoded, listed=listed, look=look, usable=usable),
        native=look.common,
        fits=True,
    )
    return replace(usable_pictures, problem=_problem(usable_pictures))


def _thumbnails(items: list[Item]) -> tuple[list[int], Thumbnails, dict[int, str]]:
    """The thumbnails of some pictures, their places in the list, and why others cannot be decoded, by place."""
    thumbnails = Thumbnails.empty(len(items))
    places: list[int] = []
    damages: dict[int, str] = {}
    for stream in streams(items):
        try:
            with stream.content as content, opened(content, stream.name, claimed=True) as image:
                size = shown_size(image)
                scale = min(1.0, LARGEST / max(size))
                shown = appearance(image, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))), Fitting())
                thumbnails.set(len(places), shown, size)
        except (DamagedError, NoPictureError) as error:
            damages[stream.item.place] = str(error)
        else:
            places.append(stream.item.place)
    return places, thumbnails.at(range(len(places))), damages


def _decoded(
    indices: Sequence[int], fitting: Fitting, *, listed: PictureList, look: Survey, usable: Sequence[int]
) -> Bytes:
    """Some pictures by the functions that write the arrays of a trial."""
    native, mixed = look.common, len(look.sizes) > 1
    width, height = stored_size(fitting, native, mixed=mixed)
    images = np.zeros((len(indices), height, width, 1 if look.grey else 3), dtype=np.uint8)
    places = [usable[index] for index in indices]
    for items in item_lists(listed.pictures, look.states, places):
        for stream in streams(items):
            with stream.content as content, opened(content, stream.name, claimed=True) as image:
                images[stream.item.row] = pixels(image, images.shape, stored(fitting, native, mixed=mixed))
    return images


def _names(pictures: Sequence[Picture], place: Path) -> list[str]:
    """The pictures' files as seen from the folder, and the row of each in a file of rows."""
    root = (place if place.is_dir() else place.parent).absolute()
    roots = [root, root.resolve()]
    names = []
    for picture in pictures:
        path = picture.path.absolute()
        path = next((path.relative_to(root) for root in roots if path.is_relative_to(root)), path)
        names.append(str(path) if picture.row is None else f"{path}, row {picture.row}")
    return names


def _of_arrays(data: Data, folder: Path | None, say: Say) -> Collection:
    arrays: dict[str, Any] = {file: data.images(file) for file in ("train", "test")}
    numbers = {file: len(data.labels(file)) for file in arrays}
    parts = np.repeat(
        [TRAIN, VALIDATION, TEST],
        [numbers["train"] - data.validation_rows, data.validation_rows, numbers["test"]],
    )
    labels = np.concatenate([data.labels("train"), data.labels("test")])
    rows = [(file, row) for file in arrays for row in range(numbers[file])]
    say(f"reading {len(rows):,} images …")
    thumbnails = Thumbnails.empty(len(rows))
    for index, (file, row) in enumerate(rows):
        image = arrays[file][row]
        shown = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        thumbnails.set(index, shown, shown.size)
    height, width, channels = data.image_shape
    return Collection(
        title=folder.name if folder and data.name == "npz" else data.name,
        layout=f"{data.name}: arrays of {width}x{height} pixels with {channels} channel{'s' if channels > 1 else ''}",
        classes=data.classes,
        names=[f"{file} {row}" for file, row in rows],
        labels=labels,
        parts=parts,
        thumbnails=thumbnails,
        digests=[str(index) for index in range(len(rows))],
        images=lambda indices, _: np.stack([arrays[file][row] for file, row in (rows[index] for index in indices)]),
        native=(width, height),
        fits=False,
        problem=data.problem,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _ListedData(Data):
    """A data set of which nothing but the labels is known.

    Attributes:
        listed_labels: of the files `train`, whose last rows are the given validation part, and `test`.
    """

    listed_labels: Mapping[str, _Indices]

    def labels(self, file: str) -> _Indices:
        """All labels of a file."""
        return self.listed_labels[file]

    @property
    def refusal(self) -> str:
        """Why a sweep refuses this data; empty if it does not."""
        return self._with_sizes().problem


def _problem(pictures: Collection) -> str:
    """Why these pictures cannot be trained on as they are."""
    train, validation, test = (pictures.labels[pictures.parts == part] for part in range(len(PARTS)))
    return _ListedData(
        listed_labels={"train": np.concatenate([train, validation]), "test": test},
        name=PICTURES,
        folder=Path(),
        fingerprint="",
        classes=pictures.classes,
        class_indices=tuple(range(len(pictures.classes))),
        image_shape=(*pictures.native[::-1], 3),
        train_images=0,
        validation_images=0,
        test_images=0,
        majority_share=0.0,
        validation_rows=len(validation),
        native=pictures.native,
    ).refusal

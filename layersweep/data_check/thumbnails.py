"""A small grey and a coarse coloured version of each picture, by which copies are recognised."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE: Final = 32
"""Width and height of the grey version, in pixels."""

_FREQUENCIES: Final = 8
_BLOCKS: Final = 4
_FLAT: Final = 1.5
"""A standard deviation of grey levels, out of 255: below it, a picture shows nothing that could be compared."""

Floats: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Thumbnails:
    """What is remembered of each of n pictures: 1.1 kB, whatever their size.

    Attributes:
        digests: (n,) of the pixels, 16 bytes each; of a large picture, those of its smaller version.
        sizes: (n, 2) width and height as shown.
        grey: (n, SIZE, SIZE) grey levels.
        contrast: (n,) the standard deviation of the grey levels.
        colour: (n, 2, blocks, blocks) blue and red difference, as in JPEG; 128 is grey.
    """

    digests: npt.NDArray[np.void]
    sizes: npt.NDArray[np.int64]
    grey: Bytes
    contrast: Floats
    colour: Bytes

    @classmethod
    def empty(cls, n: int) -> "Thumbnails":
        """Room for n pictures."""
        return cls(
            digests=np.zeros(n, "V16"),
            sizes=np.zeros((n, 2), np.int64),
            grey=np.zeros((n, SIZE, SIZE), np.uint8),
            contrast=np.zeros(n, np.float32),
            colour=np.full((n, 2, _BLOCKS, _BLOCKS), 128, np.uint8),
        )

    def set(self, place: int, shown: Image.Image, size: tuple[int, int]) -> None:
        """Remembers a picture, in mode L or RGB, and the size that it has in its file."""
        self.sizes[place] = size
        self.digests[place] = pixel_digest(shown, size)
        filter_ = Image.Resampling.BOX if min(shown.size) >= 2 * SIZE else Image.Resampling.BILINEAR
        small = shown.resize((SIZE, SIZE), filter_)
        self.grey[place] = np.asarray(small.convert("L"))
        self.contrast[place] = self.grey[place].std()
        if small.mode == "RGB":
            differences = np.asarray(small.convert("YCbCr"))[..., 1:].transpose(2, 0, 1)
            blocks = differences.reshape(2, _BLOCKS, SIZE // _BLOCKS, _BLOCKS, SIZE // _BLOCKS)
            self.colour[place] = blocks.mean((2, 4)).round()

    def put(self, places: Sequence[int], others: "Thumbnails") -> None:
        """Copies the thumbnails of other pictures to these places."""
        for name, values in vars(others).items():
            getattr(self, name)[places] = values

    def at(self, places: Sequence[int]) -> "Thumbnails":
        """Those at some places."""
        return Thumbnails(**{name: values[np.asarray(places, dtype=np.int64)] for name, values in vars(self).items()})

    @property
    def flat(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a picture is of nearly one grey level."""
        return self.contrast < _FLAT


def pixel_digest(image: Image.Image, size: tuple[int, int]) -> bytes:
    """16 bytes that are equal for equal pixels and sizes; a coloured picture whose channels are equal is a grey one."""
    pixels = np.asarray(image)
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():  # noqa: PLR2004 (height, width, channels)
        pixels = pixels[..., 0]
    header = f"{pixels.shape} {size}".encode()
    return hashlib.blake2b(header + np.ascontiguousarray(pixels).tobytes(), digest_size=16).digest()


def hashes(grey: Bytes, *, mirrored: bool = False) -> Floats:
    """The perceptual hashes (n, 63): lowest frequencies but the mean, of length 1; their dot product is a correlation.

    Mirroring a picture changes the sign of each odd horizontal frequency.
    """
    frequencies = np.arange(_FREQUENCIES)[:, None]
    basis = np.cos(np.pi / SIZE * (np.arange(SIZE) + 0.5) * frequencies) / np.where(frequencies == 0, np.sqrt(2), 1)
    basis = basis.astype(np.float32)
    coefficients = np.empty((len(grey), _FREQUENCIES, _FREQUENCIES), np.float32)
    for first in range(0, len(grey), 4096):
        coefficients[first : first + 4096] = basis @ grey[first : first + 4096].astype(np.float32) @ basis.T
    if mirrored:
        coefficients[:, :, 1::2] *= -1
    flat: Any = coefficients.reshape(-1, _FREQUENCIES**2)[:, 1:]
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), dtype=np.float32)

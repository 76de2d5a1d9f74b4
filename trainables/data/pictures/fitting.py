"""Brings a picture to the size that is stored: stretched, cropped or padded."""

from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image

RESIZINGS: Final = {"bilinear": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}

_GAP: Final = 2.0
"""A picture of more than twice the size is first reduced by a whole number: faster, in less memory."""


def fitted(image: Image.Image, size: tuple[int, int], fit: str, resizing: str) -> Image.Image:
    """The picture at this width and height; unchanged if it has them.

    Args:
        image: in mode L, RGB, CMYK or LAB.
        size: width and height in pixels.
        fit: `stretch` changes the proportions, `crop` cuts what is beyond the middle, `pad` adds black bars.
        resizing: `bilinear` or `nearest`.
    """
    return image if image.size == size else FITS[fit](image, size, RESIZINGS[resizing])


def _stretch(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    return _resized(image, size, (0, 0, *image.size), resampling)


def _crop(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    scale = min(image.width / size[0], image.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, min(left + width, image.width), min(top + height, image.height))
    return _resized(image, size, box, resampling)


def _pad(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = tuple(max(1, round(side * scale)) for side in image.size)
    width, height = min(inner[0], size[0]), min(inner[1], size[1])
    black = Image.new(image.mode, size, (0, 0, 0, 255) if image.mode == "CMYK" else 0)
    small = _resized(image, (width, height), (0, 0, *image.size), resampling)
    black.paste(small, ((size[0] - width) // 2, (size[1] - height) // 2))
    return black


def _resized(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float], resampling: Image.Resampling
) -> Image.Image:
    gap = _GAP if resampling == Image.Resampling.BILINEAR else None
    return image.resize(size, resampling, box, reducing_gap=gap)


FITS: Final[Mapping[str, Callable[[Image.Image, tuple[int, int], Image.Resampling], Image.Image]]] = {
    "stretch": _stretch, "crop": _crop, "pad": _pad,
}  # fmt: skip
"""How a picture is brought to another shape, by the value of the key `fit`."""

"""One picture as a person sees it in a viewer: upright, on white, in sRGB, its first frame, with 8 bits a channel."""

import contextlib
import functools
import io
import mimetypes
import struct
import warnings
import zlib
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import AvifImagePlugin, Image, ImageCms, ImageFile, PngImagePlugin, UnidentifiedImageError

from trainables.data.pictures.fitting import fitted
from trainables.data.pictures.picture_file import picture_file
from trainables.data.pictures.picture_list import Fitting
from trainables.errors import DataError

UNREADABLE: Final = (
    OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, AttributeError, AssertionError, EOFError,
    OverflowError, ZeroDivisionError, RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow's readers raise for a damaged file: each reads its format in its own way."""

_ELSEWHERE: Final = frozenset({"EPS", "FPX", "IPTC", "MIC", "MPEG"})
"""Formats without a decoder of Pillow's own: Ghostscript draws EPS; IPTC holds a file of any format."""
_GREY: Final = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_DEEP: Final = _GREY - {"1", "L", "LA", "La"}
_BYTES_A_PIXEL: Final = 12
"""Memory for a picture while it is decoded: its pixels, those of a second mode, and NumPy's."""
_ORIENTATION: Final = 0x0112
_WHITE_IS_ZERO: Final = 262
_BITS: Final = 258
_TRANSPOSED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE: Final = 5
"""From this orientation on, width and height change places."""
_SCREEN_GAMMA: Final = 2.2
_SLIGHT: Final = 0.05
"""A difference in gamma that viewers ignore."""
_INVISIBLE: Final = 2
"""A difference, of 256 levels, that rounding makes."""
_GAMMAS: Final = (0.1, 10.0)

# A profile of several megabytes is no attack; Pillow's limit is one megabyte.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20
# Pictures are decoded on all cores anyway.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class NoPictureError(Exception):
    """A file that is in none of the formats, and does not claim to be."""


class DamagedError(Exception):
    """A picture that cannot be read."""


class BombError(DataError):
    """A picture of more pixels than Pillow's limit."""


def _formats() -> tuple[str, ...]:
    """The raster formats that Pillow decodes by itself: no stubs, nothing that another package has added.

    Those without a signature come last, because they might take a file of another format for one of theirs.
    """
    Image.init()
    names = [
        name
        for name, (factory, _) in Image.OPEN.items()
        if factory.__module__.startswith("PIL.")
        and name not in _ELSEWHERE
        and not (isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile))
    ]
    return tuple(sorted(names, key=lambda name: (Image.OPEN[name][1] is None, name)))


FORMATS: Final = _formats()
"""The formats that are read, by content, whatever a file's name says."""


def may_be_picture(path: Path) -> bool:
    """Whether a file has the name of a picture, or its content is one."""
    if claims_picture(path):
        return True
    try:
        with picture_file(path) as file, opened(file, str(path), claimed=False):
            return True
    except (NoPictureError, DamagedError, OSError):
        return False
    except BombError:
        return True


def claims_picture(path: Path) -> bool:
    """Whether a file's name says that it is a picture, of whatever format."""
    kind, suffix = mimetypes.guess_type(path.name, strict=False)[0] or "", path.suffix.lower()
    return kind.startswith("image/") or Image.EXTENSION.get(suffix) in FORMATS or suffix in _PHOTOS


_PHOTOS: Final = frozenset({".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".raf", ".exr"})
"""Suffixes of pictures that Python's table of types may lack."""
_FOREIGN: Final = {
    b"%!PS": "PostScript",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "XML or SVG",
    b"<html": "a web page",
    b"<!doctype html": "a web page",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cjxl ": "JPEG XL",
    b"version https://git-lfs": "a pointer of Git LFS, in place of the file",
}
_BRANDS: Final = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}


def opened(file: IO[bytes], name: str, *, claimed: bool) -> Image.Image:
    """A picture of which the header is read.

    Args:
        file: its content.
        name: how it is named in an error.
        claimed: whether it is said to be a picture.

    Raises:
        NoPictureError: if it is none, and is not said to be one.
        DamagedError: if it is said to be one, or its pixels are not read.
        BombError: if it has more pixels than Pillow's limit.
    """
    start = _start(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise _not_identified(start, claimed) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BombError(
            f"{name} has too many pixels; valid: at most {Image.MAX_IMAGE_PIXELS:,} pixels a picture ({_line(error)})"
        ) from error
    except UNREADABLE as error:
        raise (DamagedError if claimed else NoPictureError)(_line(error)) from error
    if image.format == "FITS" and any(tile.codec_name == "fits_gzip" for tile in image.tile):
        raise DamagedError("compressed FITS is not read: a small file may unfold to any size")
    return image


def _start(file: IO[bytes]) -> bytes:
    start = file.read(64)
    file.seek(0)
    return start


def _not_identified(start: bytes, claimed: bool) -> Exception:
    kind = next((kind for mark, kind in _FOREIGN.items() if start.lstrip().lower().startswith(mark.lower())), None)
    if start[4:8] == b"ftyp" and start[8:12] in _BRANDS:
        kind = "HEIC; convert it to JPEG or PNG"
    if not start:
        kind = "empty"
    if not claimed:
        return NoPictureError(f"it is {kind}" if kind else "it is in no format of pictures")
    return DamagedError(f"it is {kind}" if kind else "it is in no format of pictures, or its first bytes are damaged")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def shown_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened picture as it is shown, upright."""
    width, height = image.size
    return (height, width) if _orientation(image) >= _ON_ITS_SIDE else (width, height)


def is_grey(image: Image.Image) -> bool:
    """Whether an opened picture has no colours."""
    return image.mode in _GREY


def memory_bytes(size: tuple[int, int]) -> int:
    """The most memory that decoding a picture of this size takes."""
    return size[0] * size[1] * _BYTES_A_PIXEL


def appearance(image: Image.Image, size: tuple[int, int], fitting: Fitting) -> Image.Image:
    """An opened picture as it is shown, fitted to this width and height; in mode L if it is grey, else RGB.

    Raises:
        DamagedError: if it cannot be decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _appearance(image, size, fitting)
    except UNREADABLE as error:
        raise DamagedError(_line(error)) from error


def _appearance(image: Image.Image, size: tuple[int, int], fitting: Fitting) -> Image.Image:
    orientation = _orientation(image)
    if fitting.resizing == "bilinear":
        width, height = (size[1], size[0]) if orientation >= _ON_ITS_SIDE else size
        image.draft(None, (2 * width, 2 * height))  # a JPEG is decoded at 1/2, 1/4 or 1/8 of its size
    image.load()
    facts = image.info
    plain = _plain(image)
    if orientation in _TRANSPOSED:
        plain = plain.transpose(_TRANSPOSED[orientation])
    return _in_srgb(fitted(plain, size, fitting.fit, fitting.resizing), facts, image.format)


def _orientation(image: Image.Image) -> int:
    """The orientation that a picture's file names, 1 to 8; Pillow itself turns a TIFF upright."""
    if image.format == "TIFF":
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = image.getexif().get(_ORIENTATION, 1)
    except UNREADABLE:
        return 1
    return orientation if orientation in _TRANSPOSED else 1


def _plain(image: Image.Image) -> Image.Image:
    """The picture in mode L, RGB, CMYK or LAB, on white where it is transparent."""
    if image.mode in _DEEP:
        return _eight_bits(image)
    if image.mode == "RGB" and "transparency" in image.info:
        image.info["transparency"] = _eight_bit_colour(image.info["transparency"])
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        grey = image.mode in _GREY
        with_alpha = image.convert("LA" if grey else "RGBA")
        alpha = with_alpha.getchannel("A")
        if image.format in ("TGA", "BMP", "DIB") and alpha.getextrema()[1] == 0:
            return with_alpha.convert("L" if grey else "RGB")  # these formats leave the fourth byte unused
        background = Image.new("L" if grey else "RGB", image.size, "white")
        background.paste(with_alpha.convert(background.mode), mask=alpha)
        return background
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _eight_bit_colour(colour: Any) -> Any:
    """The colour that is transparent in a picture whose 16 bits a channel Pillow has cut to 8."""
    if isinstance(colour, tuple) and max(colour) > np.iinfo(np.uint8).max:
        return tuple(value >> 8 for value in colour)
    return colour


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture of 16 or 32 bits, or of floating-point numbers, as viewers show it."""
    values = np.asarray(image)
    transparent = image.info.get("transparency")
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16"):
        bits = tags.get(_BITS, (16,))[0]
        grey = (values >> (bits - 8 if 8 < bits < 16 else 8)).astype(np.uint8)  # noqa: PLR2004 (12 bits, in a TIFF)
    else:
        low, high = _range(values, image)
        scaled = np.nan_to_num((values.astype(np.float32) - low) * (255 / (high - low)), nan=0, posinf=255, neginf=0)
        grey = np.clip(scaled, 0, 255).astype(np.uint8)
    if tags.get(_WHITE_IS_ZERO) == 0:
        grey = ~grey
    if isinstance(transparent, int):
        grey = np.where(values == transparent, np.uint8(255), grey)
    return Image.fromarray(grey)


def _range(values: npt.NDArray[Any], image: Image.Image) -> tuple[float, float]:
    """The values that are shown black and white: those of the type, where the numbers fit it, else the extremes."""
    if image.format == "PPM" and image.mode == "I":
        return 0, 65535
    sound = values[np.isfinite(values)]
    low, high = (float(sound.min()), float(sound.max())) if sound.size else (0.0, 0.0)
    usual = (1.0, 255.0) if image.mode == "F" else (255.0, 65535.0)
    top = next((top for top in usual if low >= 0 and high <= top), None)
    return (0, top) if top else (low, high if high > low else low + 1)


def _in_srgb(image: Image.Image, facts: dict[str | tuple[int, int], Any], file_format: str | None) -> Image.Image:
    """The colours that the file means, in mode L or RGB; a profile that is broken or for another mode is ignored."""
    if profile := facts.get("icc_profile"):
        with contextlib.suppress(ImageCms.PyCMSError, *UNREADABLE):
            return _by_profile(image, profile)
    if image.mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), _SRGB, "LAB", "RGB")
        return ImageCms.applyTransform(image, transform) or image
    if image.mode == "CMYK":
        return image.convert("RGB")
    gamma = facts.get("gamma")
    if file_format != "PNG" or "srgb" in facts or profile or not isinstance(gamma, float):
        return image
    exponent = 1 / (gamma * _SCREEN_GAMMA) if _GAMMAS[0] <= gamma * _SCREEN_GAMMA <= _GAMMAS[1] else 1
    if abs(exponent - 1) <= _SLIGHT:
        return image
    table = [round(255 * (value / 255) ** exponent) for value in range(256)]
    return image.point(table * len(image.getbands()))


_SRGB: Final = ImageCms.createProfile("sRGB")


def _by_profile(image: Image.Image, content: bytes) -> Image.Image:
    """The picture in sRGB.

    Raises:
        PyCMSError: if the profile is broken, or for another mode.
    """
    transform = _transform(content, image.mode)
    if transform is None:
        return image
    shown = ImageCms.applyTransform(image, transform)
    if shown is None:
        raise ValueError("the profile gives nothing")
    return shown.convert("L") if image.mode == "L" else shown


@functools.lru_cache(maxsize=8)
def _transform(content: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None if it changes no colour visibly, as most profiles of photos do not."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
    transform = ImageCms.buildTransform(profile, _SRGB, mode, "RGB")
    if mode not in ("L", "RGB"):
        return transform
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    probe = Image.fromarray(np.ascontiguousarray(colours if mode == "RGB" else colours[..., 0]))
    before, after = (np.asarray(one.convert("RGB")).astype(int) for one in (probe, transform.apply(probe)))
    return transform if np.abs(after - before).max() > _INVISIBLE else None

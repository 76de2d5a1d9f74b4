"""What a viewer shows is what is decoded: each way in which a file can say how it is to be shown."""

import gzip
import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from trainables.data.pictures.appearance import (
    FORMATS,
    BombError,
    DamagedError,
    NoPictureError,
    appearance,
    claims_picture,
    is_grey,
    may_be_picture,
    opened,
    shown_size,
)
from trainables.data.pictures.picture_list import Fitting

SIZE = (6, 4)
CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], dtype=np.uint8)
"""Red, green; blue, yellow: each orientation of it looks different."""


def content(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def seen(file_content, size=None, **fitting):
    """The picture as an array (height, width) or (height, width, 3), at its own size unless one is given."""
    with opened(io.BytesIO(file_content), "it", claimed=True) as image:
        return np.asarray(appearance(image, size or shown_size(image), Fitting(**fitting)))


def corners(array):
    """The colours of the four corners, as words."""
    words = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 0): "yellow"}
    places = [array[2, 2], array[2, -3], array[-3, 2], array[-3, -3]]
    return [words[tuple(int(value > 128) for value in place)] for place in places]


# formats


WRITTEN = {
    "AVIF": {"quality": 100}, "BMP": {}, "DDS": {}, "DIB": {}, "GIF": {}, "ICNS": {}, "ICO": {}, "IM": {}, "JPEG": {},
    "JPEG2000": {}, "MPO": {}, "PCX": {}, "PNG": {}, "PPM": {}, "QOI": {}, "SGI": {}, "TGA": {}, "TIFF": {},
    "WEBP": {"lossless": True},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:IM image format is deprecated")  # by Pillow 13, in what it writes
@pytest.mark.parametrize("kind", WRITTEN)
def test_each_format_that_pillow_writes_is_read_by_its_content(kind):
    array = seen(content(Image.new("RGB", (16, 16), (200, 100, 50)), kind, **WRITTEN[kind]), (16, 16))
    assert array.shape == (16, 16, 3)
    assert np.abs(array.astype(int) - (200, 100, 50)).max() <= 6


def test_the_formats_are_pillows_own_decoders():
    assert {"AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "PSD", "TGA", "TIFF", "WEBP"} <= set(FORMATS)
    assert FORMATS.index("TGA") > FORMATS.index("WEBP")  # whose signature is looked for first
    assert not {"BUFR", "EPS", "FPX", "GRIB", "HDF5", "IPTC", "MIC", "MPEG", "WMF"} & set(FORMATS)


def test_a_format_that_another_package_adds_is_none():
    script = (
        "from PIL import Image, ImageFile\n"
        "Image.init()\n"
        "class Other(ImageFile.ImageFile): format = 'OTHER'\n"
        "Image.register_open('OTHER', Other, lambda prefix: True)\n"
        "from trainables.data.pictures.appearance import FORMATS\n"
        "assert 'OTHER' not in FORMATS and 'PNG' in FORMATS\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("inside", ["alone", "in IPTC"])
def test_ghostscript_does_not_run(tmp_path, monkeypatch, inside):
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\n0 0 6 4 rectfill\nshowpage\n%%EOF\n"
    if inside == "in IPTC":
        fields = [(3, 60, b"\1\0"), (3, 20, b"\0\6"), (3, 30, b"\0\4"), (3, 120, b"\1"), (8, 10, eps)]
        eps = b"".join(b"\x1c" + bytes([a, b]) + struct.pack(">H", len(value)) + value for a, b, value in fields)
    with pytest.raises(DamagedError):
        seen(eps, SIZE)
    assert not (tmp_path / "ran").exists()


FOREIGN = {
    b"%!PS-Adobe": "PostScript", b"%PDF-1.7": "PDF", b"\n<svg xmlns=": "SVG", b"<!DOCTYPE html><p>404": "a web page",
    b"\0\0\0\x18ftypheic\0\0\0\0": "HEIC; convert it", b"version https://git-lfs.github.com/spec/v1": "Git LFS",
    b"": "it is empty", b"any text": "in no format of pictures",
}  # fmt: skip


@pytest.mark.parametrize("start", FOREIGN)
def test_what_is_no_picture_is_said(start):
    with pytest.raises(DamagedError, match=FOREIGN[start]):
        opened(io.BytesIO(start), "it", claimed=True)
    with pytest.raises(NoPictureError, match=r"it is "):
        opened(io.BytesIO(start), "it", claimed=False)


def test_a_name_claims_to_be_a_picture_in_any_case(tmp_path):
    for name in ("a.JPG", "b.Webp", "c.heic", "d.svg", "e.TIF", "f.jp2", "g.CR3"):
        assert claims_picture(tmp_path / name), name
    for name in ("Thumbs.db", "notes.txt", "labels.csv", "a", "a.npy", "movie.mp4", "weights.h5"):
        assert not claims_picture(tmp_path / name), name


def test_a_file_may_be_a_picture_by_its_name_or_its_content(tmp_path):
    (tmp_path / "hash_without_suffix").write_bytes(content(Image.new("RGB", SIZE), "PNG"))
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (tmp_path / "damaged.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    names = {path.name for path in tmp_path.iterdir() if may_be_picture(path)}
    assert names == {"hash_without_suffix", "damaged.png"}


def test_files_that_lie_beside_pictures_are_none():
    """None of them passes for one of the formats without a signature, such as TGA."""
    store = b"\0\0\0\1Bud1\0\0\x10\0\0\0\x08\0" + bytes(2000)
    others = [store, b"PK\3\4" + bytes(200), b"SQLite format 3\0" + bytes(100), b"\x93NUMPY\1\0" + bytes(120),
              b"file,label\n1.png,cat\n", b'{"a": 1}\n', b"P2 is a text\n", b"import os\n", bytes(4000),
              b"\0\0\0\x20ftypisom" + bytes(400), b"\x1f\x8b\x08\0" + bytes(60)]  # fmt: skip
    for start in others:
        with pytest.raises(NoPictureError):
            opened(io.BytesIO(start), "it", claimed=False)


# orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "MPO", "AVIF"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, "red green blue yellow"), (2, "green red yellow blue"), (3, "yellow blue green red"),
        (4, "blue yellow red green"), (5, "red blue green yellow"), (6, "blue red yellow green"),
        (7, "yellow green blue red"), (8, "green yellow red blue"),
    ],
)  # fmt: skip
def test_a_picture_is_turned_upright(kind, orientation, upright):
    image = Image.fromarray(CORNERS.repeat(16, axis=0).repeat(32, axis=1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind in ("JPEG", "MPO", "AVIF") else {}
    file_content = content(image, kind, exif=exif, **options)
    with opened(io.BytesIO(file_content), "it", claimed=True) as picture:
        assert shown_size(picture) == ((64, 32) if orientation < 5 else (32, 64))
    array = seen(file_content)
    assert corners(array) == upright.split()
    half = (16, 32) if orientation >= 5 else (32, 16)
    assert corners(seen(file_content, half)) == upright.split()


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0nothing", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0"]
)
def test_exif_that_is_broken_or_names_no_orientation_changes_nothing(exif):
    image = Image.fromarray(CORNERS.repeat(16, axis=0).repeat(32, axis=1))
    assert corners(seen(content(image, "JPEG", exif=exif, quality=95))) == ["red", "green", "blue", "yellow"]
    orientation = Image.Exif()
    orientation[0x0112] = 9
    assert seen(content(image, "JPEG", exif=orientation)).shape == (32, 64, 3)


# transparency


def transparent(mode):
    """Noise below full transparency on the left; on the right what is opaque."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (4, 6, 4), dtype=np.uint8)
    pixels[..., 3] = [0, 0, 0, 255, 255, 255]
    pixels[:, 3:, :3] = 90
    return Image.fromarray(pixels, "RGBA").convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("LA", "TIFF"), ("RGBA", "TGA"),
     ("RGBA", "ICO"), ("RGBA", "DDS"), ("RGBA", "JPEG2000"), ("RGBA", "QOI"), ("RGBA", "AVIF"), ("RGBA", "SGI")],
)  # fmt: skip
def test_what_is_transparent_is_white(mode, kind):
    options = (
        {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": "4:4:4"} if kind == "AVIF" else {}
    )
    if kind == "ICO":
        options = {"sizes": [SIZE]}
    array = seen(content(transparent(mode), kind, **options))
    assert (array[:, :3] >= 253).all()
    assert np.abs(array[:, 3:].astype(int) - 90).max() <= 3
    assert array.ndim == (2 if mode == "LA" else 3)


def test_half_transparent_is_halfway_to_white():
    array = seen(content(Image.new("RGBA", SIZE, (0, 100, 200, 128)), "PNG"))
    assert np.abs(array[0, 0].astype(int) - (127, 177, 227)).max() <= 1


@pytest.mark.parametrize("transparency", [1, b"\xff\0"])
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_colour_of_a_palette_may_be_transparent(kind, transparency):
    if kind == "GIF" and transparency != 1:
        pytest.skip("GIF names one colour")
    image = Image.new("P", SIZE, 0)
    image.putpalette([10, 20, 30, 200, 0, 200])
    image.paste(1, (3, 0, 6, 4))
    array = seen(content(image, kind, transparency=transparency))
    assert array[0, 0].tolist() == [10, 20, 30]
    assert array[0, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("mode", "colour"), [("L", 40), ("RGB", (40, 50, 60)), ("1", 0)])
def test_one_colour_of_a_png_without_a_palette_may_be_transparent(mode, colour):
    image = Image.new(mode, SIZE, colour)
    image.paste(
        "white" if mode == "1" else colour if mode == "1" else 90 if mode == "L" else (90, 90, 90), (3, 0, 6, 4)
    )
    array = seen(content(image, "PNG", transparency=colour))
    assert (array[:, :3] == 255).all()
    assert (array[:, 3:] == (255 if mode == "1" else 90)).all()


def test_a_transparent_level_of_16_bits_is_white():
    values = np.full((4, 6), 1000, dtype=np.uint16)
    values[:, 3:] = 40_000
    array = seen(content(Image.fromarray(values), "PNG", transparency=1000))
    assert array[0].tolist() == [255] * 3 + [40_000 >> 8] * 3


def test_a_fourth_byte_that_a_tga_leaves_unused_hides_nothing():
    assert (seen(content(Image.new("RGBA", SIZE, (9, 8, 7, 0)), "TGA")) == (9, 8, 7)).all()
    assert (seen(content(Image.new("RGBA", SIZE, (9, 8, 7, 0)), "PNG")) == 255).all()


# depth


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_grey_of_16_bits_keeps_its_levels(kind):
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    array = seen(content(Image.fromarray(values), kind))
    assert array.dtype == np.uint8
    assert np.abs(array.astype(int).ravel() - np.arange(256)).max() <= 1


def test_dark_levels_of_16_bits_stay_dark():
    """Viewers do not spread the levels of a PNG, PGM or TIFF."""
    values = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for kind in ("PNG", "PPM", "TIFF"):
        assert (seen(content(Image.fromarray(values), kind)) <= 1).all(), kind


def png(width, height, bits, colours, rows, chunks=()):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    lines = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(chunk(*one) for one in chunks)
        + chunk(b"IDAT", lines)
        + chunk(b"IEND", b"")
    )


def test_colours_of_16_bits_keep_their_high_bytes_and_what_is_transparent():
    pixel, other = struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC), struct.pack(">HHH", 0x4000, 0x5000, 0x6000)
    array = seen(png(2, 1, 16, 2, [pixel + other], [(b"tRNS", pixel)]))
    assert array[0].tolist() == [[255, 255, 255], [0x40, 0x50, 0x60]]


def tiff(values, **tags):
    """A grey TIFF without compression, of the array's own type."""
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    height, width = values.shape
    bits = tags.pop("bits", values.dtype.itemsize * 8)
    sample = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = tags.pop("data", values.tobytes())
    ifd.update({256: width, 257: height, 258: bits, 259: 1, 262: tags.pop("photometric", 1), 273: 0, 277: 1})
    ifd.update({278: height, 279: len(data), 339: sample})
    return b"II*\0" + struct.pack("<I", 8) + ifd.tobytes(8) + data


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 127, 255]),
        (np.array([[0, 128, 255]], np.float32), [0, 128, 255]),
        (np.array([[-1000, 0, 1000]], np.float32), [0, 127, 255]),
        (np.array([[np.nan, 0, 1]], np.float32), [0, 0, 255]),
        (np.array([[np.inf, 0, 1]], np.float32), [255, 0, 255]),
        (np.array([[7, 7, 7]], np.float32), [7, 7, 7]),
        (np.array([[0, 3, 255]], np.int32), [0, 3, 255]),
        (np.array([[0, 32768, 65535]], np.int32), [0, 127, 255]),
        (np.array([[-100, 0, 100]], np.int16), [0, 127, 255]),
        (np.array([[0, 1 << 15, (1 << 16) - 1]], np.uint16), [0, 128, 255]),
    ],
)  # fmt: skip
def test_numbers_of_a_tiff_become_levels(values, shown):
    assert np.abs(seen(tiff(values))[0].astype(int) - shown).max() <= 1


def test_in_a_tiff_white_may_be_zero():
    values = np.array([[0, 65535]], np.uint16)
    assert seen(tiff(values, photometric=0))[0].tolist() == [255, 0]


def test_12_bits_of_a_microscope_fill_the_range():
    packed = bytes([0xFF, 0xF8, 0x00, 0x00, 0x00, 0x00])  # 4095, 2048, 0, 0
    array = seen(tiff(np.zeros((1, 4), np.uint16), bits=12, data=packed))
    assert array[0].tolist() == [255, 128, 0, 0]


def test_black_and_white_is_grey():
    array = seen(content(Image.new("1", SIZE, 1), "PNG"))
    assert array.shape == (4, 6)
    assert (array == 255).all()


# colours


def profile(space):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


SRGB = profile("sRGB")


def swapped():
    """A profile in which red and green have changed places."""
    places = {}
    for index in range(struct.unpack(">I", SRGB[128:132])[0]):
        entry = 132 + 12 * index
        places[SRGB[entry : entry + 4]] = SRGB[entry + 4 : entry + 12]
    swapped_profile = SRGB
    for name, other in ((b"rXYZ", b"gXYZ"), (b"gXYZ", b"rXYZ")):
        entry = SRGB.index(name, 132)
        swapped_profile = swapped_profile[: entry + 4] + places[other] + swapped_profile[entry + 12 :]
    return swapped_profile.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be")).replace(
        b"sRGB built", b"xRGB built"
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "MPO"])
def test_a_profile_is_applied(kind):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind in ("JPEG", "MPO", "AVIF") else {}
    array = seen(content(Image.new("RGB", (16, 16), (250, 10, 10)), kind, icc_profile=swapped(), **options))
    red, green, blue = (int(value) for value in array[8, 8])
    assert green > 200
    assert red < 100
    assert blue < 100


@pytest.mark.parametrize("broken", [b"nothing", SRGB[:200], SRGB[:128] + bytes(len(SRGB) - 128), b"\0"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_profile_that_is_broken_or_for_another_mode_is_ignored(mode, broken):
    image = Image.new("RGB", (16, 16), (120, 120, 120)).convert(mode)
    plain = seen(content(image, "JPEG"))
    assert np.array_equal(seen(content(image, "JPEG", icc_profile=broken)), plain)
    if mode != "RGB":
        assert np.array_equal(seen(content(image, "JPEG", icc_profile=SRGB)), plain)


def test_srgb_changes_nothing():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8))
    assert np.array_equal(seen(content(image, "PNG", icc_profile=SRGB)), np.asarray(image))


def grey_profile(gamma):
    """A profile of a grey device: its white, and the exponent of its levels."""
    white, curve = (b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)), (
        b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    )  # fmt: skip
    tags = struct.pack(">I", 2) + struct.pack(">4sII", b"wtpt", 156, 20) + struct.pack(">4sII", b"kTRC", 176, 16)
    body = tags + white + curve
    header = struct.pack(">I4sI4s4s4s", 128 + len(body), bytes(4), 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + body


def test_a_profile_of_grey_is_applied_and_leaves_it_grey():
    linear = seen(content(Image.new("L", SIZE, 55), "PNG", icc_profile=grey_profile(1.0)))
    assert linear.ndim == 2
    assert np.abs(linear.astype(int) - 128).max() <= 3  # a fifth of the light is the middle of sRGB


def test_a_profile_of_two_megabytes_is_read():
    large = SRGB + bytes(2 << 20)
    large = struct.pack(">I", len(large)) + large[4:]
    assert (seen(content(Image.new("RGB", SIZE, (9, 8, 7)), "PNG", icc_profile=large)) == (9, 8, 7)).all()


@pytest.mark.parametrize(("gamma", "shown"), [(1 / 2.2, 128), (1.0, 186), (1 / 1.8, 145)])
def test_gamma_of_a_png_is_honoured(gamma, shown):
    def with_gamma(mode, colour):
        information = PngImagePlugin.PngInfo()
        information.add(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
        return content(Image.new(mode, SIZE, colour), "PNG", pnginfo=information)

    for mode, colour in (("L", 128), ("RGB", (128, 128, 128))):
        assert np.abs(seen(with_gamma(mode, colour)).astype(int) - shown).max() <= 3


@pytest.mark.parametrize("chunk", [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 0)), (b"gAMA", b"\xff\xff\xff\xff")])
def test_gamma_beside_srgb_or_out_of_range_changes_nothing(chunk):
    information = PngImagePlugin.PngInfo()
    if chunk[0] == b"sRGB":
        information.add(b"gAMA", struct.pack(">I", 100_000))
    information.add(*chunk)
    assert (seen(content(Image.new("L", SIZE, 128), "PNG", pnginfo=information)) == 128).all()


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_is_not_inverted(adobe):
    """A JPEG of CMYK is stored inverted, with the marker of Adobe or without it, as browsers read it."""
    light = content(Image.new("RGB", (16, 16), (230, 200, 180)).convert("CMYK"), "JPEG", quality=95)
    if not adobe:
        place = light.index(b"Adobe") - 4
        light = light[:place] + light[place + 16 :]
    assert np.abs(seen(light)[8, 8].astype(int) - (230, 200, 180)).max() <= 8


def test_cmyk_and_lab_of_a_tiff():
    cmyk = Image.new("RGB", SIZE, (230, 200, 180)).convert("CMYK")
    assert np.abs(seen(content(cmyk, "TIFF"))[0, 0].astype(int) - (230, 200, 180)).max() <= 2
    lab = Image.new("LAB", SIZE, (255, 128, 128))
    assert seen(content(lab, "TIFF")).min() >= 253


def test_colours_of_video_in_a_tiff():
    image = Image.new("RGB", (16, 16), (200, 100, 50)).convert("YCbCr")
    assert np.abs(seen(content(image, "TIFF"))[8, 8].astype(int) - (200, 100, 50)).max() <= 3


# several frames


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_of_several_frames_the_first_is_shown(kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    array = seen(content(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert np.abs(array[8, 8].astype(int) - (200, 0, 0)).max() <= 4


# size


def test_a_large_jpeg_is_decoded_small_and_looks_the_same():
    gradient = Image.fromarray(np.linspace(0, 255, 1600 * 1200).reshape(1200, 1600).astype(np.uint8))
    file_content = content(gradient, "JPEG", quality=95)
    small = seen(file_content, (64, 48)).astype(int)
    assert np.abs(small - np.asarray(gradient.resize((64, 48), Image.Resampling.BILINEAR))).max() <= 2
    with opened(io.BytesIO(file_content), "it", claimed=True) as image:
        appearance(image, (64, 48), Fitting())
        assert image.size == (200, 150)


def test_nearest_takes_pixels_as_they_are():
    array = seen(
        content(Image.fromarray(CORNERS.repeat(50, axis=0).repeat(50, axis=1)), "PNG"), (7, 7), resizing="nearest"
    )
    assert {tuple(pixel) for pixel in array.reshape(-1, 3)} == {tuple(pixel) for pixel in CORNERS.reshape(-1, 3)}


def test_nearest_takes_no_pixel_of_a_jpeg_that_is_decoded_small():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (800, 800, 3), dtype=np.uint8))
    file_content = content(noise, "JPEG", quality=95)
    with Image.open(io.BytesIO(file_content)) as image:
        nearest = np.asarray(image.resize((50, 50), Image.Resampling.NEAREST))
    assert np.array_equal(seen(file_content, (50, 50), resizing="nearest"), nearest)


def test_twice_is_the_same():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8))
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "JPEG2000"):
        file_content = content(noise, kind)
        assert np.array_equal(seen(file_content, (50, 40)), seen(file_content, (50, 40)))


# damage


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF", "TGA", "QOI"])
def test_one_that_is_cut_is_damaged(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    whole = content(noise, kind)
    with pytest.raises(DamagedError):
        seen(whole[: len(whole) // 2])


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_bomb_is_named_with_what_is_valid(side):
    with pytest.raises(BombError, match=rf"it has too many pixels; valid: at most .* pixels a picture .*{side * side}"):
        opened(io.BytesIO(png(side, side, 8, 0, [b"\0"])), "it", claimed=True)


def fits(*cards):
    return "".join(card.ljust(80) for card in [*cards, "END"]).encode().ljust(2880)


def test_compressed_fits_is_damage_and_plain_fits_is_not():
    """A small file of the compressed kind may unfold to any size."""
    plain = fits("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 4", "NAXIS2  = 3")
    assert seen(plain + bytes(range(12)).ljust(2880, b"\0")).shape == (3, 4)
    table = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 8", "NAXIS2  = 3", "ZIMAGE  = T",
             "ZCMPTYPE= 'GZIP_1  '", "ZBITPIX = 8", "ZNAXIS  = 2", "ZNAXIS1 = 4", "ZNAXIS2 = 3"]  # fmt: skip
    rows = b"".join(gzip.compress(bytes(range(k, k + 4))) for k in range(3))
    compressed = fits("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0") + fits(*table) + bytes(24) + rows
    with pytest.raises(DamagedError, match="compressed FITS is not read"):
        seen(compressed.ljust(4 * 2880, b"\0"))


@pytest.mark.parametrize(("mode", "grey"), [("1", True), ("L", True), ("LA", True), ("RGB", False), ("P", False)])
def test_grey_is_said_of_the_mode(mode, grey):
    image = Image.new("P", SIZE, 0) if mode == "P" else Image.new(mode, SIZE)
    with opened(io.BytesIO(content(image, "PNG")), "it", claimed=True) as picture:
        assert is_grey(picture) is grey

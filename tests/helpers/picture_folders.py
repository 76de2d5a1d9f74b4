"""Folders of pictures as people have them: each class has its own colour, so that a network can learn it.

Each function fills a folder, and says what is to come out of it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

HUES = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (200, 40, 200), (40, 200, 200)]


def picture(hue: int, seed: int, size: tuple[int, int] = (32, 32)) -> Image.Image:
    """Noise around a colour; width and height in pixels."""
    noise = np.random.default_rng([hue, seed]).integers(-40, 40, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(HUES[hue % len(HUES)]) + noise, 0, 255).astype(np.uint8))


def folder(path: Path, n: int, hue: int, suffix: str = "png", size: tuple[int, int] = (32, 32)) -> Path:
    """`n` pictures named 0, 1, …; other folders of the same colour have other noise."""
    path.mkdir(parents=True, exist_ok=True)
    first = sum(map(ord, str(path))) * 1000
    for k in range(n):
        picture(hue, first + k, size).save(path / f"{k}.{suffix}")
    return path


def parts(out: Path, sizes: dict[str, int], classes: Sequence[str] = ("cats", "dogs")) -> Path:
    """A folder for each part, with a folder for each class."""
    for part, n in sizes.items():
        for hue, name in enumerate(classes):
            folder(out / part / name, n, hue)
    return out


def split_folders(out: Path) -> Path:
    """Two classes, the split stays."""
    return parts(out, {"train": 60, "validation": 20})


def three_parts(out: Path) -> Path:
    """All three parts are used as they are."""
    return parts(out, {"train": 60, "val": 20, "test": 20})


def unlabelled_test(out: Path) -> Path:
    """It is said what test/ is, and how to go on."""
    parts(out, {"train": 40}, ("a", "b"))
    folder(out / "test", 20, 0)
    return out


def few(out: Path) -> Path:
    """30 pictures: `--quick` takes what there is, and says so."""
    folder(out / "a", 15, 0)
    folder(out / "b", 15, 1)
    return out


def formats(out: Path) -> Path:
    """Three classes, one of them in another format."""
    folder(out / "cats", 40, 0)
    folder(out / "dogs", 40, 1, "webp")
    folder(out / "owls", 40, 2)
    return out


def imbalance(out: Path) -> Path:
    """970 and 30, easy to tell apart: learned, and judged by more than the share of the larger class."""
    folder(out / "common", 970, 0)
    folder(out / "rare", 30, 1)
    return out


def rare_class(out: Path) -> Path:
    """It is said which class is too small, and how to leave it out; leaving it out works."""
    folder(out / "a", 60, 0)
    folder(out / "b", 60, 1)
    folder(out / "c", 1, 2)
    return out


def numbered(out: Path) -> Path:
    """Classes 0 to 10: it is plain which index is which name, and names can be given."""
    for k in range(11):
        folder(out / str(k), 20, k)
    return out


def transparent(out: Path) -> Path:
    """Random colours below full transparency: the model sees what a viewer shows."""
    random = np.random.default_rng(0)
    for hue, name in enumerate(("a", "b")):
        (out / name).mkdir(parents=True, exist_ok=True)
        for k in range(40):
            pixels = random.integers(0, 255, (32, 32, 4), dtype=np.uint8)
            pixels[..., 3] = 0
            pixels[8:24, 8:24] = [*HUES[hue], 255]
            Image.fromarray(pixels, "RGBA").save(out / name / f"{k}.png")
    return out


def photos(out: Path, n: int = 6) -> Path:
    """Photos of 12 megapixels, landscape and portrait: prepared in little memory, at the size that is asked for."""
    for hue, name in enumerate(("a", "b")):
        (out / name).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            picture(hue, k, ((4032, 3024), (3024, 4032))[k % 2]).save(out / name / f"{k}.jpg")
    return out


def many(out: Path, n: int = 4000) -> Path:
    """JPEG files of 256x256, one cut short: memory stays bounded while they are prepared."""
    for hue, name in enumerate(("a", "b")):
        folder(out / name, n, hue, "jpg", (256, 256))
    damaged = out / "a" / "7.jpg"
    damaged.write_bytes(damaged.read_bytes()[:900])
    return out

"""Made-up photographs: each has shapes and details of its own, and copies of it can be made as people make them."""

import io

import numpy as np
from PIL import Image


def photograph(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Smooth colours with finer and finer details, as in a photograph; other seeds give other ones."""
    random = np.random.default_rng(seed)
    total = np.full((size[1], size[0], 3), 128.0)
    for cells, weight in ((4, 70), (9, 30), (24, 14), (60, 7)):
        noise = Image.fromarray(random.integers(0, 255, (cells, cells, 3), dtype=np.uint8))
        total += weight * (np.asarray(noise.resize(size, Image.Resampling.BICUBIC)) / 127.5 - 1)
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def saved_anew(image: Image.Image, quality: int = 70, file_format: str = "JPEG") -> Image.Image:
    """The picture after it was saved with losses."""
    content = io.BytesIO()
    image.save(content, file_format, quality=quality)
    return Image.open(content).convert(image.mode)

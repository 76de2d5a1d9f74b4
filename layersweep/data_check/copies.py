"""Which pictures are copies of another one: the same file, the same pixels, or the same picture saved anew.

Candidates are the pictures whose perceptual hashes are nearest, out of all pairs. A candidate is a copy if a small
shift, a small enlargement and a small change of brightness and contrast make one picture out of the other one, down to
its details. So it is found after compression, resizing, small cuts and changes of brightness, but two pictures that
look alike stay two. The limits were measured, see docs/your_images.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from layersweep.data_check.thumbnails import SIZE, Bytes, Floats, Thumbnails, hashes
from trainables.data.sources import Say

SAME_FILE: Final = "same file"
SAME_PIXELS: Final = "same pixels"
NEAR: Final = "nearly the same"
MIRRORED: Final = "mirrored"
KINDS: Final = (SAME_FILE, SAME_PIXELS, NEAR, MIRRORED)

_Indices: TypeAlias = npt.NDArray[np.int64]

_CORRELATION: Final = 0.97
_NEIGHBOURS: Final = 8
"""How many of the nearest pictures of each part are compared by pixels with a picture."""

_ROWS, _COLUMNS = 512, 16_384
_LONG: Final = 20_000
_MANY: Final = 64
_PAIRS: Final = 2000
_SIMILAR: Final = 6.0
"""A difference in grey levels above which no copy is; a quick test."""

_DETAIL: Final = 0.09
"""The largest difference of details, as a share of the details, of two copies."""
_DETAIL_OF_CLOSE: Final = 0.35
_CLOSE: Final = 2.1
"""A difference in grey levels (root mean square) below which details may differ more, as compression does to them."""
_SHIFT: Final = 0.03
_CONTRAST: Final = 0.2
_BRIGHTNESS: Final = 26.0
_COLOUR: Final = 16
"""The largest difference of colour, out of 255, in any of 16 parts of the picture."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A pair of pictures, as their indices, the smaller one first; the kind is one of `KINDS`."""

    first: int
    second: int
    kind: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Copies:
    """All copies. Pictures that are connected by pairs are one group: the same picture several times.

    Attributes:
        pairs: of a group of equal files, each with the first one only.
        groups: (n,) the number of each picture's group, from 0 on.
    """

    pairs: list[Copy]
    groups: _Indices


def copies(thumbnails: Thumbnails, digests: Sequence[str], parts: _Indices, say: Say) -> Copies:
    """All copies among n pictures.

    Args:
        thumbnails: of the n pictures.
        digests: of the contents of their files.
        parts: (n,) the number of the part that each belongs to.
        say: takes each tenth of the work, where it takes time.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(digests)
    pairs = [Copy(first=i, second=j, kind=SAME_FILE) for i, j in _equal(digests, np.arange(n))]
    files = np.setdiff1d(np.arange(n), [pair.second for pair in pairs])
    equal = _equal(thumbnails.digests[files].tolist(), files)
    pairs += [Copy(first=i, second=j, kind=SAME_PIXELS) for i, j in equal]
    different = np.setdiff1d(files, [j for _, j in equal])
    different = different[~thumbnails.flat[different]]
    near: dict[tuple[int, int], str] = {}
    progress = _Progress(2 * len(different), say)
    for kind in (NEAR, MIRRORED):
        for i, j in _near(thumbnails, different, parts, kind, progress):
            near.setdefault((i, j), kind)
    pairs += [Copy(first=i, second=j, kind=kind) for (i, j), kind in sorted(near.items())]
    edges = np.array([(pair.first, pair.second) for pair in pairs], dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(edges.shape[1], np.int8), (edges[0], edges[1])), shape=(n, n))
    return Copies(pairs=pairs, groups=connected_components(graph, directed=False)[1].astype(np.int64))


class _Progress:
    """Says each tenth of long work."""

    def __init__(self, total: int, say: Say) -> None:
        self._total, self._say, self._done, self._tenths = total, say, 0, 0

    def add(self, number: int) -> None:
        """So many pictures were compared."""
        self._done += number
        if self._total > _LONG and self._done * 10 // self._total > self._tenths:
            self._tenths = self._done * 10 // self._total
            self._say(f"  {self._tenths * 10} %")


def _equal(keys: Sequence[bytes | str], indices: _Indices) -> list[tuple[int, int]]:
    """Each index whose key an earlier one has, with the first index of this key."""
    first: dict[bytes | str, int] = {}
    pairs = []
    for key, index in zip(keys, indices.tolist(), strict=True):
        if (earlier := first.setdefault(key, index)) != index:
            pairs.append((earlier, index))
    return pairs


def _near(
    thumbnails: Thumbnails, indices: _Indices, parts: _Indices, kind: str, progress: _Progress
) -> Iterator[tuple[int, int]]:
    """The pairs of these pictures that are copies of each other, or of each other's mirror image."""
    if len(indices) < 2:  # noqa: PLR2004 (a pair)
        return
    grey = thumbnails.grey[indices]
    rows = hashes(grey)
    columns = hashes(grey, mirrored=True) if kind == MIRRORED else rows
    smoothed = np.concatenate([_smooth(grey[k : k + _PAIRS]).astype(np.uint8) for k in range(0, len(grey), _PAIRS)])
    if kind == MIRRORED:
        smoothed = smoothed[:, :, ::-1]
    for first in range(0, len(indices), _ROWS):
        here = np.arange(first, min(first + _ROWS, len(indices)))
        pairs = [_nearest(rows, columns, here, np.flatnonzero(parts[indices] == part)) for part in np.unique(parts)]
        i, j = np.concatenate(pairs, axis=1)
        similar = _are_similar(grey[here], smoothed, i - first, j)
        one, other = indices[i[similar]], indices[j[similar]]
        for start in range(0, len(one), _PAIRS):
            here_i, here_j = one[start : start + _PAIRS], other[start : start + _PAIRS]
            mask = are_copies(thumbnails, here_i, here_j, mirrored=kind == MIRRORED)
            yield from zip(here_i[mask].tolist(), here_j[mask].tolist(), strict=True)
        progress.add(len(here))


def _nearest(hashes_: Floats, columns: Floats, rows: _Indices, among: _Indices) -> _Indices:
    """The nearest neighbours (2, pairs) of some rows among those columns that come later: row and column of each."""
    among = among[among > rows[0]]
    pairs: list[tuple[_Indices, _Indices, Floats]] = []
    for start in range(0, len(among), _COLUMNS):
        block = among[start : start + _COLUMNS]
        correlations = hashes_[rows] @ columns[block].T
        i, j = np.nonzero(correlations >= _CORRELATION)
        if len(i) > _MANY * len(rows) and len(block) > _NEIGHBOURS:
            limits = np.partition(correlations, -_NEIGHBOURS, axis=1)[:, [-_NEIGHBOURS]]
            i, j = np.nonzero(correlations >= np.maximum(_CORRELATION, limits))
        later = block[j] > rows[i]
        pairs.append((i[later], block[j[later]], correlations[i[later], j[later]]))
    i, j, values = (np.concatenate(sides) for sides in zip(*pairs, strict=True)) if pairs else (rows[:0],) * 3
    order = np.lexsort((-values, i))
    i, j = i[order], j[order]
    mask = np.arange(len(i)) - np.searchsorted(i, i) < _NEIGHBOURS
    return np.stack([rows[i[mask]], j[mask]])


def _are_similar(grey: Bytes, smoothed: Bytes, i: _Indices, j: _Indices) -> npt.NDArray[np.bool_]:
    """(pairs,) whether the picture `grey[i]` may be a copy of `smoothed[j]`: a quick form of `_is_made_from`."""
    mask = np.zeros(len(i), dtype=bool)
    causes = _causes(_smooth(grey))
    inverses = np.linalg.inv((causes.transpose(0, 2, 1) @ causes).astype(np.float64) + 1e-3 * np.eye(causes.shape[2]))
    order = np.argsort(i, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(i[order])) + 1) if len(order) else []:
        row = i[places[0]]
        effects = smoothed[j[places]].reshape(len(places), -1).astype(np.float32)
        products = (effects @ causes[row]).astype(np.float64)
        explained = ((products @ inverses[row]) * products).sum(1)
        mask[places] = (effects**2).sum(1, dtype=np.float64) - explained <= _SIMILAR**2 * effects.shape[1]
    return mask


def _causes(smooth: Floats) -> Floats:
    """What a change of contrast, brightness, place and size adds to each pixel, to first order: (n, pixels, 6)."""
    along, down = np.gradient(smooth, axis=2), np.gradient(smooth, axis=1)
    place = (np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2) / SIZE * 2
    centred = smooth - smooth.mean((1, 2), keepdims=True)
    terms = [centred, np.ones_like(smooth), along, along * place, down, down * place[:, None]]
    return np.asarray(np.stack(terms, axis=-1).reshape(len(smooth), SIZE * SIZE, -1), dtype=np.float32)


def are_copies(thumbnails: Thumbnails, one: _Indices, other: _Indices, *, mirrored: bool) -> npt.NDArray[np.bool_]:
    """(pairs,) whether two pictures are the same one, judged by their pixels."""
    a, b = (thumbnails.grey[indices].astype(np.float32) for indices in (one, other))
    colours = [thumbnails.colour[indices].astype(np.int64) for indices in (one, other)]
    if mirrored:
        b, colours[1] = b[:, :, ::-1], colours[1][..., ::-1]
    same_colour = np.abs(colours[0] - colours[1]).max(axis=(1, 2, 3)) <= _COLOUR
    return np.asarray(same_colour & (_is_made_from(a, b) | _is_made_from(b, a)))


def _is_made_from(a: Floats, b: Floats) -> npt.NDArray[np.bool_]:
    """Whether a shift, an enlargement, contrast and brightness, all small, make `b` out of `a` (each (n, SIZE, SIZE)).

    Their sizes come from a linear regression: to first order, a shift adds a multiple of the slope.
    """
    a, b = _smooth(a), _smooth(b)
    causes = _causes(a)
    effects = b.reshape(len(b), -1, 1)
    transposed = causes.transpose(0, 2, 1)
    factors = np.linalg.solve(
        transposed @ causes + 1e-3 * np.eye(causes.shape[2], dtype=np.float32), transposed @ effects
    )
    difference: Floats = (effects - causes @ factors).astype(np.float32).reshape(b.shape)
    contrast, brightness, *shifts = factors[..., 0].T
    small = (np.abs(contrast - 1) <= _CONTRAST) & (np.abs(brightness - a.mean((1, 2))) <= _BRIGHTNESS)
    small &= (np.abs(shifts) <= _SHIFT * SIZE).all(axis=0)
    detail = _size(_details(difference)) / np.maximum(_size(_details(b)), 1e-3)
    close = (detail <= _DETAIL_OF_CLOSE) & (_size(difference) <= _CLOSE)
    return np.asarray(small & ((detail <= _DETAIL) | close))


def _smooth(pixels: Floats | Bytes) -> Floats:
    """Each pixel becomes the mean of its neighbourhood, weighted 1 2 1 along and down."""
    padded: npt.NDArray[Any] = np.pad(pixels.astype(np.float32, copy=False), [(0, 0), (1, 1), (1, 1)], "edge")
    padded = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return np.asarray((padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]) / 4, dtype=np.float32)


def _details(pixels: Floats) -> Floats:
    return pixels - _smooth(_smooth(_smooth(pixels)))


def _size(pixels: Floats) -> Floats:
    return np.asarray(np.sqrt((pixels**2).mean((1, 2))), dtype=np.float32)

"""The regions that a mask calls anomalous, and what a heat map says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

_EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class TrueRegion:
    """True pixels that touch, corners included. box: (left, top, right, bottom) in pixels of the image, right and
    bottom just outside; peak: the highest heat map value on them, -inf where the model did not look."""

    box: tuple[int, int, int, int]
    peak: float


@dataclass(frozen=True)
class Labelled:
    """The regions of a mask. around: the part of the image that holds them all; numbers: int (h, w) of that part,
    1 … count, 0 where the mask is False."""

    around: tuple[slice, slice]
    numbers: np.ndarray
    count: int


def labelled(mask: np.ndarray) -> Labelled | None:
    """Number the regions of a mask, bool (H, W); None without one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    around = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    numbers, count = ndimage.label(mask[around], structure=_EIGHT_CONNECTED)
    return Labelled(around, numbers, count)


def faintest(heatmap: np.ndarray, mask: np.ndarray) -> TrueRegion | None:
    """The region of a mask, bool (H, W), whose highest heat map value, float (H, W), is lowest; None without one."""
    regions = labelled(mask)
    if regions is None:
        return None
    inside = regions.numbers > 0
    peaks = np.full(regions.count + 1, -np.inf)
    np.maximum.at(peaks, regions.numbers[inside], heatmap[regions.around][inside])
    number = 1 + int(np.argmin(peaks[1:]))
    rows, columns = ndimage.find_objects(regions.numbers, number)[number - 1]
    top, left = regions.around[0].start, regions.around[1].start
    box = (left + columns.start, top + rows.start, left + columns.stop, top + rows.stop)
    return TrueRegion((int(box[0]), int(box[1]), int(box[2]), int(box[3])), float(peaks[number]))

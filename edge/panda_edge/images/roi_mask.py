"""Where a region of interest lies on pictures of one size, on their frames' cells, and on their heat maps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from panda_edge.errors import ImageError
from panda_edge.images.roi import Roi

SQUARE = 16  # scaled pixels a side: what is searched or left out together, a cell of the coarsest level
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Rois:
    """bundle: what the bundle was calibrated in, None for whole pictures. device: what the device asks for besides."""

    bundle: Roi | None = None
    device: Roi | None = None

    def __bool__(self) -> bool:
        return self.bundle is not None or self.device is not None


@dataclass(frozen=True, eq=False)
class RoiMask:
    """searched: squares of the canvas that hold a pixel to be looked at, bool. judged: values of the heat map that lie
    inside, bool (map height, map width). calibrated, counted: the same of the bundle's roi alone; None without one."""

    searched: np.ndarray
    judged: np.ndarray
    calibrated: np.ndarray | None
    counted: np.ndarray | None
    _rois: Rois = field(repr=False, default=Rois())

    @classmethod
    def of(
        cls, rois: Rois, picture: tuple[int, int], box: Box, scaled: tuple[int, int], canvas: tuple[int, int], step: int
    ) -> RoiMask:
        """Lay rois on a view, whose fields the others are. Raises ImageError where a polygon lies beyond the picture,
        or nothing of it is inside."""
        given = [roi for roi in (rois.bundle, rois.device) if roi is not None]
        for roi in given:
            roi.check(picture)
        pixels = [roi.inside(*_centres(box, scaled, 1), picture) for roi in given]
        values = [roi.inside(*_centres(box, scaled, step), picture) for roi in given]
        judged = np.logical_and.reduce(values)
        searched = _squares(np.logical_and.reduce(pixels), canvas)
        if not judged.any() or not searched.any():
            raise ImageError(f"{picture[0]}×{picture[1]} pixels, and the roi leaves nothing of it; give a larger one")
        own = rois.bundle is not None
        return cls(searched, judged, _squares(pixels[0], canvas) if own else None, values[0] if own else None, rois)

    def cells(self, corner: tuple[int, int], shape: tuple[int, int], stride: int) -> np.ndarray:
        """Which cells of a part of the canvas hold a searched square: bool of that shape. corner: (top, left), in
        scaled pixels, as `stride` is."""
        return _held(self.searched, corner, shape, stride)

    def calibrated_cells(self, shape: tuple[int, int], stride: int) -> np.ndarray | None:
        """`cells` of the whole canvas, of the bundle's roi alone."""
        return None if self.calibrated is None else _held(self.calibrated, (0, 0), shape, stride)

    def compared(self, heatmap: np.ndarray) -> np.ndarray:
        """The values of a heat map that a calibration is about, (n,): those in the bundle's roi, 0 where the device
        does not look, so that none is higher than without its roi."""
        values = np.where(self.judged, heatmap, np.float32(0))
        return values.ravel() if self.counted is None else values[self.counted]

    def on_picture(self, xs: np.ndarray, ys: np.ndarray, picture: tuple[int, int]) -> np.ndarray:
        """Which points of a grid on a picture are inside, bool (len(ys), len(xs)); see `Roi.inside`."""
        given = [roi for roi in (self._rois.bundle, self._rois.device) if roi is not None]
        return np.asarray(np.logical_and.reduce([roi.inside(xs, ys, picture) for roi in given]))


def _centres(box: Box, scaled: tuple[int, int], step: int) -> tuple[np.ndarray, np.ndarray]:
    """Middles of every `step` scaled pixels on the picture, in its pixels: x and y."""
    axes = []
    for length, begin, end in ((scaled[0], box[0], box[2]), (scaled[1], box[1], box[3])):
        middles = np.minimum((np.arange(-(-length // step)) + 0.5) * step, length)
        axes.append(begin + middles * ((end - begin) / length))
    return axes[0], axes[1]


def _squares(pixels: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """Which squares of a canvas of (height, width) hold a True pixel: bool (h, w)."""
    rows, columns = (-(-side // SQUARE) for side in canvas)
    padded = np.zeros((rows * SQUARE, columns * SQUARE), dtype=bool)
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    return np.asarray(padded.reshape(rows, SQUARE, columns, SQUARE).any(axis=(1, 3)))


def _held(squares: np.ndarray, corner: tuple[int, int], shape: tuple[int, int], stride: int) -> np.ndarray:
    """Which cells of `stride` scaled pixels a side meet a True square, by sums over rectangles."""
    sums = np.zeros((squares.shape[0] + 1, squares.shape[1] + 1), dtype=np.int64)
    sums[1:, 1:] = squares.cumsum(axis=0).cumsum(axis=1)
    (top, bottom), (left, right) = (
        (
            np.minimum((begin + np.arange(count) * stride) // SQUARE, side),
            np.minimum(-(-(begin + (np.arange(count) + 1) * stride) // SQUARE), side),
        )
        for begin, count, side in zip(corner, shape, squares.shape, strict=True)
    )
    inside = sums[bottom[:, None], right] - sums[top[:, None], right] - sums[bottom[:, None], left]
    held: np.ndarray = inside + sums[top[:, None], left] > 0
    return held

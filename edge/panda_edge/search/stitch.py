"""One heat map of a picture from the cell distances of its frames."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from panda_edge import kernel
from panda_edge.images.view import View


class Stitcher:
    """Takes in the frames of one picture, in any order, and gives its heat map.

    Where frames overlap, their distances are averaged, each weighted by how far inside its frame a cell lies: a
    frame's border, whose features see padding, hardly counts where another frame sees the same cell in its middle,
    and no seam is left.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._cells: np.ndarray | None = None  # weighted sums; of a single frame its distances themselves
        self._weights: np.ndarray | None = None
        self._stride = 0

    def add(self, number: int, distances: np.ndarray) -> None:
        """Take in frame `number`: L2 distances, float32 (h, w) of its cells."""
        self._stride = self._view.frame[0] // distances.shape[0]
        if self._view.count == 1:
            self._cells = distances
            return
        if self._cells is None or self._weights is None:
            shape = tuple(side // self._stride for side in self._view.canvas)
            self._cells, self._weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        top, left = (side // self._stride for side in self._view.corner(number))
        covered = slice(top, top + distances.shape[0]), slice(left, left + distances.shape[1])
        inwardness = _inwardness(*distances.shape)
        self._cells[covered] += inwardness * distances
        self._weights[covered] += inwardness

    def heatmap(self, sigma: float) -> np.ndarray:
        """The heat map, float32 `view.map_shape`, blurred by a Gaussian of `sigma` frame pixels."""
        if self._cells is None:
            raise ValueError("no frame was added")
        view = self._view
        # Cells that lie on padding alone are left out before anything is blurred into the others.
        width, height = (-(-side // self._stride) for side in view.scaled)
        cells = self._cells[:height, :width]
        weights = None if self._weights is None else self._weights[:height, :width]
        if view.roi_mask is None:
            return _drawn(view, cells if weights is None else cells / weights, self._stride, sigma)
        active_cells = view.roi_mask.cells((0, 0), (height, width), self._stride)
        cells = np.divide(cells, 1 if weights is None else weights, out=np.zeros_like(cells), where=active_cells)
        heatmap = _drawn(view, cells, self._stride, sigma)
        # What a calibration has left out is blurred into nothing. What only the device leaves out counts as 0: so no
        # value is higher than if it looked, and the calibration's promise stands.
        shares = _shares(view, (height, width), self._stride, sigma)
        return heatmap if shares is None else np.divide(heatmap, shares, out=heatmap, where=shares > 0)


def _drawn(view: View, cells: np.ndarray, stride: int, sigma: float) -> np.ndarray:
    """Cells upsampled to `view.map_shape` and blurred."""
    grown = stride // view.step
    height, width = cells.shape[0] * grown, cells.shape[1] * grown
    return kernel.render_heatmap(cells, height, width, sigma / view.step)[: view.map_shape[0], : view.map_shape[1]]


@lru_cache(maxsize=8)
def _shares(view: View, shape: tuple[int, int], stride: int, sigma: float) -> np.ndarray | None:
    """How much of each value of the heat map comes from cells in the bundle's roi, 0 to 1; None without one."""
    cells = None if view.roi_mask is None else view.roi_mask.calibrated_cells(shape, stride)
    return None if cells is None else _drawn(view, cells.astype(np.float32), stride, sigma)


@lru_cache(maxsize=8)
def _inwardness(height: int, width: int) -> np.ndarray:
    """How far each cell lies from its frame's border, a product over the axes: float32 (height, width), above 0."""
    rows, columns = (np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5 for side in (height, width))
    product: np.ndarray = np.multiply.outer(rows, columns).astype(np.float32)
    return product

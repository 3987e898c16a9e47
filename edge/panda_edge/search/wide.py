"""A wider look: averages over neighbouring cells, compared with those of normal pictures.

Inside a large defect each small part may look normal, and only more of it at once does not. What the wider look finds
beyond the usual is added to the distances, so that it changes nothing where it finds nothing. `learn/wide.py` measures
what is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Wide
from panda_edge.search.gallery import SearchOptions, frame_levels, stored_frames
from panda_edge.search.level_files import raster_order
from panda_edge.search.own_distances import OWN_DISTANCES_DTYPE, OwnDistances
from panda_edge.search.pyramid import PyramidGallery

WIDE_OWN_DISTANCES_FILE = "bank/wide_own_distances.npy"
_LEVELS = 2  # the coarsest grids, onto which all levels are brought
_DTYPE = "float16"


def wide_grid(levels: Sequence[Level]) -> Level:
    """The level whose cells a wider look has: the second-coarsest one, or the only one."""
    return levels[:_LEVELS][-1]


def widened(levels: Sequence[np.ndarray], grid: tuple[int, int]) -> list[np.ndarray]:
    """At most two levels, each value averaged over 3 × 3 cells of its own level, zeros beyond the border, as PatchCore
    does (Roth et al., CVPR 2022, §3.1); levels finer than the second-coarsest averaged over its cells and joined to it.

    levels: coarse first, float32 (cells, channels) in nested order, which the result keeps. grid: of the coarsest.
    """
    averages = [_averaged(level[_order(grid, depth)]) for depth, level in enumerate(levels)]
    kept = averages[:_LEVELS]
    if len(averages) > _LEVELS:
        kept[-1] = np.concatenate([kept[-1], *(_halved(a, i) for i, a in enumerate(averages[_LEVELS:], 1))], axis=2)
    return [_nested(level, _order(grid, depth)) for depth, level in enumerate(kept)]


def wide_frames(bundle: Bundle) -> list[np.ndarray]:
    """What an exact gallery's stored frames are at a wider look: of each level float16 (N, cells, channels)."""
    stored, count, grid = stored_frames(bundle), bundle.manifest.segmentation.count, _grid(bundle)
    found: list[np.ndarray] = []
    for number in range(count):
        frame = widened(frame_levels(stored, number), grid)
        found = found or [np.empty((count, *level.shape), _DTYPE) for level in frame]
        for level, rows in zip(found, frame, strict=True):
            level[number] = rows
    return found


class WideLook:
    """What is added to the distances of a frame's finest cells."""

    def __init__(self, gallery: PyramidGallery, stored: list[np.ndarray], bundle: Bundle, beyond: Wide) -> None:
        """gallery: of the stored frames `stored`, of which `wide_frames` made them."""
        self.stored = stored
        self._gallery, self._beyond, self._grid = gallery, beyond, _grid(bundle)
        levels = bundle.manifest.levels
        self._finer = levels[-1].height // wide_grid(levels).height

    def excess(
        self, levels: Sequence[np.ndarray], neighbors: np.ndarray | None, number: int, looked_at: np.ndarray | None
    ) -> np.ndarray:
        """float32 (h, w) of the finest level, 0 or more. Arguments as of `Gallery.distances`."""
        squared = self._gallery.distances(widened(levels, self._grid), neighbors, number, looked_at)
        beyond = np.sqrt(squared) * np.float32(self._beyond.factor) - np.float32(self._beyond.floor)
        found: np.ndarray = np.maximum(beyond, np.float32(0))
        return found.repeat(self._finer, axis=0).repeat(self._finer, axis=1)


def open_wide(bundle: Bundle, options: SearchOptions, beside: WideLook | None = None) -> WideLook | None:
    """The wider look that a bundle's manifest asks for; None where it asks for none. beside: another thread's, whose
    stored frames are shared. Raises BundleError."""
    beyond = bundle.manifest.segmentation.wide
    if beyond is None:
        return None
    stored = wide_frames(bundle) if beside is None else beside.stored
    return WideLook(wide_gallery(bundle, stored, options), stored, bundle, beyond)


def wide_gallery(bundle: Bundle, stored: Sequence[np.ndarray], options: SearchOptions) -> PyramidGallery:
    """What searches `wide_frames`, less the share of their own distances that the bundle takes off."""
    maps, cells = bundle.manifest.segmentation, wide_grid(bundle.manifest.levels)
    own = None
    if maps.discount:
        shape = maps.count, cells.height, cells.width
        own = OwnDistances(bundle.array(WIDE_OWN_DISTANCES_FILE, shape, OWN_DISTANCES_DTYPE), maps.discount)
    return PyramidGallery(list(stored), _grid(bundle), options.threads, options.epsilon, maps.window, own)


def _averaged(raster: np.ndarray) -> np.ndarray:
    """Each cell's mean over 3 × 3 cells, zeros beyond the border. raster: (h, w, channels)."""
    height, width, channels = raster.shape
    padded = np.zeros((height + 2, width + 2, channels), np.float32)
    padded[1:-1, 1:-1] = raster
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    mean: np.ndarray = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return mean


def _halved(raster: np.ndarray, times: int) -> np.ndarray:
    """Means over 2 × 2 cells, so many times over."""
    for _ in range(times):
        rows = raster[0::2] + raster[1::2]
        raster = (rows[:, 0::2] + rows[:, 1::2]) / np.float32(4)
    return raster


def _nested(raster: np.ndarray, order: np.ndarray) -> np.ndarray:
    rows = np.empty((order.size, raster.shape[2]), np.float32)
    rows[order.ravel()] = raster.reshape(rows.shape)
    return rows


@lru_cache(maxsize=8)
def _order(grid: tuple[int, int], depth: int) -> np.ndarray:
    return raster_order(grid, depth)


def _grid(bundle: Bundle) -> tuple[int, int]:
    coarsest = bundle.manifest.levels[0]
    return coarsest.height, coarsest.width

"""A wider look: averages over neighbouring cells, compared with those of normal pictures.

Inside a large defect each small part may look nearly normal, and only more of it at once does not. What the wider look
finds beyond the usual is added to the distances, so that it changes nothing where it finds nothing; and it is taken
only where a distance is not low already. `learn/wide.py` measures what is usual.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Wide
from panda_edge.search import kernel
from panda_edge.search.gallery import SearchOptions, grid_of, stored_frames
from panda_edge.search.own_distances import OWN_DISTANCES_DTYPE, OwnDistances
from panda_edge.search.pyramid import PyramidGallery

WIDE_OWN_DISTANCES_FILE = "bank/wide_own_distances.npy"


def wide_grid(levels: Sequence[Level]) -> Level:
    """The level whose cells a wider look has: the second-coarsest one, or the only one."""
    return levels[:2][-1]


def wide_frames(bundle: Bundle, threads: int) -> list[np.ndarray]:
    """What an exact gallery's stored frames are at a wider look: of each level float16 (N, cells, channels)."""
    return [*kernel.widened_gallery(stored_frames(bundle), grid_of(bundle), threads)]


class WideLook:
    """What is added to the distances of a frame's finest cells."""

    def __init__(self, gallery: PyramidGallery, stored: list[np.ndarray], bundle: Bundle, beyond: Wide) -> None:
        """gallery: of the stored frames `stored`, of which `wide_frames` made them."""
        self.stored = stored
        self._gallery, self._beyond, self._grid = gallery, beyond, grid_of(bundle)
        levels = bundle.manifest.levels
        self._finer = levels[-1].height // wide_grid(levels).height
        self._finest = levels[-1].height // levels[0].height

    def excess(
        self,
        distances: np.ndarray,
        levels: Sequence[np.ndarray],
        neighbors: np.ndarray | None,
        number: int,
        looked_at: np.ndarray | None,
    ) -> np.ndarray | float:
        """float32 (h, w) of the finest level, 0 or more; or 0 where nothing is high. distances: of the finest cells,
        (h, w); the rest as of `Gallery.distances`."""
        height, width = self._grid
        high = distances.reshape(height, self._finest, width, self._finest).max(axis=(1, 3)) > self._beyond.above
        if looked_at is not None:
            high &= looked_at
        if not high.any():
            return 0.0
        squared = self._gallery.distances(kernel.widened(levels, self._grid), neighbors, number, high)
        beyond = np.sqrt(squared) * np.float32(self._beyond.factor) - np.float32(self._beyond.floor)
        found: np.ndarray = np.maximum(beyond, np.float32(0))
        return found.repeat(self._finer, axis=0).repeat(self._finer, axis=1)


def open_wide(bundle: Bundle, options: SearchOptions, beside: WideLook | None = None) -> WideLook | None:
    """The wider look that a bundle's manifest asks for; None where it asks for none. beside: another thread's, whose
    stored frames are shared. Raises BundleError."""
    beyond = bundle.manifest.segmentation.wide
    if beyond is None:
        return None
    stored = wide_frames(bundle, options.threads) if beside is None else beside.stored
    return WideLook(wide_gallery(bundle, stored, options), stored, bundle, beyond)


def wide_gallery(bundle: Bundle, stored: Sequence[np.ndarray], options: SearchOptions) -> PyramidGallery:
    """What searches `wide_frames`, less the share of their own distances that the bundle takes off."""
    maps, cells = bundle.manifest.segmentation, wide_grid(bundle.manifest.levels)
    own = None
    if maps.discount:
        shape = maps.count, cells.height, cells.width
        own = OwnDistances(bundle.array(WIDE_OWN_DISTANCES_FILE, shape, OWN_DISTANCES_DTYPE), maps.discount)
    return PyramidGallery(list(stored), grid_of(bundle), options.threads, options.epsilon, maps.window, own)

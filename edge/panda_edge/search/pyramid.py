"""The pyramids of all normal images (SPADE; PANDA §2.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.search import kernel
from panda_edge.search.own_distances import OwnDistances


class PyramidGallery:
    """The nearest position among the K most similar images, found exactly, or within a factor 1 + epsilon.

    window: how many coarsest cells away from its own place a position is looked for; None for everywhere. own: what is
    taken off the distances; None for nothing.
    """

    needs_neighbors = True

    def __init__(
        self,
        levels: Sequence[kernel.Rows],
        grid: tuple[int, int],
        threads: int,
        epsilon: float,
        window: int | None = None,
        own: OwnDistances | None = None,
    ) -> None:
        self._search = kernel.PyramidSearch(list(levels), grid, threads=threads)
        self._epsilon = epsilon
        self._window = window
        self._own = own

    def distances(
        self,
        levels: Sequence[np.ndarray],
        neighbors: np.ndarray | None,
        number: int = 0,
        active_cells: np.ndarray | None = None,
        enough: float = 0.0,
    ) -> np.ndarray:
        """See `Gallery.distances`. enough: an L2 distance; of what is found, less what is taken off, any that is below
        may stand for the least."""
        if enough and self._own is not None:
            enough += self._own.least(neighbors)
        nearer = enough * enough * (1 - 1e-5) if enough > 0 else 0.0  # than any that comes out above, rounded
        squared, matched = self._search.nearest(
            list(levels), neighbors, self._epsilon, active_cells, self._window, nearer
        )
        return squared if self._own is None else self._own.taken_off(squared, matched)

"""The pyramids of all normal images (SPADE; PANDA §2.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.search import kernel


class PyramidGallery:
    """The nearest position among the K most similar images, found exactly, or within a factor 1 + epsilon.

    window: how many coarsest cells away from its own place a position is looked for; None for everywhere.
    """

    needs_neighbors = True

    def __init__(
        self,
        levels: Sequence[kernel.Rows],
        grid: tuple[int, int],
        threads: int,
        epsilon: float,
        window: int | None = None,
    ) -> None:
        self._search = kernel.PyramidSearch(list(levels), grid, threads=threads)
        self._epsilon = epsilon
        self._window = window

    def distances(
        self,
        levels: Sequence[np.ndarray],
        neighbors: np.ndarray | None,
        number: int = 0,
        looked_at: np.ndarray | None = None,
    ) -> np.ndarray:
        squared, _ = self._search.nearest(list(levels), neighbors, self._epsilon, looked_at, self._window)
        return squared

"""The pyramids of all normal images (SPADE; PANDA §2.3)."""

from __future__ import annotations

from collections.abc import Sequence

from panda_edge.search import kernel
from panda_edge.search.query import Found, Query


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

    def search(self, query: Query) -> Found:
        """See `Gallery.search`."""
        # Less a little, so that what is near enough is so after rounding, too.
        nearer = query.enough * query.enough * (1 - 1e-5) if query.enough > 0 else 0.0
        return Found(
            *self._search.nearest(
                list(query.levels), query.neighbors, self._epsilon, query.active_cells, self._window, nearer
            )
        )

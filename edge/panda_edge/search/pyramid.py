"""The pyramids of all normal images (SPADE; PANDA §2.3)."""

from __future__ import annotations

from collections.abc import Sequence

from panda_edge.search import kernel
from panda_edge.search.own_distances import OwnDistances
from panda_edge.search.query import Found, Query


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

    def search(self, query: Query) -> Found:
        """See `Gallery.search`. `Query.enough` is of the distances less what is taken off."""
        enough = query.enough
        if enough and self._own is not None:
            enough += self._own.least(query.neighbors)
        nearer = enough * enough * (1 - 1e-5) if enough > 0 else 0.0  # than any that comes out above, rounded
        squared, matches = self._search.nearest(
            list(query.levels), query.neighbors, self._epsilon, query.active_cells, self._window, nearer
        )
        return Found(squared if self._own is None else self._own.taken_off(squared, matches), matches)

"""Distances near a frame's border, brought towards those inside.

A network sees padding beyond a frame's border, so that normal cells there are unlike each other for no reason of their
own, and a heat map's maximum lies there more often than it should. `builder/evened.py` measures by how much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rings(height: int, width: int) -> np.ndarray:
    """How many cells each cell lies from the frame's border, int64 (height, width); 0 at the border itself."""
    rows, columns = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in (height, width))
    nearest: np.ndarray = np.minimum.outer(rows, columns)
    return nearest


def divisors(evened: Sequence[float], height: int, width: int) -> np.ndarray | None:
    """What each cell's distance is divided by, float32 (height, width); None where nothing is.

    evened: of cells 0, 1, … from the border; those further inside are left alone.
    """
    if not evened:
        return None
    by_ring = np.array([*evened, 1.0], np.float32)
    of_cells: np.ndarray = by_ring[np.minimum(rings(height, width), len(evened))]
    return of_cells

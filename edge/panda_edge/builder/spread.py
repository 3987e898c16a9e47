"""Some of many, spread evenly."""

from __future__ import annotations

import numpy as np


def evenly_spread(count: int, most: int) -> np.ndarray:
    """Numbers of at most `most` of `count` things, ascending, from the first to the last; int64 (n,)."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))

"""Places of a heat map that lie between high ones: a large defect whose rim is odd and whose inside is not."""

from __future__ import annotations

import numpy as np

_MOST = 1.25  # times itself, that a value is raised to: two defects with normal ground between them stay two


def filled(heatmap: np.ndarray, reach: int, above: float) -> np.ndarray:
    """The map with what lies between places higher than `above` raised to them: a grey-scale closing of what is higher
    (Serra, Image analysis and mathematical morphology, 1982), by at most a quarter of themselves. No value falls, none
    rises beyond the map's maximum, and a higher map stays one.

    heatmap: float32 (h, w), finite. reach: side of the closing's square, map pixels; an even one counts as the odd one
    after it. Places further apart are not joined. What lies between a high place and the border, where half a square
    reaches it, is raised, too.
    """
    excess = np.maximum(heatmap - np.float32(above), np.float32(0))
    if not excess.any():
        return heatmap
    side = 2 * (reach // 2) + 1
    widened = _extreme(_extreme(excess, side, 0, np.maximum, -np.inf), side, 1, np.maximum, -np.inf)
    closed = _extreme(_extreme(widened, side, 0, np.minimum, np.inf), side, 1, np.minimum, np.inf)
    between = np.minimum(heatmap, np.float32(above)) + np.maximum(closed, excess)
    raised: np.ndarray = np.minimum(between, np.float32(_MOST) * heatmap)
    return raised


def _extreme(values: np.ndarray, side: int, axis: int, extreme: np.ufunc, neutral: float) -> np.ndarray:
    """The extreme of each run of `side` values along an axis, around each value; past the ends nothing counts."""
    half = side // 2
    pad = [(half, half) if along == axis else (0, 0) for along in (0, 1)]
    found = np.moveaxis(np.pad(values, pad, constant_values=neutral), axis, 0)
    width = 1
    while 2 * width <= side:  # runs of twice the length, from two that follow each other
        found = extreme(found[:-width], found[width:])
        width *= 2
    count = values.shape[axis]
    whole: np.ndarray = np.moveaxis(extreme(found[:count], found[side - width : side - width + count]), 0, axis)
    return whole

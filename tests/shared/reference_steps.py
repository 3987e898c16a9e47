"""The steps of the heat map, slowly: a function a step. `test_detector.py` runs them in a manifest's order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Compared:
    """One frame beside the normal ones that it is compared with.

    levels: its features, coarse first, as rasters (h, w, C). stored: the same of each normal frame. similar: their
    numbers in the bank. matches: of each finest cell, the number of the nearest one among all cells of `stored`.
    """

    bundle: Path
    levels: list[np.ndarray]
    stored: list[list[np.ndarray]]
    similar: np.ndarray
    matches: np.ndarray

    def own(self, name: str) -> np.ndarray:
        """A file of leave-one-out distances of the cells of `stored`, one after the other."""
        return np.load(self.bundle / "bank" / name)[self.similar].ravel().astype(np.float64)


def leave_one_out(distances: np.ndarray, frame: Compared, step: dict[str, Any]) -> np.ndarray:
    return np.maximum(distances - step["share"] * frame.own("leave_one_out.npy")[frame.matches], 0)


def border_gain(distances: np.ndarray, frame: Compared, step: dict[str, Any]) -> np.ndarray:
    divided, side = distances.copy(), len(distances)
    for ring, gain in enumerate(step["gains"]):  # cells so far from the border
        at_ring = np.zeros((side, side), bool)
        at_ring[ring : side - ring, ring : side - ring] = True
        at_ring[ring + 1 : side - ring - 1, ring + 1 : side - ring - 1] = False
        divided[at_ring] /= gain
    return divided


def context(distances: np.ndarray, frame: Compared, step: dict[str, Any]) -> np.ndarray:
    coarse = len(frame.levels[0])
    query = averages(frame.levels)
    stored = np.concatenate([averages(one).astype(np.float16).reshape(-1, query.shape[-1]) for one in frame.stored])
    squared = np.array([squared_distances(row, stored) for row in query])
    own = frame.own("context_leave_one_out.npy")[squared.argmin(2)]
    left = np.maximum(np.sqrt(squared.min(2)) - step["share"] * own, 0)
    finer = len(distances) // len(left)
    excess = np.maximum(step["factor"] * left - step["floor"], 0).repeat(finer, 0).repeat(finer, 1)
    below = len(distances) // coarse
    high = distances.reshape(coarse, below, coarse, below).max(axis=(1, 3)) > step["above"]
    return distances + np.where(high.repeat(below, 0).repeat(below, 1), excess, 0)


STEPS: dict[str, Callable[[np.ndarray, Compared, dict[str, Any]], np.ndarray]] = {
    "leave-one-out": leave_one_out,
    "border-gain": border_gain,
    "context": context,
}


def averages(levels: list[np.ndarray]) -> np.ndarray:
    """3 × 3 averages of a frame's levels on the second-coarsest grid, or on the only one, finer ones averaged."""
    means = [ndimage.uniform_filter(grid, (3, 3, 1), mode="constant") for grid in levels]
    side = len(means[min(1, len(means) - 1)])
    finer = [m.reshape(side, len(m) // side, side, len(m) // side, -1).mean((1, 3)) for m in means[1:]]
    below = side // len(means[0])
    return np.concatenate([means[0].repeat(below, 0).repeat(below, 1), *finer], axis=-1)


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, D), (M, D) → (N, M), float64."""
    return ((a[:, None, :].astype(np.float64) - b[None].astype(np.float64)) ** 2).sum(-1)

"""Banks of pyramid features: how far each position of an image is from the nearest normal one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from panda_edge import kernel
from panda_edge.bundle import Bundle
from panda_edge.manifest import Level


class Gallery(Protocol):
    needs_neighbors: bool
    """Whether `distances` has to be told which normal images are similar."""

    def distances(self, levels: Sequence[np.ndarray], neighbors: np.ndarray | None) -> np.ndarray:
        """Squared L2 distance of each finest cell's joint descriptor to the nearest stored one.

        levels: coarse first, float32 (cells, channels) in nested order; neighbors: int64 (K,) numbers of the
        normal images to compare with. Returns float32 (height, width) of the finest level.
        """


class ExactGallery:
    """SPADE (PANDA §2.3): the pyramids of all normal images; the nearest position among the K most similar images."""

    needs_neighbors = True

    def __init__(self, levels: Sequence[np.ndarray], grid: tuple[int, int], threads: int) -> None:
        self._search = kernel.PyramidSearch(list(levels), grid, threads=threads)

    def distances(self, levels: Sequence[np.ndarray], neighbors: np.ndarray | None) -> np.ndarray:
        squared, _ = self._search.nearest(list(levels), neighbors)
        return squared


class MeansGallery:
    """K-means of the normal joint descriptors (PANDA §4.3.3): the nearest of M means."""

    needs_neighbors = False

    def __init__(self, means: Sequence[np.ndarray], grid: tuple[int, int], threads: int) -> None:
        self._means = list(means)
        self._grid = grid
        self._threads = threads

    def distances(self, levels: Sequence[np.ndarray], neighbors: np.ndarray | None) -> np.ndarray:
        squared, _ = kernel.nearest_mean(list(levels), self._means, grid=self._grid, threads=self._threads)
        return squared


def level_file(level: Level) -> str:
    """The bundle file that holds a level's features."""
    return f"bank/stride{level.stride:02d}.npy"


def open_gallery(bundle: Bundle, threads: int) -> Gallery:
    """The gallery that a bundle's manifest names. Raises BundleError."""
    segmentation, levels = bundle.manifest.segmentation, bundle.manifest.levels
    grid = (levels[0].height, levels[0].width)
    if segmentation.bank == "kmeans":
        means = [
            np.asarray(bundle.array(level_file(lv), (segmentation.count, lv.channels), segmentation.dtype), np.float32)
            for lv in levels
        ]
        return MeansGallery(means, grid, threads)
    stored = [
        bundle.array(level_file(lv), (segmentation.count, lv.height * lv.width, lv.channels), segmentation.dtype)
        for lv in levels
    ]
    return ExactGallery(stored, grid, threads)

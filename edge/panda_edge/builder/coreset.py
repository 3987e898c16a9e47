"""Choosing a coreset bank from normal images that stream by, and bringing it into an order that is searched fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from panda_edge.builder.samples import DescriptorSample
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level
from panda_edge.bundle.model import Features, default_threads
from panda_edge.search import kernel
from panda_edge.search.coreset import BASIS_FILE, CORESET_FILE, MEAN_FILE, CoresetGrid

_MAX_DESCRIPTORS = 600_000  # that the coreset is chosen from, drawn evenly over the images: 0.2 GB
_COMPARED = 64  # directions that the choice looks at: nine tenths of the variance, at well under half the time
_LEAF = 64  # rows that the search bounds together (LEAF_ROWS of the kernel)
_SPLIT_BY = 8  # directions in which it bounds them (BOX_PAIRS)
_BLOCK = 65_536  # rows turned at once


class CoresetWriter:
    """Draws descriptors; at the end, those such that the farthest of the others is as near as greedy k-centre makes it.

    Written: the descriptors' mean, the directions in which they vary, most first, and the chosen ones turned into them,
    in an order of space.
    """

    def __init__(self, bundle: Path, levels: Sequence[Level], vectors: int, dtype: str, images: int, seed: int) -> None:
        """vectors: how many to keep. images: how many will come, about."""
        self._bundle = bundle
        self._grid = CoresetGrid(levels)
        self._vectors = vectors
        self._dtype = np.dtype(dtype)
        self._there = np.zeros((0, self._grid.channels), np.float32)
        self._turned_by: tuple[np.ndarray, np.ndarray] | None = None
        self._sample = DescriptorSample(self._grid.cells, images, _MAX_DESCRIPTORS, seed)

    def add(self, features: Features, numbers: Sequence[int] = ()) -> None:
        """Take in a batch of normal frames."""
        for i in range(len(features.embedding)):
            self._sample.add(self._grid.descriptors([level[i] for level in features.levels]))

    def go_on(self, bundle: Bundle, count: int) -> None:
        """Choose from the descriptors of a bundle's coreset of so many, too, in its directions. Raises BundleError."""
        channels = self._grid.channels
        stored = bundle.array(CORESET_FILE, (count, channels), self._dtype.name)
        self._there = np.array(stored, dtype=np.float32)
        mean = bundle.array(MEAN_FILE, (channels,), "float32")
        self._turned_by = mean, bundle.array(BASIS_FILE, (channels, channels), "float32")

    def close(self) -> int:
        """Write the bank; returns how many descriptors it has."""
        drawn = self._sample.drawn()
        if drawn is None:
            return 0
        mean, basis = self._turned_by or principal_directions(drawn)
        threads = default_threads()
        first = basis[:, :_COMPARED]
        blocks = (kernel.project(block, mean, first, threads).astype(np.float16) for block in _blocks(drawn))
        compared = np.concatenate([self._there[:, :_COMPARED].astype(np.float16), *blocks])
        chosen = kernel.k_centre(compared, min(self._vectors, len(compared)), threads=threads)
        old, new = chosen[chosen < len(self._there)], chosen[chosen >= len(self._there)] - len(self._there)
        turned_new = (kernel.project(block, mean, basis, threads) for block in _blocks(drawn[new]))
        turned = np.concatenate([self._there[old], *turned_new])
        stored = turned[order_of_space(turned)].astype(self._dtype)
        np.save(self._bundle / CORESET_FILE, stored, allow_pickle=False)
        np.save(self._bundle / MEAN_FILE, mean, allow_pickle=False)
        np.save(self._bundle / BASIS_FILE, basis, allow_pickle=False)
        return len(stored)


def bank_bytes(levels: Sequence[Level], value: int) -> tuple[int, int]:
    """Bytes of one stored descriptor, of numbers of `value` bytes, and of the mean and the directions."""
    channels = CoresetGrid(levels).channels
    return value * channels, 4 * channels * (channels + 1)


def principal_directions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, float32 (D,), and eigenvectors of the covariance as columns, float32 (D, D), largest variance first."""
    total = np.zeros(rows.shape[1])
    products = np.zeros((rows.shape[1], rows.shape[1]))
    origin = rows[:1].astype(np.float64)
    for block in _blocks(rows):
        away = block.astype(np.float64) - origin
        total += away.sum(axis=0)
        products += away.T @ away
    mean = total / len(rows)
    _, directions = np.linalg.eigh(products / len(rows) - np.outer(mean, mean))  # ascending
    return (origin[0] + mean).astype(np.float32), np.ascontiguousarray(directions[:, ::-1], dtype=np.float32)


def order_of_space(points: np.ndarray) -> np.ndarray:
    """Row numbers of points (N, D), those of each run of 64 near to each other in the first columns.

    They are the leaves of a k-d tree: halved again and again, across the column of largest variance.
    """
    near = points[:, :_SPLIT_BY]
    leaves: list[np.ndarray] = []
    waiting = [np.arange(len(points))]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= _LEAF:
            leaves.append(rows)
            continue
        column = near[rows, np.argmax(near[rows].var(axis=0))]
        half = max(1, round(len(rows) / _LEAF / 2)) * _LEAF  # whole leaves, so that only the last one is not full
        parts = np.argpartition(column, half)
        waiting += [rows[parts[half:]], rows[parts[:half]]]
    return np.concatenate(leaves)


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[first : first + _BLOCK] for first in range(0, len(rows), _BLOCK))

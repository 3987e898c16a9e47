"""Fitting a bank into a size: which parameter gives way, and to what."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from panda_edge.builder import coreset
from panda_edge.builder.gaussian import largest_rank
from panda_edge.bundle.manifest import Level
from panda_edge.errors import PandaError
from panda_edge.search.gaussian import DescriptorGrid
from panda_edge.search.steps import STEPS
from panda_export.options import BankOptions

_GRAPH_BYTES = 160  # hnswlib's links and labels of one vector, at 16 links a layer
_FLOAT32 = 4
_SCALES = {"uint8": 2 * _FLOAT32}  # bytes of a row's offset and scale


@dataclasses.dataclass(frozen=True)
class Budget:
    """options: with the parameter that gave way. images: how many normal images are kept. said: the choice in words."""

    options: BankOptions
    images: int
    said: str


def fit_budget(
    options: BankOptions,
    levels: Sequence[Level],
    embedding_size: int,
    images: int,
    frames: int = 1,
    tiled: bool = False,
) -> Budget:
    """The largest bank of the kind asked for that takes at most `options.max_bank_mb` megabytes (10⁶ bytes).

    Exact banks keep fewer images; k-means, coreset and joint-hnsw banks fewer descriptors; gaussian banks fewer
    directions of each covariance, in steps of 16. images: frames to keep, tiles counted one by one; frames: of a
    picture, each with Gaussians of its own. Raises PandaError where not even the smallest would fit.
    """
    if options.max_bank_mb is None:
        return Budget(options, images, "")
    most = options.max_bank_mb * 1e6
    what = "tiles" if tiled else "images"
    channels = sum(level.channels for level in levels)
    descriptor = sum(_row_bytes(level, options.dtype) for level in levels)
    embedding = _FLOAT32 * embedding_size + (_GRAPH_BYTES if options.detection_bank(images) == "hnsw" else 0)
    if options.gallery == "exact":
        pyramid = sum(level.height * level.width * _row_bytes(level, options.dtype) for level in levels)
        for recipe in options.steps or ():
            for shape, dtype in STEPS[recipe.name].files(levels).values():
                pyramid += math.prod(shape) * np.dtype(dtype).itemsize
        kept = min(images, int(most / (pyramid + embedding)))
        return Budget(options, _at_least_one(kept, options), f"{kept} of {images} normal {what}")
    if options.gallery in ("kmeans", "kmeans-levels"):
        means = min(options.means, int(most / (descriptor + embedding)))
        changed = dataclasses.replace(options, means=_at_least_one(means, options))
        return Budget(changed, images, f"{means} means")
    if options.gallery in ("coreset", "hnsw"):
        each, once = _FLOAT32 * channels + _GRAPH_BYTES, 0
        if options.gallery == "coreset":
            each, once = coreset.bank_bytes(levels, np.dtype(options.dtype).itemsize)
        vectors = min(options.vectors, int((most - images * embedding - once) / each))
        changed = dataclasses.replace(options, vectors=_at_least_one(vectors, options))
        return Budget(changed, images, f"{vectors} descriptors")
    return _fit_rank(options, levels, images, (most - images * embedding) / frames)


def _row_bytes(level: Level, dtype: str) -> int:
    return level.channels * np.dtype(dtype).itemsize + _SCALES.get(dtype, 0)


def _fit_rank(options: BankOptions, levels: Sequence[Level], images: int, most: float) -> Budget:
    """The largest rank of a gaussian bank whose means and factors take at most so many bytes."""
    grid = DescriptorGrid(levels, options.averaged)
    rank = largest_rank(grid, np.dtype(options.dtype).itemsize, most, options.rank)
    if rank != options.rank:
        options = dataclasses.replace(options, rank=_at_least_one(rank or 0, options))
    return Budget(options, images, f"rank {rank or grid.channels} of {grid.channels}")


def _at_least_one(count: int, options: BankOptions) -> int:
    if count < 1:
        raise PandaError(f"--max-bank-mb {options.max_bank_mb:g}: too small for any {options.bank} bank; give more")
    return count

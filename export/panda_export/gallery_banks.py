"""Building the banks of pyramid features. Each writer is given features as they come, and writes below `bank/`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from panda_edge.builder.coreset import CoresetWriter
from panda_edge.builder.embeddings import write_hnsw
from panda_edge.builder.gaussian import GaussianWriter
from panda_edge.builder.process_group import ALONE, ProcessGroup
from panda_edge.builder.pyramids import PyramidWriter, stored_rows
from panda_edge.builder.samples import DescriptorSample
from panda_edge.bundle.manifest import Level
from panda_edge.bundle.model import Features
from panda_edge.search.level_files import JOINT_HNSW_FILE, joint_descriptors, level_file, scales_file
from panda_export.options import BankOptions

JOINT_HNSW_EF = 64
_MAX_KMEANS_DESCRIPTORS = 100_000


class GalleryWriter(Protocol):
    def add(self, features: Features, numbers: Sequence[int]) -> None:
        """Take in a batch of normal frames. numbers: which frame of its picture each is; 0 of whole pictures."""

    def close(self) -> int:
        """Finish the files; returns how many entries the bank has (images, or descriptors)."""


def gallery_writer(
    bundle: Path,
    levels: Sequence[Level],
    options: BankOptions,
    images: int,
    seed: int,
    frames: int = 1,
    group: ProcessGroup = ALONE,
) -> GalleryWriter | None:
    """The writer of the gallery that the options name. images: how many frames will come, about. frames: how many
    every picture has, where a bank by place is to tell them apart. group: of a gaussian bank all write; of the others
    the first process, and the rest get None."""
    if options.gallery == "gaussian":
        return GaussianWriter(
            bundle, levels, options.dtype, options.averaged, options.shrinkage, options.rank, frames, group
        )
    if not group.is_rank_zero:
        return None
    if options.gallery == "exact":
        return PyramidWriter(bundle, levels, options.dtype)
    if options.gallery == "kmeans":

        def means(drawn: np.ndarray) -> int:
            return write_means(bundle, levels, drawn, options, seed)

        return DescriptorWriter(means, levels, images, _MAX_KMEANS_DESCRIPTORS, seed)
    if options.gallery == "kmeans-levels":
        return LevelMeansWriter(bundle, levels, options, images, seed)
    if options.gallery == "coreset":
        return CoresetWriter(bundle, levels, options.vectors, options.dtype, images, seed)

    def graph(drawn: np.ndarray) -> int:
        write_hnsw(bundle / JOINT_HNSW_FILE, drawn.astype(np.float32), seed)
        return len(drawn)

    return DescriptorWriter(graph, levels, images, options.vectors, seed)


class DescriptorWriter:
    """Draws joint descriptors, and hands them to `write` at the end."""

    def __init__(
        self, write: Callable[[np.ndarray], int], levels: Sequence[Level], images: int, most: int, seed: int
    ) -> None:
        self._write = write
        self._sample = DescriptorSample(levels[-1].height * levels[-1].width, images, most, seed)

    def add(self, features: Features, numbers: Sequence[int] = ()) -> None:
        for i in range(len(features.embedding)):
            self._sample.add(joint_descriptors([level[i] for level in features.levels]))

    def close(self) -> int:
        drawn = self._sample.drawn()
        return 0 if drawn is None else self._write(drawn)


class LevelMeansWriter:
    """Draws descriptors of each level by itself; at the end, as many k-means centres at every level."""

    def __init__(self, bundle: Path, levels: Sequence[Level], options: BankOptions, images: int, seed: int) -> None:
        self._bundle = bundle
        self._levels = levels
        self._options = options
        self._seed = seed
        self._samples = [
            DescriptorSample(level.height * level.width, images, _MAX_KMEANS_DESCRIPTORS, seed) for level in levels
        ]

    def add(self, features: Features, numbers: Sequence[int] = ()) -> None:
        for sample, level in zip(self._samples, features.levels, strict=True):
            for descriptors in level:
                sample.add(descriptors)

    def close(self) -> int:
        drawn = [found for sample in self._samples if (found := sample.drawn()) is not None]
        if not drawn:
            return 0
        count = min(self._options.means, *(len(found) for found in drawn))
        for level, found in zip(self._levels, drawn, strict=True):
            _write_parts(self._bundle, (level,), _centres(found, count, self._seed), self._options.dtype)
        return count


def write_means(bundle: Path, levels: Sequence[Level], drawn: np.ndarray, options: BankOptions, seed: int) -> int:
    """K-means centres of joint descriptors (PANDA §4.3.3). Returns how many."""
    means = min(options.means, len(drawn))
    _write_parts(bundle, levels, _centres(drawn, means, seed), options.dtype)
    return means


def _centres(drawn: np.ndarray, count: int, seed: int) -> np.ndarray:
    """K-means centres (count, channels) of (N, channels)."""
    fit = MiniBatchKMeans(count, batch_size=4096, n_init=3, random_state=seed).fit(drawn.astype(np.float32))
    return np.asarray(fit.cluster_centers_)


def _write_parts(bundle: Path, levels: Sequence[Level], descriptors: np.ndarray, dtype: str) -> None:
    ends = np.cumsum([level.channels for level in levels])[:-1]
    for level, part in zip(levels, np.split(descriptors, ends, axis=1), strict=True):
        for name, values in zip((level_file, scales_file), stored_rows(part, dtype), strict=False):
            np.save(bundle / name(level), values, allow_pickle=False)

"""Building the banks that a device searches. Each builder writes plain files below the bundle's `bank/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

from panda_edge.banks.embedding import EMBEDDINGS_FILE, HNSW_FILE
from panda_edge.banks.gallery import level_file
from panda_edge.manifest import Level
from panda_edge.model import Features

# A k-means fit sees at most this many joint descriptors, drawn evenly over the images.
_MAX_DESCRIPTORS = 100_000
_HNSW_LINKS = 16
_HNSW_CONSTRUCTION = 200


def write_exact_embeddings(bundle: Path, embeddings: np.ndarray) -> None:
    """embeddings: float32 (N, D), searched one by one."""
    np.save(bundle / EMBEDDINGS_FILE, np.ascontiguousarray(embeddings, dtype=np.float32), allow_pickle=False)


def write_mean_embeddings(bundle: Path, embeddings: np.ndarray, means: int, seed: int) -> int:
    """The k-means centres of the embeddings (PANDA §4.3.3). Returns how many, at most N."""
    means = min(means, len(embeddings))
    fit = KMeans(means, n_init=4, random_state=seed).fit(embeddings)
    write_exact_embeddings(bundle, fit.cluster_centers_)
    return means


def write_hnsw_embeddings(bundle: Path, embeddings: np.ndarray, seed: int) -> None:
    """hnswlib's graph over the embeddings. Built on one thread: only so are its bytes the same every time."""
    import hnswlib

    index = hnswlib.Index(space="l2", dim=embeddings.shape[1])
    index.init_index(len(embeddings), M=_HNSW_LINKS, ef_construction=_HNSW_CONSTRUCTION, random_seed=seed)
    index.add_items(embeddings, num_threads=1)
    index.save_index(str(bundle / HNSW_FILE))


class GalleryWriter:
    """The pyramids of all normal images, appended as they come: one .npy array a level."""

    def __init__(self, bundle: Path, levels: Sequence[Level], dtype: str) -> None:
        self._dtype = np.dtype(dtype)
        self._cells = [(level.height * level.width, level.channels) for level in levels]
        self._files = [(bundle / level_file(level)).open("wb") for level in levels]
        self._written = 0
        self._write_headers()

    def add(self, features: Features) -> None:
        """Append the levels of a batch of images."""
        self._written += len(features.embedding)
        for file, level in zip(self._files, features.levels, strict=True):
            np.ascontiguousarray(level, dtype=self._dtype).tofile(file)

    def close(self) -> int:
        """Returns the number of images."""
        self._write_headers()
        for file in self._files:
            file.close()
        return self._written

    def _write_headers(self) -> None:
        # numpy leaves room in the header for the first axis to grow, so that writing it again keeps its length.
        for file, cells in zip(self._files, self._cells, strict=True):
            file.seek(0)
            header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._written, *cells)}
            np.lib.format.write_array_header_1_0(file, header)


class MeansWriter:
    """K-means centres of the joint descriptors of all normal images (PANDA §4.3.3), stored level by level."""

    def __init__(self, bundle: Path, levels: Sequence[Level], dtype: str, images: int, means: int, seed: int) -> None:
        self._bundle, self._levels, self._dtype = bundle, levels, dtype
        self._means, self._seed = means, seed
        self._random = np.random.default_rng(seed)
        cells = levels[-1].height * levels[-1].width
        self._per_image = min(cells, max(1, _MAX_DESCRIPTORS // images))
        self._drawn: list[np.ndarray] = []

    def add(self, features: Features) -> None:
        """Draw descriptors from a batch of images."""
        for descriptors in joint_descriptors(features.levels):
            chosen = self._random.choice(len(descriptors), self._per_image, replace=False)
            self._drawn.append(descriptors[np.sort(chosen)])

    def close(self) -> int:
        """Fit and write; returns the number of means."""
        drawn = np.concatenate(self._drawn)
        means = min(self._means, len(drawn))
        fit = MiniBatchKMeans(means, batch_size=4096, n_init=3, random_state=self._seed).fit(drawn)
        ends = np.cumsum([level.channels for level in self._levels])[:-1]
        for level, part in zip(self._levels, np.split(fit.cluster_centers_, ends, axis=1), strict=True):
            np.save(self._bundle / level_file(level), np.ascontiguousarray(part, dtype=self._dtype), allow_pickle=False)
        return means


def joint_descriptors(levels: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """For each image of a batch, float32 (finest cells, all channels): coarse levels repeated over their children.

    levels: coarse first, each (B, cells, channels) in nested order.
    """
    finest = levels[-1].shape[1]
    for i in range(len(levels[0])):
        yield np.concatenate([np.repeat(lv[i], finest // lv.shape[1], axis=0) for lv in levels], axis=1)

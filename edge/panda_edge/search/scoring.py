"""From one image's features to its score and heat map, with the banks of a bundle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.errors import PandaError
from panda_edge.search import kernel
from panda_edge.search.embedding import open_embedding_bank
from panda_edge.search.gallery import SearchOptions, open_gallery


@dataclass(frozen=True)
class Scored:
    """score: mean squared L2 distance to the knn nearest embeddings, or the graph's own; heatmap: float32 (H, W)."""

    score: float
    heatmap: np.ndarray | None
    stages_ms: dict[str, float] = field(default_factory=dict)


class Scorer:
    """Detection (DN2, PANDA §2.2) and segmentation (SPADE, §2.3) over a bundle's banks. One thread at a time."""

    def __init__(self, bundle: Bundle, threads: int, epsilon: float = 0.0) -> None:
        kernel.simd_level()  # says in one line where PANDA_SIMD names a level that is not there
        manifest = bundle.manifest
        self._frame = manifest.preprocessing
        self._knn = manifest.detection.knn
        self._in_graph = manifest.detection.scoring == "graph"
        self._neighbors = manifest.segmentation.neighbors
        self._sigma = manifest.segmentation.sigma
        self._embeddings = open_embedding_bank(bundle, threads)
        self._gallery = open_gallery(bundle, SearchOptions(threads, epsilon))

    def score(
        self,
        embedding: np.ndarray,
        levels: Sequence[np.ndarray],
        with_map: bool = True,
        exclude: int | None = None,
        graph_score: float | None = None,
    ) -> Scored:
        """Score one image.

        embedding: float32 (D,); levels: coarse first, float32 (cells, channels) in nested order. exclude: the number
        of a normal image that is not to be compared with, which is how a stored image is scored as if it were new.
        graph_score: the model's own score, which is the image's where the bundle scores in its graph.
        """
        started = time.perf_counter()
        similar = self._neighbors if with_map and self._gallery.needs_neighbors else 0
        squared, numbers = self._nearest(embedding, max(self._knn, similar), exclude)
        score = float(squared[: self._knn].mean()) if not self._in_graph or graph_score is None else graph_score
        _check_finite(score)
        distances = self._gallery.distances(levels, numbers[:similar] if similar else None) if with_map else None
        searched = time.perf_counter()
        stages = {"search": (searched - started) * 1e3}
        if distances is None:
            return Scored(score, None, stages)
        heatmap = kernel.render_heatmap(np.sqrt(distances), self._frame.height, self._frame.width, self._sigma)
        _check_finite(heatmap)
        stages["heatmap"] = (time.perf_counter() - searched) * 1e3
        return Scored(score, heatmap, stages)

    def _nearest(self, embedding: np.ndarray, k: int, exclude: int | None) -> tuple[np.ndarray, np.ndarray]:
        squared, numbers = self._embeddings.nearest(embedding[None], k if exclude is None else k + 1)
        kept = slice(None) if exclude is None else np.flatnonzero(numbers[0] != exclude)[:k]
        return squared[0, kept], numbers[0, kept]


def _check_finite(values: np.ndarray | float) -> None:
    """A NaN would pass every threshold unseen, and is not JSON."""
    if not np.isfinite(values).all():
        raise PandaError("the distances are not finite; the bundle's banks or weights are damaged, export it again")

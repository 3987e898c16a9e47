"""From one frame's features to its score and distances, with the banks of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore

import numpy as np

from panda_edge import kernel
from panda_edge.banks import open_gallery
from panda_edge.banks.bank import SearchOptions
from panda_edge.banks.query import FrameFeatures, Query
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.model import default_threads
from panda_edge.errors import PandaError
from panda_edge.search.candidates import Candidates, NearbyCandidates, Similar, open_candidates
from panda_edge.search.per_process import PerProcess
from panda_edge.search.steps import open_steps


@dataclass(frozen=True)
class FrameScore:
    """score: mean squared L2 distance to the knn nearest embeddings, or the graph's own. distances: L2 distance of
    each finest cell's descriptor to the nearest normal one, after the bundle's steps, float32 (h, w); None where only
    the score was wanted."""

    score: float
    distances: np.ndarray | None


class Scorer:
    """Detection (DN2, PANDA §2.2) and segmentation (SPADE, §2.3) over a bundle's banks.

    Any number of threads may use one: the banks are shared, and each search has its own memory (16 MB and more of an
    exact bank, kept for later ones). As many search at once as there are processors; others wait.
    """

    def __init__(self, bundle: Bundle, threads: int, epsilon: float = 0.0) -> None:
        """threads: of one search."""
        kernel.simd_level()  # says in one line where PANDA_SIMD names a level that is not there
        manifest = bundle.manifest
        self.maps = manifest.segmentation
        """How a picture's heat map is made of its frames' distances."""
        self._knn = manifest.detection.knn
        self._in_graph = manifest.detection.scoring == "graph"
        self._stride = manifest.levels[0].stride
        self._neighbors = manifest.segmentation.neighbors
        self._candidates: Candidates | NearbyCandidates = open_candidates(bundle, threads)
        options = SearchOptions(threads, epsilon)
        self._gallery = open_gallery(bundle, options)
        self._steps = open_steps(bundle, options)
        self._turns = PerProcess(lambda: BoundedSemaphore(default_threads()))

    def similar(self, frames: Sequence[FrameFeatures], with_map: bool, exclude: int | None = None) -> list[Similar]:
        """The stored frames that each of some frames is scored by, and compared with: all searched at once.

        with_map, exclude: as for `score`.
        """
        compared = self._neighbors if with_map and self._gallery.needs_neighbors else 0
        places = [(0, 0) if frame.view is None else frame.view.place(frame.number) for frame in frames]
        embeddings = np.stack([frame.embedding for frame in frames])
        return self._candidates.nearest(embeddings, max(self._knn, compared), places, exclude)

    def score(
        self,
        frame: FrameFeatures,
        with_map: bool = True,
        exclude: int | None = None,
        similar: Similar | None = None,
    ) -> FrameScore:
        """Score one frame.

        Args:
            frame: Its features.
            with_map: Whether distances are wanted, too.
            exclude: Number of a normal picture that is not compared with. A stored one is so scored as if it were new.
            similar: What `similar` gave for this frame; looked up where None.

        Raises:
            PandaError: A distance is not finite.
        """
        if similar is None:
            (similar,) = self.similar([frame], with_map, exclude)
        squared, numbers = similar
        in_graph = frame.graph_score if self._in_graph else None
        score = float(squared[: self._knn].mean()) if in_graph is None else in_graph
        check_finite(score)
        if not with_map:
            return FrameScore(score, None)
        active_cells = None if frame.view is None else frame.view.active_cells(frame.number, self._stride)
        query = Query(frame.levels, numbers[: self._neighbors], frame.number, active_cells)
        with self._turns.get():
            distances = self._steps(self._gallery.search(query), query)
        return FrameScore(score, distances)


def check_finite(values: np.ndarray | float) -> None:
    """A NaN would pass every threshold unseen, and is not JSON."""
    if not np.isfinite(values).all():
        raise PandaError("the distances are not finite; the bundle's banks or weights are damaged, export it again")

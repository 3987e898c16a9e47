"""One frame to be scored; what a bank of pyramid features is asked about it, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panda_edge.bundle.model import Features
from panda_edge.images.view import View


@dataclass(frozen=True)
class FrameFeatures:
    """What the model makes of one frame, and where the frame comes from.

    Attributes:
        embedding: float32 (D,).
        levels: Coarse first, each float32 (cells, channels) in nested order.
        graph_score: The model's own score, of a bundle that scores in its graph; else None.
        view: Of the picture; None for a frame that stands alone.
        number: Which frame of its picture this is, row by row.
    """

    embedding: np.ndarray
    levels: Sequence[np.ndarray]
    graph_score: float | None = None
    view: View | None = None
    number: int = 0

    @classmethod
    def of(cls, features: Features, i: int, view: View | None = None, number: int = 0) -> FrameFeatures:
        """The i-th frame of a batch of features."""
        levels = [level[i] for level in features.levels]
        return cls(features.embedding[i], levels, features.score_of(i), view, number)


@dataclass(frozen=True)
class Query:
    """One frame to be compared with normal ones.

    Attributes:
        levels: Features, coarse first, each float32 (cells, channels) in nested order.
        neighbors: Numbers of the stored frames to compare with, int64 (K,); None for all. Only banks with
            `needs_neighbors` read it.
        number: Which frame of its picture this is, row by row. Only banks by place read it.
        active_cells: Coarsest cells to search, bool (h, w); None for all.
        enough: L2 distance, 0 or more. A cell may stop at any distance below it. Only exact banks make use of it.
    """

    levels: Sequence[np.ndarray]
    neighbors: np.ndarray | None = None
    number: int = 0
    active_cells: np.ndarray | None = None
    enough: float = 0.0


@dataclass(frozen=True)
class Found:
    """The nearest normal descriptor of each cell.

    Attributes:
        squared: Squared L2 distances (of a gaussian bank, Mahalanobis), float32 (height, width) of the bank's cells.
        matches: Places of the stored cells that were found, int64 (height, width): frame · height · width + row ·
            width + column. Below inactive cells -1. None where the bank does not store cells at their places.
    """

    squared: np.ndarray
    matches: np.ndarray | None = None

"""K-means centres, which a workstation computes and hands in: a device only searches them."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Centres(Protocol):
    """K-means (PANDA §4.3.3) over vectors, float32 (N, D) → (count, D), count at most N. seed: of its first choice."""

    def of_descriptors(self, drawn: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Of many descriptors, by small batches."""

    def of_embeddings(self, vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Of the images' embeddings, over all of them at once."""


class NoCentres:
    """A builder without k-means, as `extend` is: no bank of centres can be extended."""

    def of_descriptors(self, drawn: np.ndarray, count: int, seed: int) -> np.ndarray:
        raise NotImplementedError("a device makes no k-means centres")

    of_embeddings = of_descriptors


NO_CENTRES = NoCentres()

"""Drawing descriptors from images that stream by."""

from __future__ import annotations

import numpy as np


class DescriptorSample:
    """Descriptors, float16, drawn evenly over the images: at most about `most` of them."""

    def __init__(self, cells: int, images: int, most: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._per_image = min(cells, max(1, most // images))
        self._drawn: list[np.ndarray] = []

    def add(self, descriptors: np.ndarray) -> None:
        """descriptors: of one image, (cells, channels)."""
        chosen = self._random.choice(len(descriptors), self._per_image, replace=False)
        self._drawn.append(descriptors[np.sort(chosen)].astype(np.float16))

    def drawn(self) -> np.ndarray | None:
        return np.concatenate(self._drawn) if self._drawn else None

"""Drawing descriptors from images that stream by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from panda_edge.banks.bank import Building
from panda_edge.banks.level_files import joint_descriptors
from panda_edge.bundle.model import Features


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


class DescriptorWriter:
    """Draws joint descriptors, and hands them to `write` at the end."""

    def __init__(self, building: Building, most: int, write: Callable[[np.ndarray], int]) -> None:
        """most: descriptors that are drawn. write: gets float16 (N, channels), returns how many entries it made."""
        finest = building.layout.levels[-1]
        self._write = write
        self._sample = DescriptorSample(finest.height * finest.width, building.coming, most, building.seed)

    def add(self, features: Features, numbers: Sequence[int] = ()) -> None:
        for i in range(len(features.embedding)):
            self._sample.add(joint_descriptors([level[i] for level in features.levels]))

    def close(self) -> int:
        drawn = self._sample.drawn()
        return 0 if drawn is None else self._write(drawn)

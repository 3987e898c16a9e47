"""Which images make up the mini-batches: functions of the step alone, so that a run can go on anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from panda_train.adapt.activations import ActivationSource

Group = tuple[ActivationSource, np.ndarray]
"""Where a group's activations are, of this process's images, and its image numbers over all processes, int64 (b,)."""


class Batches(Protocol):
    """The groups of images that an objective takes, step by step."""

    @property
    def images(self) -> int:
        """How many normal images there are, over all processes."""

    def of_step(self, step: int) -> list[Group]: ...


@dataclass(frozen=True)
class FromEach:
    """A mini-batch of each source, drawn independently. sizes: images of each over all processes."""

    sources: Sequence[ActivationSource]
    sizes: Sequence[int]
    seed: int
    batch: int

    @property
    def images(self) -> int:
        return self.sizes[0]

    def of_step(self, step: int) -> list[Group]:
        return [
            (source, draw(self.seed, group, step, size, self.batch))
            for group, (source, size) in enumerate(zip(self.sources, self.sizes, strict=True))
        ]


@dataclass(frozen=True)
class TwoViews:
    """Two views of the same images. views: one source a view, the images in the same order in all; at least two.

    Which two is drawn anew for every step; of a view, each image's augmentation was drawn by itself.
    """

    views: Sequence[ActivationSource]
    images: int
    seed: int
    batch: int

    def of_step(self, step: int) -> list[Group]:
        numbers = draw(self.seed, 0, step, self.images, self.batch)
        pair = np.random.default_rng([self.seed, step, len(self.views)]).choice(len(self.views), 2, replace=False)
        return [(self.views[view], numbers) for view in pair]


def draw(seed: int, group: int, step: int, size: int, batch: int) -> np.ndarray:
    """Image numbers of a step, int64 (batch,): a function of its arguments alone.

    Each epoch is a new permutation cut into whole batches.
    """
    batch = min(batch, size)
    epoch, position = divmod(step, size // batch)
    order = np.random.default_rng([seed, group, epoch]).permutation(size)
    return order[position * batch : (position + 1) * batch]

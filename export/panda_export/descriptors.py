"""What a descriptor is made of: averaging, scaling and weighting of the levels, done inside the exported graph.

So every bank and every device gets them at the cost of a pooling and a product in the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from panda_edge.errors import PandaError
from panda_edge.search.picture import FeatureFunction

_LEAST_SPREAD = 1e-6  # of a channel that never changes; keeps its scale finite


class Descriptors(nn.Module):
    """Levels in, levels out, coarse first, each (B, C, h, w): averaged over squares, then scaled channel by channel."""

    def __init__(self, sides: Sequence[int], scales: Sequence[Tensor], padded: bool = False) -> None:
        """sides: of the square in each level's cells, odd, 1 for none. scales: of each level, float32 (C,).
        padded: what a square has beyond the border counts as zeros, so that the border weighs less; else not at all.
        """
        super().__init__()
        self.sides = list(sides)
        self.padded = padded
        for i, scale in enumerate(scales):
            self.register_buffer(f"scale{i}", scale.reshape(1, -1, 1, 1))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        out = []
        for i, (level, side) in enumerate(zip(levels, self.sides, strict=True)):
            if side > 1:
                level = nn.functional.avg_pool2d(level, side, 1, side // 2, count_include_pad=self.padded)
            out.append(level * getattr(self, f"scale{i}"))
        return out


def channel_spreads(frames: Iterable[np.ndarray], run: FeatureFunction) -> list[np.ndarray]:
    """Standard deviation of each channel over all cells of some normal frames, uint8 (height, width, 3).

    Of each level float64 (C,), coarse first.
    """
    sums: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    cells: list[int] = []
    for frame in frames:
        levels = [level[0].astype(np.float64) for level in run(np.stack([frame])).levels]
        if not sums:
            sums, squares = ([np.zeros(level.shape[1]) for level in levels] for _ in range(2))
            cells = [0] * len(levels)
        for i, level in enumerate(levels):
            sums[i] += level.sum(axis=0)
            squares[i] += (level**2).sum(axis=0)
            cells[i] += len(level)
    means = [total / count for total, count in zip(sums, cells, strict=True)]
    return [
        np.sqrt(np.maximum(square / count - mean**2, 0))
        for square, count, mean in zip(squares, cells, means, strict=True)
    ]


def level_scales(
    channels: Sequence[int], weights: Sequence[float] | None, spreads: Sequence[np.ndarray] | None
) -> list[Tensor]:
    """What each channel is multiplied by, of each level float32 (C,): the root of its level's weight, over its spread.

    weights: of the levels' squared distances, coarse first, None for 1 each. Raises PandaError.
    """
    weights = [1.0] * len(channels) if weights is None else list(weights)
    if len(weights) != len(channels) or min(weights) < 0 or not max(weights) > 0:
        raise PandaError(
            f"--level-weights {','.join(f'{weight:g}' for weight in weights)}: expected {len(channels)} numbers, "
            "coarse level first, none below 0 and one above"
        )
    scales = []
    for i, (count, weight) in enumerate(zip(channels, weights, strict=True)):
        spread = np.ones(count) if spreads is None else np.maximum(spreads[i], _LEAST_SPREAD)
        scales.append(torch.from_numpy((np.sqrt(weight) / spread).astype(np.float32)))
    return scales

"""Feature maps of any network as a pyramid: coarse first, each level twice as fine as the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from panda_edge.errors import PandaError
from panda_train.backbones.backbone import Level

MOST_LEVELS = 4  # that the kernels and the manifest take


@dataclass(frozen=True)
class Map:
    """A feature map as a network gives it: `channels` values at about every `stride`-th pixel of the input."""

    stride: int
    channels: int


class Pyramid(nn.Module):
    """Maps in the order in which a network gives them → levels, coarse first.

    Maps of equal stride become one level, their channels joined. The finest level keeps its stride. Each coarser one
    gets twice the stride of the one below it: a map of another size is resized to that (bilinear). So an 8/32 network
    has levels at strides 8 and 16, and the search, which sees the resized features, stays exact.
    """

    def __init__(self, maps: Sequence[Map], name: str) -> None:
        """Raises PandaError: no map, or maps of more than MOST_LEVELS strides. name: of the network, for that."""
        super().__init__()
        strides = sorted({found.stride for found in maps})
        if not 1 <= len(strides) <= MOST_LEVELS:
            raise PandaError(
                f"{name}: feature maps at {len(strides)} strides ({', '.join(map(str, strides)) or 'none'}); "
                f"expected 1 to {MOST_LEVELS}, choose with --outputs"
            )
        self._finest = strides[0]
        self._members = [[i for i, found in enumerate(maps) if found.stride == stride] for stride in reversed(strides)]
        count = len(strides)
        self.levels = tuple(
            Level(self._finest << (count - 1 - depth), sum(maps[i].channels for i in members))
            for depth, members in enumerate(self._members)
        )

    def forward(self, maps: Sequence[Tensor], height: int, width: int) -> list[Tensor]:
        """Maps (B, C, h, w) of an input of height x width pixels → levels, each (B, C, height/stride, width/stride)."""
        levels = []
        for level, members in zip(self.levels, self._members, strict=True):
            size = height // level.stride, width // level.stride
            parts = [_resized(maps[i], size) for i in members]
            levels.append(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))
        return levels


def _resized(found: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(found.shape[2:]) == size:
        return found
    return nn.functional.interpolate(found, size, mode="bilinear", align_corners=False)

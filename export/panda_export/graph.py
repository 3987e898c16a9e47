"""The graph a device runs, as a torch module: uint8 frames in, embedding and nested levels out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn


class LevelSpec(Protocol):
    @property
    def stride(self) -> int: ...
    @property
    def channels(self) -> int: ...


class ExportableBackbone(Protocol):
    """What the exporter needs of a backbone; `panda_train.backbones.Backbone` is one."""

    name: str
    weights_sha256: str
    embedding_size: int

    @property
    def levels(self) -> Sequence[LevelSpec]:
        """Coarse first; each stride is half of the one before."""

    def normalise(self, frames: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) → float32 (B, 3, H, W)."""

    def __call__(self, x: Tensor) -> tuple[Tensor, list[Tensor]] | tuple[Tensor, list[Tensor], Tensor]:
        """Normalised (B, 3, H, W) → embedding (B, D), levels coarse first, each (B, C, h, w).

        One with an attribute `has_score` that is true gives the image's score (B,) besides.
        """


class DeviceGraph(nn.Module):
    """A backbone between the frames that a device has and the arrays that its kernels want.

    frames: uint8 (B, H, W, 3) RGB → embedding (B, D), then for each level, coarse first, float32
    (B, cells, channels) in nested order; last, where `has_score`, the image's score (B,).
    """

    def __init__(
        self, backbone: ExportableBackbone, descriptors: nn.Module | None = None, levels: int | None = None
    ) -> None:
        """descriptors: what is done to the levels, see `panda_export.descriptors`; None leaves them. levels: how many,
        the coarsest, are given out; None for all."""
        super().__init__()
        self.backbone = backbone
        self.descriptors = descriptors
        self.levels = levels
        self.has_score = bool(getattr(backbone, "has_score", False))

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return self.finished(*self.backbone(self.backbone.normalise(frames)))

    def finished(self, embedding: Tensor, levels: Sequence[Tensor], *score: Tensor) -> tuple[Tensor, ...]:
        """What the backbone gives → the graph's outputs."""
        if self.descriptors is not None:
            levels = self.descriptors(levels)
        return embedding, *(nest(level, depth) for depth, level in enumerate(levels[: self.levels])), *score


def nest(level: Tensor, depth: int) -> Tensor:
    """(B, C, h·2^depth, w·2^depth) → (B, cells, C) in nested order.

    Cells of the coarsest level are row-major; each cell's four children follow it, row by row, at every halving.
    """
    batch, channels, height, width = level.shape
    halves = [2] * depth
    # Channels last first: what is moved afterwards are whole rows of channels.
    split = level.permute(0, 2, 3, 1).reshape(batch, height >> depth, *halves, width >> depth, *halves, channels)
    rows, columns = range(1, 2 + depth), range(2 + depth, 3 + 2 * depth)
    pairs = [axis for pair in zip(rows, columns, strict=True) for axis in pair]
    return split.permute(0, *pairs, 3 + 2 * depth).reshape(batch, height * width, channels)

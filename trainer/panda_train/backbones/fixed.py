"""A network that is used as it is: any that gives feature maps. Nothing of it is adapted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from panda_train.backbones.pyramid import Map, Pyramid


@dataclass(frozen=True)
class About:
    """What a bundle's manifest says of a network.

    Attributes:
        name: As --backbone takes it.
        weights_sha256: Of the file of weights.
        facts: Where it is from, and its licence.
        mean: On the 0-255 scale, RGB; None where the network normalises frames itself.
        std: The same.
    """

    name: str
    weights_sha256: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


class FixedBackbone(nn.Module):
    """A network, its normalisation, and the pyramid of its maps: what the exporter takes.

    Attributes:
        name: As --backbone takes it.
        weights_sha256: Of the file of weights.
        facts: For the manifest.
        embedding_size: D.
        levels: Coarse first.
        input_multiple: Input height and width must be multiples of it.
    """

    def __init__(
        self, about: About, network: nn.Module, maps: Sequence[Map], embedding_size: int, input_multiple: int
    ) -> None:
        """network: normalised (B, 3, H, W) → embedding (B, D) and its maps, as `maps` lists them; frames themselves
        where `about.mean` is None."""
        super().__init__()
        self.about = about
        self.name, self.weights_sha256, self.facts = about.name, about.weights_sha256, dict(about.facts)
        self.network = network
        self.maps = tuple(maps)
        self.embedding_size = embedding_size
        self.input_multiple = input_multiple
        self.pyramid = Pyramid(maps, about.name)
        self.levels = self.pyramid.levels
        self.at_size: Callable[[int, int], FixedBackbone] = lambda height, width: self
        """The same network for another input (height, width): positions of a transformer belong to one size."""
        self.eval()
        self.requires_grad_(False)

    def normalise(self, frames: Tensor) -> Tensor:
        """uint8 frames (B, H, W, 3) → float32 (B, 3, H, W), normalised as in the pre-training."""
        if self.about.mean is None or self.about.std is None:
            return frames
        mean = torch.tensor(self.about.mean, device=frames.device)
        scale = 1 / torch.tensor(self.about.std, device=frames.device)
        return ((frames.float() - mean) * scale).permute(0, 3, 1, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What `normalise` gives → embedding (B, D) and levels, coarse first, each (B, C, h, w)."""
        height, width = x.shape[2:] if self.about.mean is not None else x.shape[1:3]
        embedding, maps = self.network(x)
        return embedding, self.pyramid(maps, int(height), int(width))

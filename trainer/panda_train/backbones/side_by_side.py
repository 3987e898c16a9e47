"""Networks side by side (`--backbone A+B`): their levels of equal stride joined, and their embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from panda_train.backbones.fixed import About, FixedBackbone
from panda_train.backbones.pyramid import Map

JOIN = "+"


class SideBySide(nn.Module):
    """uint8 frames (B, H, W, 3) → the embeddings of all networks joined (B, D), and the levels of all."""

    def __init__(self, members: Sequence[Any]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        embeddings: list[Tensor] = []
        levels: list[Tensor] = []
        for member in self.members:
            embedding, own = member(member.normalise(frames))  # type: ignore[operator]
            embeddings.append(embedding)
            levels += own
        return torch.cat(embeddings, dim=1), levels


def joined(members: Sequence[Any]) -> FixedBackbone:
    """Several backbones as one; each normalises the frames itself. Raises PandaError: too many strides in all."""
    digests = "".join(member.weights_sha256 for member in members)
    facts: dict[str, Any] = {}
    for key in ("licence", "source"):
        facts[key] = "; ".join(dict.fromkeys(str(member.facts.get(key, "unknown")) for member in members))
    about = About(JOIN.join(member.name for member in members), hashlib.sha256(digests.encode()).hexdigest(), facts)
    maps = [Map(level.stride, level.channels) for member in members for level in member.levels]
    size = sum(member.embedding_size for member in members)
    multiple = max(getattr(member, "input_multiple", 32) for member in members)
    found = FixedBackbone(about, SideBySide(members), maps, size, multiple)
    fixed = [member for member in members if isinstance(member, FixedBackbone)]
    if fixed:
        found.at_size = lambda height, width: joined(
            [member.at_size(height, width) if isinstance(member, FixedBackbone) else member for member in members]
        )
    return found

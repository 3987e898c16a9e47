"""Sizes and settings with which adaptation takes seconds."""

from __future__ import annotations

import torch

from panda_train.adapt import AdaptConfig, Adapted

IMAGES, SIZE = 40, 32
FAST = AdaptConfig("panda-early", steps=12, batch=8, learning_rate=0.5, watch=4)


def weights(adapted: Adapted) -> torch.Tensor:
    """All that was trained, end to end."""
    return torch.cat([parameter.flatten() for parameter in adapted.heads[-1].parameters()])

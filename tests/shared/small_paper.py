"""A small network, and pictures of ten classes, for the paper's protocol."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from panda_train.adapt import AdaptConfig
from panda_train.backbones import Backbone
from panda_train.backbones.backbone import Stages

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN, TEST = 20, 6  # images a class
FAST = AdaptConfig("panda-early", steps=4, batch=8, learning_rate=0.1, every=1, watch=2)


def small_backbone() -> Backbone:
    """Frozen and adaptable part, three levels, few random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = [(3, 8, 4), (8, 8, 2), (8, 12, 2)]
        stages = [nn.Sequential(nn.Conv2d(a, b, 5, stride, padding=2), nn.ReLU()) for a, b, stride in sizes]
        levels = {0: (4, 8), 1: (8, 8), 2: (16, 12)}
        return Backbone("small", Stages(stages, nn.Linear(12, 10), levels, 1, (127.0,) * 3, (40.0,) * 3), "0" * 64, {})


def picture(number: int, random: np.random.Generator) -> np.ndarray:
    """Of class `number`: about a colour and a stripe width of its own, and noise, so that classes overlap somewhat.
    uint8 (32, 32, 3)."""
    colour = np.array([40 + 20 * number, 220 - 18 * number, 60 + 50 * (number % 3)]) + random.integers(-60, 61, 3)
    stripes = 30 * (np.arange(32) // (1 + number) % 2)
    return (colour + stripes[:, None, None] + random.integers(-20, 20, (32, 32, 3))).clip(0, 255).astype(np.uint8)

"""Sizes and settings with which adaptation takes seconds."""

from __future__ import annotations

import torch
from torch import nn

from panda_train.adapt import AdaptConfig, Adapted
from panda_train.backbones import Backbone
from panda_train.backbones.backbone import Stages

IMAGES, SIZE = 40, 32
FAST = AdaptConfig("panda-early", steps=12, batch=8, learning_rate=0.5, watch=4)


def small_stages(split: int = 3) -> Stages:
    """Stages of a residual network, a block each, a sixteenth as wide, random weights; adapted from `split` on."""
    from torchvision.models.resnet import BasicBlock  # its import takes seconds, and every worker collects every test

    def layer(before: int, wide: int, stride: int) -> nn.Module:
        shortcut = nn.Sequential(nn.Conv2d(before, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
        return BasicBlock(before, wide, stride, shortcut)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        stages = [stem, layer(8, 16, 1), layer(16, 24, 2), layer(24, 32, 2), layer(32, 48, 2)]
        classifier = nn.Linear(48, 1000)
    levels = {3: (16, 32), 2: (8, 24), 1: (4, 16)}
    return Stages(stages, classifier, levels, split, (124.0, 116.0, 104.0), (58.0, 57.0, 57.0))


def small_resnet() -> Backbone:
    return Backbone("small", small_stages(), "0" * 64, {})


def weights(adapted: Adapted) -> torch.Tensor:
    """All that was trained, end to end."""
    return torch.cat([parameter.flatten() for parameter in adapted.heads[-1].parameters()])

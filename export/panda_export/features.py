"""Features of many frames, streamed: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from panda_edge.bundle.model import Features
from panda_edge.search.picture import FeatureFunction

T = TypeVar("T")

BATCH = 8


def torch_features(graph: nn.Module, device: str) -> FeatureFunction:
    """The graph run by torch on `device`: what a workstation with a GPU uses."""
    graph = graph.to(device)

    def run(frames: np.ndarray) -> Features:
        with torch.inference_mode():
            embedding, *levels = (output.cpu().numpy() for output in graph(torch.from_numpy(frames).to(device)))
        score = levels.pop() if getattr(graph, "has_score", False) else None
        return Features(embedding, tuple(levels), score)

    return run


def batched_features(
    frames: Iterable[tuple[T, np.ndarray]], run: FeatureFunction
) -> Iterator[tuple[list[T], Features]]:
    """Frames, each uint8 (height, width, 3) with whatever tells where it comes from, in batches with their features."""
    remaining = iter(frames)
    while batch := list(islice(remaining, BATCH)):
        sources, pixels = zip(*batch, strict=True)
        yield list(sources), run(np.stack(pixels))

"""Features by torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from panda_edge.bundle.model import Features
from panda_edge.search.picture import FeatureFunction


def torch_features(graph: nn.Module, device: str) -> FeatureFunction:
    """The graph run by torch on `device`: what a workstation with a GPU uses."""
    graph = graph.to(device)

    def run(frames: np.ndarray) -> Features:
        with torch.inference_mode():
            embedding, *levels = (output.cpu().numpy() for output in graph(torch.from_numpy(frames).to(device)))
        score = levels.pop() if getattr(graph, "has_score", False) else None
        return Features(embedding, tuple(levels), score)

    return run

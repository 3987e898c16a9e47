"""Features of many images, streamed: memory does not grow with their number."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from panda_edge.bundle.model import Features
from panda_edge.errors import ImageError
from panda_edge.images.preprocessing import Preprocessing

FeatureFunction = Callable[[np.ndarray], Features]
"""Frames, uint8 (B, height, width, 3) → Features."""

BATCH = 8
_READERS = 4  # Pillow releases the interpreter while it decodes


def torch_features(graph: nn.Module, device: str) -> FeatureFunction:
    """The graph run by torch on `device`: what a workstation with a GPU uses."""
    graph = graph.to(device)

    def run(frames: np.ndarray) -> Features:
        with torch.inference_mode():
            embedding, *levels = (output.cpu().numpy() for output in graph(torch.from_numpy(frames).to(device)))
        score = levels.pop() if getattr(graph, "has_score", False) else None
        return Features(embedding, tuple(levels), score)

    return run


def readable_images(images: Sequence[Path], preprocessing: Preprocessing) -> Iterator[tuple[Path, np.ndarray]]:
    """Each image that can be read with its frame; the others are named on stderr and left out."""

    def read(path: Path) -> tuple[Path, np.ndarray | ImageError]:
        try:
            return path, preprocessing.apply(path)
        except ImageError as error:
            return path, error

    with ThreadPoolExecutor(_READERS) as readers:
        remaining = iter(images)
        while chunk := list(islice(remaining, 4 * BATCH)):
            for path, frame in readers.map(read, chunk):
                if isinstance(frame, ImageError):
                    print(f"left out: {frame}", file=sys.stderr)
                else:
                    yield path, frame


def batched_features(
    frames: Iterator[np.ndarray] | Sequence[np.ndarray], run: FeatureFunction
) -> Iterator[tuple[np.ndarray, Features]]:
    """Frames in batches, with their features."""
    remaining = iter(frames)
    while batch := list(islice(remaining, BATCH)):
        stacked = np.stack(batch)
        yield stacked, run(stacked)

"""Embeddings of a data set's pictures, taken while they are looked at."""

from __future__ import annotations

import numpy as np
import torch

from panda_train import backbones

_BATCH = 4  # frames at once: larger ones pay for memory that is mapped anew each time


class Embedder:
    """Embeddings of frames by the pretrained network, taken in batches as they come."""

    def __init__(self) -> None:
        self._backbone = backbones.load(backbones.DEFAULT)
        self._waiting: list[np.ndarray] = []
        self._found: list[np.ndarray] = []

    def add(self, frame: np.ndarray) -> None:
        """frame: uint8 (SIDE, SIDE, 3)."""
        self._waiting.append(frame)
        if len(self._waiting) == _BATCH:
            self._embed()

    def embeddings(self) -> np.ndarray:
        """Of all frames so far: float32 (N, D), of unit length."""
        if self._waiting:
            self._embed()
        return np.ascontiguousarray(np.concatenate(self._found)) if self._found else np.zeros((0, 1), np.float32)

    @torch.inference_mode()
    def _embed(self) -> None:
        frames = torch.from_numpy(np.stack(self._waiting))
        self._waiting.clear()
        embedding, _ = self._backbone(self._backbone.normalise(frames))
        self._found.append(torch.nn.functional.normalize(embedding, dim=1).numpy())

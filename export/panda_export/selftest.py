"""What a bundle carries so that a device can prove that its numbers are the workstation's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from panda_edge.bundle.model import Features
from panda_edge.bundle.selftest import SELFTEST_FILE
from panda_edge.search.scoring import Scorer
from panda_export.features import FeatureFunction

FRAMES = 3


def write_selftest(bundle: Path, frames: np.ndarray, run: FeatureFunction, scorer: Scorer) -> None:
    """Score mirrored normal frames, uint8 (N, height, width, 3), and write what came out.

    Mirrored, they are normal but not in the bank, so that no distance is trivially zero.
    """
    frames = np.ascontiguousarray(frames[:, :, ::-1])
    # One frame at a time, as the device does it: batches round differently.
    features = [run(frame[None]) for frame in frames]
    scored = [scorer.score(f.embedding[0], first_image(f), graph_score=f.score_of(0)) for f in features]
    np.savez(
        bundle / SELFTEST_FILE,
        frames=frames,
        embeddings=np.concatenate([f.embedding for f in features]),
        scores=np.array([s.score for s in scored]),
        heatmaps=np.stack([s.heatmap for s in scored if s.heatmap is not None]),
    )


def first_image(features: Features) -> list[np.ndarray]:
    """The levels of a batch's first image."""
    return [level[0] for level in features.levels]

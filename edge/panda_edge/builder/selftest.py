"""Last step of making a bundle: what it carries so that a device can prove that its numbers are the workstation's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge.banks.query import FrameFeatures
from panda_edge.builder.pictures import Picture
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.bundle.selftest import SELFTEST_FILE
from panda_edge.search.picture import FeatureFunction, joined
from panda_edge.search.scoring import Scorer

FRAMES = 3


def mirrored_frames(pictures: Sequence[Picture]) -> np.ndarray:
    """The first frame of each normal picture, mirrored: normal, but not in the bank, so that no distance is trivially
    zero. uint8 (n, height, width, 3)."""
    frames = np.stack([picture.view.frames(picture.canvas, range(1))[0] for picture in pictures])
    return np.ascontiguousarray(frames[:, :, ::-1])


def write_selftest(staging: Path, manifest: Manifest, frames: np.ndarray, run: FeatureFunction) -> None:
    """Score frames, uint8 (n, height, width, 3), and write what came out."""
    scorer, alone = Scorer(Bundle(staging, manifest), default_threads()), manifest.preprocessing.alone
    # One frame at a time, as the device does it: batches round differently.
    features = [run(frame[None]) for frame in frames]
    scored = [joined(alone, [scorer.score(FrameFeatures.of(f, 0, alone))], scorer.maps) for f in features]
    np.savez(
        staging / SELFTEST_FILE,
        frames=frames,
        embeddings=np.concatenate([f.embedding for f in features]),
        scores=np.array([s.score for s in scored]),
        heatmaps=np.stack([s.heatmap for s in scored if s.heatmap is not None]),
    )

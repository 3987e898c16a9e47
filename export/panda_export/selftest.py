"""Last step of an export: what a bundle carries so that a device can prove that its numbers are the workstation's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.bundle.selftest import SELFTEST_FILE
from panda_edge.search.picture import joined, score_frame
from panda_edge.search.scoring import Scorer
from panda_export.network import Network
from panda_export.pictures import Picture

FRAMES = 3


def write_selftest(staging: Path, manifest: Manifest, pictures: Sequence[Picture], network: Network) -> None:
    """Score the mirrored first frames of normal pictures, and write what came out.

    Mirrored, they are normal but not in the bank, so that no distance is trivially zero.
    """
    frames = np.stack([picture.view.frames(picture.canvas, range(1))[0] for picture in pictures])
    frames = np.ascontiguousarray(frames[:, :, ::-1])
    scorer, alone = Scorer(Bundle(staging, manifest), default_threads()), manifest.preprocessing.alone
    # One frame at a time, as the device does it: batches round differently.
    features = [network.run(frame[None]) for frame in frames]
    scored = [joined(alone, [score_frame(scorer, alone, f, 0)], scorer.sigma) for f in features]
    np.savez(
        staging / SELFTEST_FILE,
        frames=frames,
        embeddings=np.concatenate([f.embedding for f in features]),
        scores=np.array([s.score for s in scored]),
        heatmaps=np.stack([s.heatmap for s in scored if s.heatmap is not None]),
    )

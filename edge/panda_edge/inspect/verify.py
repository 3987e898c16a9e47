"""Does this machine give the workstation's numbers? Every file's hash, then the self-test in the bundle."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from panda_edge.banks.query import FrameFeatures
from panda_edge.bundle.folder import Bundle, open_bundle
from panda_edge.bundle.manifest import check_seal
from panda_edge.bundle.model import checked_threads
from panda_edge.bundle.selftest import read_selftest
from panda_edge.detector import Detector
from panda_edge.search.picture import joined
from panda_edge.search.scoring import Scorer

# Relative to the largest expected magnitude. The heat map may also differ where two normal images are equally similar.
TOLERANCE = {"embedding": 1e-3, "score": 1e-3, "heatmap": 1e-2}


def verify(
    path: Path, threads: int | None = None, require_signature: str | os.PathLike[str] | None = None
) -> dict[str, object]:
    """Check a bundle on this machine.

    Returns {"ok", "files", "signature", "largest_difference": {"embedding", "score", "heatmap"}, "tolerance"};
    differences are relative to the largest expected value; signature is null where none was required. Raises
    BundleError for a file that is missing or altered.
    """
    threads = checked_threads(threads)
    bundle = open_bundle(path, require_signature)
    if bundle.signature is None:
        check_seal(path)
    for name in bundle.manifest.files:
        bundle.checked_file(name)
    differences = self_test_differences(bundle, threads)
    return {
        "ok": all(differences[key] <= TOLERANCE[key] for key in TOLERANCE),
        "files": len(bundle.manifest.files),
        "signature": None if bundle.signature is None else bundle.signature.facts(),
        "largest_difference": differences,
        "tolerance": TOLERANCE,
    }


def self_test_differences(bundle: Bundle, threads: int) -> dict[str, float]:
    """Largest relative difference of this machine's embeddings, scores and heat maps from the bundle's."""
    test = read_selftest(bundle)
    detector, scorer = Detector(bundle, threads), Scorer(bundle, threads)
    alone = bundle.manifest.preprocessing.alone
    found: dict[str, list[float]] = {key: [] for key in TOLERANCE}
    for i, frame in enumerate(test.frames):
        features = detector.features(frame[None])
        scored = joined(alone, [scorer.score(FrameFeatures.of(features, 0, alone))], scorer.maps)
        assert scored.heatmap is not None
        found["embedding"].append(_relative(features.embedding[0], test.embeddings[i]))
        found["score"].append(_relative(scored.score, test.scores[i]))
        found["heatmap"].append(_relative(scored.heatmap, test.heatmaps[i]))
    return {key: max(values) for key, values in found.items()}


def _relative(found: np.ndarray | float, expected: np.ndarray | float) -> float:
    scale = float(np.abs(expected).max())
    return float(np.abs(np.subtract(found, expected, dtype=np.float64)).max()) / (scale or 1.0)

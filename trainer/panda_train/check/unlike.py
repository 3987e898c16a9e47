"""Which normal pictures are least like the others, and whether test normals are drawn like training normals.

By embeddings of the pretrained network, of unit length: DN2's score (PANDA, §2.2) of each picture without itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge import kernel
from panda_edge.bundle.model import default_threads
from panda_edge.decide.drift import DriftMartingale
from panda_train.check.findings import Finding
from panda_train.check.looks import Look

NEIGHBOURS = 2  # as DN2
SHOWN = 12
_FAR = 6.0  # robust standard deviations of the logarithm of the score
_ALPHA = 0.01  # chance that a change is said though there is none


@dataclass(frozen=True)
class Unlike:
    """least: normal training pictures with their scores, the least like the others first. findings: what follows."""

    least: list[tuple[Path, float]]
    findings: list[Finding]


def unlike(looks: Sequence[Look], embedded: np.ndarray) -> Unlike:
    """Compare the normal pictures of `train` with each other, and those of `test` with them.

    embedded: float32 (N, D), of unit length, of those that are normal and can be read, `train` first.
    """
    normal = [look.place for look in looks if not look.error and not look.place.anomalous]
    train = [place.path for place in normal if place.part == "train"]
    if len(train) <= NEIGHBOURS:
        return Unlike([], [])
    stored = embedded[: len(train)]
    itself = apart(stored)
    nearest, _ = kernel.topk(embedded[len(train) :], stored, NEIGHBOURS, default_threads())
    order = np.argsort(-itself, kind="stable")
    found = [*far(train, itself), *_drift(itself, nearest.mean(axis=1))]
    return Unlike([(train[i], float(itself[i])) for i in order[:SHOWN]], found)


def apart(embedded: np.ndarray) -> np.ndarray:
    """DN2's score of each picture by the others; float32 (N,). embedded: float32 (N, D), N above NEIGHBOURS."""
    nearest, _ = kernel.topk(embedded, embedded, NEIGHBOURS + 1, default_threads())
    scores: np.ndarray = nearest[:, 1:].mean(axis=1)  # without itself, which lies at 0
    return scores


def far(paths: Sequence[Path], scores: np.ndarray) -> list[Finding]:
    """The pictures whose score is out of proportion to all others'."""
    logs = np.log(np.maximum(scores, 1e-12))
    spread = 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
    far = np.flatnonzero(logs > np.median(logs) + _FAR * max(spread, 1e-6))
    if not len(far):
        return []
    ordered = [paths[i] for i in far[np.argsort(-scores[far], kind="stable")]]
    what = "1 normal picture is" if len(far) == 1 else f"{len(far)} normal pictures are"
    return [Finding("unlike", f"{what} far from all others; a defect may have slipped in", tuple(ordered))]


def _drift(calibration: np.ndarray, scores: np.ndarray) -> list[Finding]:
    game = DriftMartingale(calibration.astype(np.float64))
    most, leading = 0.0, ""
    for score in scores:
        game.add(float(score))
        if game.wealth > most:
            most, leading = game.wealth, game.leading()
    if most < 1 / _ALPHA:
        return []
    how = {"higher": "lie farther from", "lower": "lie nearer to", "more": "more often lie far from"}[leading]
    return [
        Finding(
            "drift",
            f"normal test pictures {how} the training pictures than these from each other (chance at most "
            f"{1 / most:.2g} where both are drawn alike); a promised rate will not hold on them",
        )
    ]

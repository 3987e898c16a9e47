"""Which normal pictures are least like the others, and whether test normals are drawn like training normals.

By embeddings of the pretrained network, of unit length: DN2's score (PANDA, §2.2) of each picture without itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from panda_edge.bundle.model import default_threads
from panda_edge.decide.drift import DriftMartingale
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.search import kernel
from panda_train import backbones
from panda_train.check.findings import Finding
from panda_train.check.looks import SIDE, Look
from panda_train.progress import show

NEIGHBOURS = 2  # as DN2
SHOWN = 12
_FAR = 6.0  # robust standard deviations of the logarithm of the score
_ALPHA = 0.01  # chance that a change is said though there is none
_BATCH = 16


@dataclass(frozen=True)
class Unlike:
    """least: normal training pictures with their scores, the least like the others first. findings: what follows."""

    least: list[tuple[Path, float]]
    findings: list[Finding]


def unlike(looks: Sequence[Look], white: int | None) -> Unlike:
    """Compare the normal pictures of `train` with each other, and those of `test` with them."""
    normal = [look.place for look in looks if not look.error and not look.place.anomalous]
    train = [place.path for place in normal if place.part == "train"]
    test = [place.path for place in normal if place.part == "test"]
    if len(train) <= NEIGHBOURS:
        return Unlike([], [])
    embedded = _embeddings([*train, *test], white)
    stored = embedded[: len(train)]
    nearest, _ = kernel.topk(embedded, stored, NEIGHBOURS + 1, default_threads())
    itself = nearest[: len(train), 1:].mean(axis=1)  # without itself, which lies at 0
    others = nearest[len(train) :, :NEIGHBOURS].mean(axis=1)
    order = np.argsort(-itself, kind="stable")
    found = [*_far(train, itself), *_drift(itself, others)]
    return Unlike([(train[i], float(itself[i])) for i in order[:SHOWN]], found)


def _far(paths: Sequence[Path], scores: np.ndarray) -> list[Finding]:
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


@torch.inference_mode()
def _embeddings(paths: Sequence[Path], white: int | None) -> np.ndarray:
    """float32 (N, D), of unit length."""
    backbone = backbones.load(backbones.DEFAULT)
    preprocessing = Preprocessing(SIDE, SIDE, white=white)
    found = []
    batches = [paths[begin : begin + _BATCH] for begin in range(0, len(paths), _BATCH)]
    for batch in show(batches, "compare", len(batches)):
        frames = torch.from_numpy(np.stack([preprocessing.apply(path) for path in batch]))
        embedding, _ = backbone(backbone.normalise(frames))
        found.append(torch.nn.functional.normalize(embedding, dim=1).numpy())
    return np.ascontiguousarray(np.concatenate(found), dtype=np.float32)

"""Fourth step of making a bundle: normal pictures scored as if they were new, for decisions and overlays' colours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from panda_edge.builder.network import Network
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.decide.calibration import CALIBRATION_FILE, SCORES, image_scores
from panda_edge.decide.local import NORMAL_MAP_FILE, Cells, local_scores, normal_map
from panda_edge.images.view import View
from panda_edge.search.picture import PictureScorer, Scored
from panda_edge.search.scoring import Scorer

USUAL = (0.9, 0.999)  # quantiles of normal heat maps, between which the overlays' colours begin
SCALE_IMAGES = 64  # heat maps that set the colours
_SCALE_VALUES = 50_000  # of a map, that set the colours

ScoredPicture = tuple[View, Scored]
"""What a normal picture scores as if it were new."""


@dataclass(frozen=True)
class NormalScores:
    """What calibration needs of a scored normal picture. scores: raw, by name, but for the local one, which takes all
    pictures. cells: of its sharp map. values: of its heat map, evenly drawn, that set the colours."""

    scores: dict[str, float]
    cells: Cells
    values: np.ndarray


def normal_scores(view: View, scored: Scored) -> NormalScores:
    assert scored.heatmap is not None
    assert scored.sharp is not None
    values = view.compared(scored.heatmap).ravel()
    drawn = values[:: max(1, values.size // _SCALE_VALUES)]
    return NormalScores(image_scores(scored.score, values), Cells.of(scored.sharp), drawn)


def set_color_scale(manifest: Manifest, scored: Iterable[NormalScores]) -> Manifest:
    """The manifest with usual and high values of normal heat maps."""
    return _coloured(manifest, list(islice(scored, SCALE_IMAGES)))


def calibrate(staging: Path, manifest: Manifest, scored: Iterable[NormalScores], kind: str) -> Manifest:
    """Write the raw scores of normal pictures that they have when they are not in the bank; returns the manifest that
    tells of them.

    kind: `held-out`, or `leave-one-out` for stored pictures that are each scored without themselves. Without pictures
    the bundle stays uncalibrated.
    """
    pictures = list(scored)
    if not pictures:
        return manifest
    manifest = _coloured(manifest, pictures[:SCALE_IMAGES])
    cells = [picture.cells for picture in pictures]
    local = local_scores(cells)
    scores = [picture.scores | {"local": found} for picture, found in zip(pictures, local, strict=True)]
    columns = np.array([[score[name] for score in scores] for name in SCORES])
    np.save(staging / CALIBRATION_FILE, columns, allow_pickle=False)
    np.save(staging / NORMAL_MAP_FILE, normal_map([one.mean for one in cells]), allow_pickle=False)
    return dataclasses.replace(manifest, calibration={"images": len(scores), "kind": kind})


def picture_scorer(staging: Path, manifest: Manifest, network: Network) -> PictureScorer:
    """Scores pictures with the banks as they are now, the way that a device does."""
    bundle = Bundle(staging, manifest)
    if manifest.preprocessing.tiles is None:
        return PictureScorer(network.run, Scorer(bundle, default_threads()), sharp=manifest.decision.sigma)
    return PictureScorer(network.worker(), Scorer(bundle, 1), default_threads(), manifest.decision.sigma)


def _coloured(manifest: Manifest, pictures: Sequence[NormalScores]) -> Manifest:
    if not pictures:
        return manifest
    low, high = np.quantile(np.concatenate([picture.values for picture in pictures]), USUAL)
    segmentation = dataclasses.replace(manifest.segmentation, normal_low=float(low), normal_high=float(high))
    return dataclasses.replace(manifest, segmentation=segmentation)

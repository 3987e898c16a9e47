"""Above what height places of a heat map are joined: what normal pictures hardly reach."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Filled, Manifest, version_of
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.learn.bundle_writer import write_manifest
from panda_edge.learn.calibrate import SCALE_IMAGES, normal_scores
from panda_edge.learn.stored import read_sizes, scored_without_itself
from panda_edge.learn.team import ALONE, Team

_USUAL = 0.99  # quantile of normal heat maps: what is below joins nothing


def with_filled_maps(
    staging: Path, manifest: Manifest, pixels: int, preprocessing: Preprocessing, team: Team = ALONE
) -> Manifest:
    """The manifest that says above what height gaps of at most `pixels` input pixels are filled.

    By the heat maps of stored pictures, each scored without itself; unchanged where there is only one. preprocessing:
    with the roi, where there is one.
    """

    def measured() -> Manifest:
        count = len(read_sizes(Bundle(staging, manifest)))
        if count < 2:
            return manifest
        numbers = [int(number) for number in np.unique(np.linspace(0, count - 1, SCALE_IMAGES).astype(int))]
        shown = scored_without_itself(staging, manifest, preprocessing, numbers)
        drawn = [normal_scores(*one).values for one in shown]
        above = float(np.quantile(np.concatenate(drawn), _USUAL))
        segmentation = dataclasses.replace(manifest.segmentation, filled=Filled(pixels, float(f"{above:.6g}")))
        version = version_of(manifest.preprocessing, segmentation, manifest.roi)
        return write_manifest(staging, dataclasses.replace(manifest, segmentation=segmentation, format_version=version))

    return team.firsts(measured)

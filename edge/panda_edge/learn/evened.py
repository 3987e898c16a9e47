"""How much further from normal a frame's border is than its inside, in normal pictures themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.learn.bundle_writer import write_manifest
from panda_edge.learn.team import ALONE, Team
from panda_edge.search.evened import rings
from panda_edge.search.own_distances import open_own_distances

_DEPTH = 48  # input pixels from the border that are evened: three cells of stride 16
_BOUNDS = 0.25, 4.0  # of a divisor


def with_evened_border(staging: Path, manifest: Manifest, team: Team = ALONE) -> Manifest:
    """The manifest that says what distances near the border are divided by; all processes of the team call this.

    By the own distances of stored cells, which must be there: their mean so many cells from the border, over their
    mean inside. Unchanged where normal pictures tell nothing.
    """

    def measured() -> Manifest:
        own = open_own_distances(Bundle(staging, manifest))
        assert own is not None
        evened = _divisors(own.values, manifest.levels[-1].stride)
        segmentation = dataclasses.replace(manifest.segmentation, evened=evened)
        version = max(manifest.format_version, 4) if evened else manifest.format_version
        return write_manifest(staging, dataclasses.replace(manifest, segmentation=segmentation, format_version=version))

    return team.firsts(measured)


def _divisors(own: np.ndarray, stride: int) -> tuple[float, ...]:
    """own: distances, float16 (N, h, w)."""
    height, width = own.shape[1:]
    depth = min(_DEPTH // stride, min(height, width) // 4)
    ring = np.minimum(rings(height, width), depth).ravel()
    # Frame by frame: the whole file in float64 would not fit everywhere.
    total = sum((frame.astype(np.float64) for frame in own), np.zeros((height, width)))
    means = np.bincount(ring, weights=total.ravel()) / np.bincount(ring)
    if not means.min() > 0:
        return ()
    shares = np.clip(means[:-1] / means[-1], *_BOUNDS)
    return tuple(round(float(share), 4) for share in shares)
